//! Bodies by their `Content-Encoding`. The tables are httpx's behaviour, with three differences: httpx
//! accepts an incomplete body, stops after the first member of a gzip file, and returns a body of an
//! unknown encoding undecoded.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::server::{Reply, Server, answer};
use super::{Limits, kind_of, long_timeouts, open_to, read, short_timeouts, text};
use crate::fetch::FetchError;

const KIB: usize = 1024;

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn brotli(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*data, &mut packed, &Default::default()).unwrap();
    packed
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn raw(data: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// An answer with a `Content-Encoding` line for each name.
fn encoded(names: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let line = |name: &&str| format!("content-encoding: {name}\r\n");
    let headers: String = names.iter().map(line).collect();
    answer("200 OK", &headers, body)
}

#[tokio::test]
async fn compressed_answers_are_decompressed() {
    let data = "a lot of the same ".repeat(1000);
    let packed = [
        ("gzip", gzip(data.as_bytes())),
        ("br", brotli(data.as_bytes())),
        ("deflate", zlib(data.as_bytes())),
        ("identity", data.clone().into()),
    ];
    for (name, packed) in packed {
        let server = Server::saying(answer(
            "200 OK",
            &format!("content-encoding: {name}\r\n"),
            packed,
        ))
        .await;
        let answer = open_to(long_timeouts(), &[&server])
            .get(&server.url("/"))
            .await
            .unwrap();
        assert_eq!(text(&answer), data, "{name}");
    }
}

#[tokio::test]
async fn several_gzip_members_are_one_body() {
    let data = "a lot of the same ".repeat(1000);
    let halves = data.split_at(5000);
    let members = [
        gzip(halves.0.as_bytes()),
        gzip(b""),
        gzip(halves.1.as_bytes()),
    ]
    .concat();
    // The name of the encoding has other spellings.
    for name in ["gzip", "GZip", "x-gzip"] {
        let headers = format!("content-encoding: identity\r\ncontent-encoding: {name}\r\n");
        let server = Server::saying(answer("200 OK", &headers, &members)).await;
        let answer = open_to(long_timeouts(), &[&server])
            .get(&server.url("/"))
            .await
            .unwrap();
        assert_eq!(text(&answer), data, "{name}");
    }
}

#[tokio::test]
async fn an_empty_answer_may_have_a_content_encoding() {
    let server = Server::saying(answer("204 No Content", "content-encoding: gzip\r\n", "")).await;
    assert_eq!(
        open_to(long_timeouts(), &[&server])
            .get(&server.url("/"))
            .await
            .unwrap()
            .body,
        ""
    );
}

#[tokio::test]
async fn deflate_is_zlib_or_the_bare_stream() {
    let long = "a lot of the same ".repeat(10_000);
    for data in [long.as_str(), "{}", "x", ""] {
        let data = data.as_bytes();
        let forms = [
            zlib(data),
            raw(data, Compression::best()),
            raw(data, Compression::fast()),
            raw(data, Compression::none()),
        ];
        for (form, packed) in forms.into_iter().enumerate() {
            let answer = read(encoded(&["Deflate"], packed)).await.unwrap();
            assert!(answer.body == data, "{form} of {} bytes", data.len());
        }
    }
}

#[tokio::test]
async fn words_that_name_no_compression_are_ignored() {
    for word in [
        "identity",
        "Identity",
        "UTF-8",
        "utf8",
        "aws-chunked",
        "none",
        "binary",
        "8bit",
        "*",
        "",
        ",",
        " , ",
        "text/plain",
        "gzip;q=1",
        "chunked",
        "x-unknown",
        "iso-8859-1",
        "base64",
        "\u{e9}",
    ] {
        let answer = read(encoded(&[word], "{}")).await.unwrap();
        assert_eq!(text(&answer), "{}", "{word:?}");
    }
    for words in [
        &["aws-chunked, gzip"][..],
        &["gzip,aws-chunked"],
        &[" GZip , identity "],
        &["identity", "gzip"],
        &["x-gzip", "utf-8"],
    ] {
        let answer = read(encoded(words, gzip(b"{}"))).await.unwrap();
        assert_eq!(text(&answer), "{}", "{words:?}");
    }
}

#[tokio::test]
async fn several_encodings_are_decoded_from_the_last() {
    let once = gzip(b"{}");
    for (words, packed) in [
        (&["gzip, deflate"][..], zlib(&once)),
        (&["gzip", "deflate"], raw(&once, Compression::best())),
        (&["deflate,gzip"], gzip(&zlib(b"{}"))),
        (&["br, gzip"], gzip(&brotli(b"{}"))),
        (&["gzip", "gzip"], gzip(&once)),
        (&["gzip, identity, gzip, gzip"], gzip(&gzip(&once))),
        (
            &["gzip, gzip, gzip, gzip, gzip"],
            gzip(&gzip(&gzip(&gzip(&once)))),
        ),
    ] {
        let answer = read(encoded(words, packed)).await.unwrap();
        assert_eq!(text(&answer), "{}", "{words:?}");
    }
    let six = read(encoded(&["gzip, gzip, gzip", "gzip, gzip, gzip"], "")).await;
    let error = six.unwrap_err();
    assert_eq!(error, FetchError::TooManyEncodings(5));
    assert_eq!(
        (error.kind(), error.is_transient()),
        ("bad_encoding", false)
    );
}

#[tokio::test]
async fn an_empty_body_needs_no_decoder() {
    for word in [
        "gzip",
        "br",
        "deflate",
        "gzip, deflate",
        "deflate, br, gzip",
    ] {
        assert_eq!(read(encoded(&[word], "")).await.unwrap().body, "", "{word}");
        for status in ["204 No Content", "304 Not Modified"] {
            let head = format!("HTTP/1.1 {status}\r\ncontent-encoding: {word}\r\n\r\n");
            assert_eq!(read(head).await.unwrap().body, "", "{word} {status}");
        }
    }
}

#[tokio::test]
async fn bytes_after_the_compressed_data_are_dropped() {
    for rest in [&b"and more"[..], &[0; 512], b"\n"] {
        for (word, packed) in [
            ("gzip", gzip(b"{}")),
            ("gzip", [gzip(b"{"), gzip(b"}")].concat()),
            ("deflate", zlib(b"{}")),
            ("deflate", raw(b"{}", Compression::best())),
        ] {
            let packed = [&packed, rest].concat();
            let answer = read(encoded(&[word], packed)).await.unwrap();
            assert_eq!(text(&answer), "{}", "{word} {rest:?}");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_read_to_the_end_of_its_transfer() {
    let packed = [
        ("gzip", gzip(b"{}")),
        ("deflate", zlib(b"{}")),
        ("deflate", raw(b"{}", Compression::best())),
        ("br", brotli(b"{}")),
        ("gzip, deflate", zlib(&gzip(b"{}"))),
    ];
    for (word, packed) in packed {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {word}\r\n");
        // Byte by byte. Then the connection is reused.
        let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
        for byte in &packed {
            chunked.extend([b"1\r\n", &[*byte][..], b"\r\n"].concat());
        }
        let whole = [&chunked[..], b"0\r\n\r\n"].concat();
        let server = Server::start(move |_| Reply::Send(whole.clone())).await;
        let fetcher = open_to(long_timeouts(), &[&server]);
        for _ in 0..3 {
            let answer = fetcher.get(&server.url("/")).await.unwrap();
            assert_eq!(text(&answer), "{}", "{word}");
        }
        assert_eq!(server.seen().connections, 1, "{word}");
        // The data is complete, the transfer is not.
        let long = format!("{head}content-length: 1000\r\n\r\n").into_bytes();
        for cut in [chunked, [long, packed].concat()] {
            assert_eq!(kind_of(long_timeouts(), cut).await, "interrupted", "{word}");
        }
    }
}

#[tokio::test]
async fn the_error_of_an_unsupported_encoding_names_the_encoding() {
    for word in [
        "zstd",
        "Compress",
        "x-compress",
        "bzip2",
        "lz4",
        "snappy",
        "aes128gcm",
        "dcb",
    ] {
        for words in [&[word][..], &["gzip", word], &[&format!("{word}, gzip")]] {
            let error = read(encoded(words, "{}")).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.status()),
                ("bad_encoding", 502),
                "{words:?}"
            );
            let text = error.to_string();
            assert!(text.contains(&word.to_lowercase()), "{text}");
        }
    }
}

#[tokio::test]
async fn a_decompression_bomb_stops_at_the_limit() {
    let zeros = vec![0; 8 * KIB * KIB];
    for (name, bomb) in [
        ("gzip", gzip(&zeros)),
        ("br", brotli(&zeros)),
        ("deflate", zlib(&zeros)),
    ] {
        assert!(bomb.len() < 16 * KIB, "{name}");
        let bytes = answer("200 OK", &format!("content-encoding: {name}\r\n"), bomb);
        let limits = Limits {
            max_body: 256 * KIB,
            ..long_timeouts()
        };
        assert_eq!(kind_of(limits, bytes).await, "body_too_large", "{name}");
    }
    let twice = encoded(&["gzip, gzip"], gzip(&gzip(&zeros)));
    let limits = Limits {
        max_body: 256 * KIB,
        ..long_timeouts()
    };
    assert_eq!(kind_of(limits, twice).await, "body_too_large");
}

#[tokio::test]
async fn a_decompression_bomb_without_data_times_out() {
    let nothing = gzip(&gzip(b"").repeat(400_000));
    let bytes = encoded(&["gzip, gzip"], nothing);
    assert_eq!(kind_of(short_timeouts(), bytes).await, "timeout");
}

#[tokio::test]
async fn broken_compression_is_bad_encoding() {
    let whole = gzip("some data to be cut".repeat(100).as_bytes());
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    let half = [&whole[..], &whole[..whole.len() / 2]].concat();
    let packed = brotli(b"some data that will be cut short, somewhere in the middle of it");
    let cases = [
        ("gzip", b"this is no gzip at all".to_vec()),
        ("gzip", whole[..whole.len() / 2].to_vec()),
        ("gzip", flipped),
        ("gzip", whole[..whole.len() - 8].to_vec()),
        ("gzip", whole[..1].to_vec()),
        ("gzip", half),
        ("gzip", zlib(b"{}")),
        ("br", vec![0xff; 100]),
        ("br", packed[..packed.len() / 2].to_vec()),
        ("deflate", b"nor is this zlib".to_vec()),
        ("deflate", zlib(b"{}")[..5].to_vec()),
        ("deflate", raw(&whole, Compression::best())[..20].to_vec()),
        ("deflate", whole.clone()),
        ("gzip, br", whole.clone()),
        ("gzip, gzip", whole.clone()),
    ];
    for (name, body) in cases {
        let bytes = answer("200 OK", &format!("content-encoding: {name}\r\n"), &body);
        assert_eq!(
            kind_of(long_timeouts(), bytes).await,
            "bad_encoding",
            "{name} {body:?}"
        );
    }
}
