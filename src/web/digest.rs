//! Digests that a client or a record shows as text.

use ring::digest::{SHA256, digest};

/// The SHA-256 digest of a text: 64 lowercase hexadecimal digits.
pub(super) fn sha256_hex(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
