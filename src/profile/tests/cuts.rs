//! Nothing depends on how the network cuts a file's bytes.

use proptest::prelude::*;

use super::super::records::*;
use super::files::*;

/// One file of each format, encoding and compression.
fn files() -> Vec<(Claims, Vec<u8>)> {
    let table = "# made by hand\r\nnr;preis;\"ort\r\nund, Straße\"\r\n1;0,25;Köln\r\n\r\n2;NA;\"L\"\"ü\"\"beck\"\r\n3;1,5\n4;2,5;x;zu viel\r5;6;7\r";
    let lines = "{\"a\":1,\"b\":\"é😀\"}\r\n\r\n{bad}\n[1,\"\\ud83d\"]\r{\"a\":2}";
    let sequence = "\u{1E}{\"a\":\r\n1}\r\n\u{1E}{\"a\":\n\u{1E}7\n";
    let page = "<!DOCTYPE html>\n<html></html>";
    let quote = "a,b\n1,\"x\n2,y\n";
    let mut files = Vec::new();
    for text in [table, lines, sequence, page, quote, "sep=|\na|b\n1|2\n", ""] {
        let latin: Vec<u8> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
            .collect();
        let encoded = [
            text.as_bytes().to_vec(),
            ["\u{feff}".as_bytes(), text.as_bytes()].concat(),
            [b"\xFF\xFE", &utf_16_le(text)[..]].concat(),
            [b"\xFE\xFF", &utf_16_be(text)[..]].concat(),
            utf_16_le(text),
            latin.clone(),
            [&latin[..], "ü\n".as_bytes()].concat(),
            [text.as_bytes(), b"\n\xFF,\n"].concat(),
        ];
        for file in encoded {
            for claims in [named("x"), named("x.csv"), csv(), jsonl()] {
                files.push((claims.clone(), gzip(&file)));
                files.push((claims.clone(), [zstd(&file), zstd(b"\n")].concat()));
                files.push((claims, file.clone()));
            }
        }
    }
    files
}

/// Every file at every single place.
#[test]
fn one_cut_does_not_matter() {
    for (claims, file) in files() {
        let whole = read_file(claims.clone(), &file);
        for at in 0..=file.len() {
            let (first, second) = file.split_at(at);
            let cut = read_chunks(claims.clone(), MAX_RECORD_BYTES, &[first, second]);
            assert_eq!(
                cut,
                whole,
                "at {at} of {:?}",
                String::from_utf8_lossy(&file)
            );
        }
    }
}

/// Of a file that is longer than what is looked at first.
#[test]
fn cuts_around_the_first_look_do_not_matter() {
    let mut file = b"n,ort\n".to_vec();
    while file.len() < HEAD_BYTES - 2 {
        file.extend_from_slice(b"1,x\n");
    }
    file.truncate(HEAD_BYTES - 2);
    file.extend_from_slice("1,K\u{f6}ln\n2,\"a\nb\"\n3,4,5\n".as_bytes());
    let whole = read_file(named("x.csv"), &file);
    assert_eq!(
        whole.as_ref().map(|(_, summary)| summary.errors.count),
        Ok(1)
    );
    for at in HEAD_BYTES - 10..file.len() {
        let (first, second) = file.split_at(at);
        let cut = read_chunks(named("x.csv"), MAX_RECORD_BYTES, &[first, b"", second]);
        assert_eq!(cut, whole, "at {at}");
    }
}

proptest! {
    #[test]
    fn cuts_do_not_matter(which in any::<prop::sample::Index>(), sizes in prop::collection::vec(0_usize..9, 1..40)) {
        let files = files();
        let (claims, file) = &files[which.index(files.len())];
        let mut rest = &file[..];
        let mut chunks = Vec::new();
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let cut = read_chunks(claims.clone(), MAX_RECORD_BYTES, &chunks);
        prop_assert_eq!(cut, read_file(claims.clone(), file));
    }

    /// Texts of the characters that matter.
    #[test]
    fn chunks_do_not_matter(text in "[a#<=\"{}:;,|1 \r\n\\\\é\t\u{1E}]{0,80}", size in 1_usize..9, limit in 1_usize..60) {
        for claims in [csv(), jsonl(), named("x.csv")] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(
                read_chunks(claims.clone(), limit, &chunks),
                read_chunks(claims, limit, &[text.as_bytes()])
            );
        }
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), magic in 0..8_usize, size in 1_usize..9) {
        let magic: &[u8] = [&b""[..], b"\x1F\x8B\x08", b"\x28\xB5\x2F\xFD", b"\xFF\xFE", b"\xFE\xFF", b"\xEF\xBB\xBF", b"\x1E", b"a,b\n"][magic];
        let bytes = [magic, &bytes].concat();
        for claims in [jsonl(), csv(), named("x")] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let cut = read_chunks(claims.clone(), 50, &chunks);
            prop_assert_eq!(cut, read_chunks(claims, 50, &[&bytes]));
        }
    }
}
