//! The text of an API key: `as_<id>_<secret>`.
//!
//! The id is public: it is the key of the table's row, and names the API key in lists and logs. The
//! secret is 256 random bits. The table stores a hash of the whole text. A fast hash is enough, because
//! nobody can try 2^256 secrets; slow hashes are for passwords, which people choose.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// The prefix of every key. Scanners for leaked secrets find keys by the prefix.
const PREFIX: &str = "as_";
/// The id's length: 64 bits in hexadecimal digits.
const ID: usize = 16;
/// The secret's length: 256 bits in base 64.
const SECRET: usize = 43;

/// A key with its secret. `Debug` shows only the id.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system's random number generator fails.
    pub fn generate() -> Result<ApiKey, ring::error::Unspecified> {
        let (mut id, mut secret) = ([0; ID / 2], [0; 32]);
        let random = SystemRandom::new();
        random.fill(&mut id)?;
        random.fill(&mut secret)?;
        let (id, secret) = (u64::from_be_bytes(id), URL_SAFE_NO_PAD.encode(secret));
        Ok(ApiKey(format!("{PREFIX}{id:016x}_{secret}")))
    }

    /// Parses a key; `None` if the text does not have a key's format.
    pub fn parse(text: &str) -> Option<ApiKey> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_once('_')?;
        let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = is_id(id) && secret.len() == SECRET && secret.bytes().all(is_secret);
        fits.then(|| ApiKey(text.to_owned()))
    }

    /// The public id.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID]
    }

    /// The hash that the table stores.
    pub fn hash(&self) -> KeyHash {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        KeyHash(hash)
    }

    /// The whole text. Show the text to the key's owner once, and never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id())
    }
}

/// Whether a text has the format of a key's id.
pub fn is_id(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID && text.bytes().all(is_digit)
}

/// The SHA-256 of a key's text.
#[derive(Debug, Clone)]
pub struct KeyHash([u8; SHA256_OUTPUT_LEN]);

impl KeyHash {
    /// A hash of no known key. A key with an unknown id is compared with this hash.
    pub const OF_NONE: KeyHash = KeyHash([0; SHA256_OUTPUT_LEN]);

    /// Reads a stored hash.
    pub fn from_bytes(bytes: &[u8]) -> Option<KeyHash> {
        bytes.try_into().ok().map(KeyHash)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether two hashes are equal, in constant time.
    pub fn matches(&self, other: &KeyHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_parses() {
        let key = ApiKey::generate().unwrap();
        assert_eq!(ApiKey::parse(key.reveal()), Some(key.clone()));
        assert_eq!(key.reveal().len(), 3 + ID + 1 + SECRET);
        assert!(is_id(key.id()) && key.reveal().contains(key.id()));
        assert_ne!(ApiKey::generate().unwrap(), key);
    }

    #[test]
    fn a_text_of_another_format_does_not_parse() {
        let key = ApiKey::generate().unwrap();
        let text = key.reveal();
        for wrong in [
            "",
            "as_",
            "as__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!(" {text}"),
            &format!("{text},{text}"),
            &text.replace("as_", "AS_"),
            &text.replacen(key.id(), &key.id().to_uppercase().replace('0', "G"), 1),
            &format!("{}é", &text[..text.len() - 2]),
            &format!("{}=", &text[..text.len() - 1]),
        ] {
            assert_eq!(ApiKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_hash_covers_the_whole_text() {
        let key = ApiKey::generate().unwrap();
        assert!(key.hash().matches(&key.hash()));
        assert!(!key.hash().matches(&ApiKey::generate().unwrap().hash()));
        assert!(!key.hash().matches(&KeyHash::OF_NONE));
        // The same secret with another id is another key.
        let other = key.reveal().replacen(key.id(), "0123456789abcdef", 1);
        assert!(!key.hash().matches(&ApiKey::parse(&other).unwrap().hash()));
        let stored = KeyHash::from_bytes(key.hash().as_bytes()).unwrap();
        assert!(stored.matches(&key.hash()));
        assert!(KeyHash::from_bytes(&[0; 31]).is_none());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let key = ApiKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.id()));
        assert!(!shown.contains(&key.reveal()[3 + ID + 1..]), "{shown}");
    }
}
