//! Decompresses bodies and results, by kombu's names of the compressions.

mod bzip2;

use std::io::Read;

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZlibDecoder, ZstdDecoder};
use lzma_rust2::XzReader;

/// The most bytes that a compressed body may expand to. A message has at most 1 MiB, and JSON shrinks to
/// a tenth or less only if it repeats itself.
pub const MAX_DECOMPRESSED: usize = 8 * 1024 * 1024;

/// The window of zstd as a power of two, in bytes: 8 MiB, as much as RFC 8878 wants every decoder to have.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The memory for the dictionary of xz in KiB. Python's default takes 8 MiB.
const XZ_MEMORY: u32 = 10 * 1024;
/// The size of the pieces in which bytes come out.
const PIECE: usize = 16 * 1024;

/// Why bytes could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// No compression has this name.
    #[error("the compression is unknown")]
    Unknown,
    /// The bytes are not of this compression, or were cut off.
    #[error("the compressed bytes are broken")]
    Broken,
    /// More than [`MAX_DECOMPRESSED`] bytes come out.
    #[error("the compressed bytes expand to more than {MAX_DECOMPRESSED} bytes")]
    TooLarge,
}

/// Decompresses bytes. `name` is a content type or an alias of kombu, such as `application/x-gzip` or
/// `zlib`.
///
/// # Errors
/// For an unknown name, for broken bytes, and for bytes that expand to more than [`MAX_DECOMPRESSED`].
pub fn decompress(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DecompressError> {
    match name {
        // Kombu's gzip is a zlib stream. Other clients send what the name says.
        "application/x-gzip" | "gzip" | "zlib" if bytes.starts_with(&[0x1F, 0x8B]) => {
            decode(GzipDecoder::new(), bytes)
        }
        "application/x-gzip" | "gzip" | "zlib" => decode(ZlibDecoder::new(), bytes),
        "application/x-bz2" | "bzip2" | "bzip" => bzip2::decompress(bytes, MAX_DECOMPRESSED),
        "application/x-lzma" | "lzma" | "xz" => xz(bytes),
        "application/x-brotli" | "brotli" => decode(BrotliDecoder::new(), bytes),
        "application/zstd" | "zstd" | "zstandard" => {
            let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
            decode(ZstdDecoder::new_with_params(&[window]), bytes)
        }
        _ => Err(DecompressError::Unknown),
    }
}

fn decode(mut decoder: impl DecodeV2, bytes: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let mut input = PartialBuffer::new(bytes);
    let mut piece = [0; PIECE];
    let mut out = Vec::new();
    loop {
        let mut output = WriteBuffer::new_initialized(&mut piece);
        let done = decoder
            .decode(&mut input, &mut output)
            .map_err(|_| DecompressError::Broken)?;
        let (written, is_full) = (output.written_len(), output.has_no_spare_space());
        out.extend_from_slice(&piece[..written]);
        if out.len() > MAX_DECOMPRESSED {
            return Err(DecompressError::TooLarge);
        }
        if done {
            return Ok(out);
        }
        if input.unwritten().is_empty() && !is_full {
            return Err(DecompressError::Broken);
        }
    }
}

fn xz(bytes: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let bound = MAX_DECOMPRESSED as u64 + 1;
    XzReader::new_mem_limit(bytes, true, XZ_MEMORY)
        .take(bound)
        .read_to_end(&mut out)
        .map_err(|_| DecompressError::Broken)?;
    if out.len() > MAX_DECOMPRESSED {
        return Err(DecompressError::TooLarge);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
