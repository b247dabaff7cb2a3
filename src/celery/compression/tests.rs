use compression_codecs::{EncodeV2, ZstdEncoder};
use proptest::prelude::*;

use super::*;
use crate::json::tests::python;

const NAMES: [&str; 6] = ["zlib", "gzip", "bzip2", "xz", "brotli", "zstd"];

/// Texts that take every path of the decoders: empty, short, runs, several blocks of bzip2, and bytes
/// that do not shrink.
fn texts() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = (0..250_000).map(|_| random.u8(..)).collect();
    let mut runs = Vec::new();
    for length in [1, 3, 4, 5, 8, 254, 255, 256, 259, 260, 263, 264, 1000] {
        runs.extend(std::iter::repeat_n(b'a', length));
        runs.push(b'b');
    }
    let words = "so it goes, and so it went. ".repeat(40_000).into_bytes();
    let mut all = vec![b"".to_vec(), b"x".to_vec(), b"{}".to_vec(), runs, noise];
    all.extend([words, vec![b'a'; 3_000_000]]);
    all
}

/// Each text as Python compresses it: the text's number, the compression's name, and the bytes.
fn compressed_by_python(texts: &[Vec<u8>]) -> Option<Vec<(usize, &'static str, Vec<u8>)>> {
    const SCRIPT: &str = r#"
import bz2, gzip, lzma, struct, sys, zlib
data, out, at = sys.stdin.buffer.read(), sys.stdout.buffer, 0
while at < len(data):
    size = struct.unpack_from(">I", data, at)[0]
    text = data[at + 4:at + 4 + size]
    at += 4 + size
    for packed in (zlib.compress(text), gzip.compress(text), bz2.compress(text),
                   bz2.compress(text, 1) + bz2.compress(b"!"), lzma.compress(text),
                   lzma.compress(text, check=lzma.CHECK_CRC32)):
        out.write(struct.pack(">I", len(packed)) + packed)
"#;
    let mut input = Vec::new();
    for text in texts {
        input.extend((text.len() as u32).to_be_bytes());
        input.extend(text);
    }
    let output = python::run(SCRIPT, input)?;
    let mut rest = &output[..];
    let mut found = Vec::new();
    let names = ["gzip", "gzip", "bzip", "bzip2", "lzma", "xz"];
    for (text, name) in (0..texts.len()).flat_map(|text| names.map(|name| (text, name))) {
        let (size, after) = rest.split_first_chunk().unwrap();
        let (packed, after) = after.split_at(u32::from_be_bytes(*size) as usize);
        found.push((text, name, packed.to_vec()));
        rest = after;
    }
    Some(found)
}

#[test]
fn what_python_compresses_comes_back() {
    let texts = texts();
    let Some(all) = compressed_by_python(&texts) else {
        return;
    };
    for (text, name, packed) in all {
        let mut expected = texts[text].clone();
        if name == "bzip2" {
            // Two streams in a row.
            expected.push(b'!');
        }
        let done = decompress(name, &packed);
        assert!(done.as_ref() == Ok(&expected), "{name}, text {text}");
        let cut = decompress(name, &packed[..packed.len() - 5]);
        assert_eq!(cut, Err(DecompressError::Broken), "{name}, text {text}");
    }
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZstdEncoder::new(3);
    let mut room = vec![0; text.len() + 1_000];
    let mut output = WriteBuffer::new_initialized(&mut room);
    let mut input = PartialBuffer::new(text);
    encoder.encode(&mut input, &mut output).unwrap();
    assert!(input.unwritten().is_empty() && encoder.finish(&mut output).unwrap());
    output.written().to_vec()
}

#[test]
fn brotli_and_zstd_come_back() {
    for text in texts() {
        let mut packed = Vec::new();
        brotli::BrotliCompress(&mut &text[..], &mut packed, &Default::default()).unwrap();
        assert_eq!(decompress("brotli", &packed).as_ref(), Ok(&text));
        let packed = zstd(&text);
        assert_eq!(decompress("application/zstd", &packed).as_ref(), Ok(&text));
    }
}

#[test]
fn a_bomb_is_refused() {
    let zeros = vec![0; MAX_DECOMPRESSED + 1];
    let Some(all) = compressed_by_python(std::slice::from_ref(&zeros)) else {
        return;
    };
    for (_, name, packed) in all {
        assert!(packed.len() < 20_000, "{name}");
        let done = decompress(name, &packed);
        assert_eq!(done, Err(DecompressError::TooLarge), "{name}");
    }
}

#[test]
fn an_unknown_compression_is_refused() {
    assert_eq!(decompress("lz4", b""), Err(DecompressError::Unknown));
    assert_eq!(decompress("", b""), Err(DecompressError::Unknown));
}

proptest! {
    #[test]
    fn broken_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in NAMES {
            let _ = decompress(name, &bytes);
        }
    }
}

/// Each byte of a compressed text changed in turn: an error, or another text, but no panic.
#[test]
fn changed_bytes_are_an_error() {
    let mut random = fastrand::Rng::with_seed(11);
    let text = b"so it goes, and so it goes on. aaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec();
    let Some(all) = compressed_by_python(std::slice::from_ref(&text)) else {
        return;
    };
    for (_, name, packed) in all {
        for at in 0..packed.len() {
            for _ in 0..8 {
                let mut changed = packed.clone();
                changed[at] = random.u8(..);
                let _ = decompress(name, &changed);
            }
        }
    }
}
