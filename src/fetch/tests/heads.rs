//! Old, odd and wrong heads and framing. httpx behaves in the same way unless a comment says otherwise.

use std::time::Duration;

use super::server::{Reply, Server, answer};
use super::{kind, kind_of, long_timeouts, open_to, read, text};
use crate::fetch::MAX_HEAD;

fn framed(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let with = |headers: String| answer("200 OK", &headers, "{}");
    let fits = with(format!("x: {}\r\n", "y".repeat(MAX_HEAD - 100)));
    let server = Server::saying(fits).await;
    assert!(
        open_to(long_timeouts(), &[&server])
            .get(&server.url("/"))
            .await
            .is_ok()
    );
    let large = with(format!("x: {}\r\n", "y".repeat(MAX_HEAD + 1)));
    assert_eq!(kind_of(long_timeouts(), large).await, "headers_too_large");
    // Over the parser's own limit.
    let huge = with(format!("x: {}\r\n", "y".repeat(1 << 20)));
    assert_eq!(kind_of(long_timeouts(), huge).await, "headers_too_large");
    // `Content-Length` is one header more.
    for count in [99, 100, 150, 255] {
        let many = read(with("x: y\r\n".repeat(count))).await;
        assert_eq!(many.unwrap().body, "{}", "{count}");
    }
    for count in [256, 300, 1000] {
        let error = read(with("x: y\r\n".repeat(count))).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), ("headers_too_large", 502));
        assert!(error.to_string().contains("256"), "{error}");
    }
    let server = Server::start(|_| {
        Reply::Repeat(
            b"HTTP/1.1 200 OK\r\n".into(),
            b"x: y\r\n".into(),
            Duration::ZERO,
        )
    })
    .await;
    assert_eq!(
        kind(&open_to(long_timeouts(), &[&server]), &server.url("/")).await,
        "headers_too_large"
    );
}

#[tokio::test]
async fn folded_header_lines_are_one_line() {
    for fold in ["\r\n ", "\r\n\t", "\r\n   ", "\r\n \r\n  "] {
        let headers = format!("content-type: text/csv;{fold}charset=latin1\r\nx: a{fold}b\r\n");
        let answer = read(answer("200 OK", &headers, "{}")).await.unwrap();
        assert_eq!(text(&answer), "{}", "{fold:?}");
        let content_type = answer.content_type.unwrap();
        let words: Vec<_> = content_type.split_whitespace().collect();
        assert_eq!(words, ["text/csv;", "charset=latin1"], "{fold:?}");
        // The value may be on the second line only.
        let framing = [
            (format!("content-length:{fold}2\r\n"), "{}"),
            (
                format!("transfer-encoding:{fold}chunked\r\n"),
                "2\r\n{}\r\n0\r\n\r\n",
            ),
        ];
        for (headers, body) in framing {
            assert_eq!(
                read(framed(&headers, body)).await.unwrap().body,
                "{}",
                "{headers:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_folded_location_is_followed() {
    let server = Server::start(|path| match path {
        "/" => {
            Reply::Send(b"HTTP/1.1 302 F\r\nlocation:\r\n /end\r\ncontent-length: 0\r\n\r\n".into())
        }
        _ => Reply::Send(answer("200 OK", "", path)),
    })
    .await;
    let end = open_to(long_timeouts(), &[&server])
        .get(&server.url("/"))
        .await;
    assert_eq!(end.unwrap().body, "/end");
}

#[tokio::test]
async fn a_wrongly_folded_line_is_a_protocol_error() {
    // A folded line without a header before, and a length on two lines.
    for headers in [
        " x: a\r\ncontent-length: 2\r\n",
        "content-length: 1\r\n 2\r\n",
    ] {
        assert_eq!(
            kind_of(long_timeouts(), framed(headers, "{}")).await,
            "protocol_error"
        );
    }
}

#[tokio::test]
async fn odd_but_complete_answers_are_read() {
    // One table of answers, so the function is long.
    let chunked = "transfer-encoding: chunked\r\n";
    let length = "content-length: 2\r\n";
    let many = "x: y\r\n".repeat(200);
    for bytes in [
        // No reason phrase, bare line feeds, an empty line first (refused by httpx).
        format!("HTTP/1.1 200\r\n{length}\r\n{{}}"),
        format!("HTTP/1.1 200 \r\n{length}\r\n{{}}"),
        "HTTP/1.1 200 OK\ncontent-length: 2\n\n{}".into(),
        format!("\r\nHTTP/1.1 200 OK\r\n{length}\r\n{{}}"),
        // Interim answers.
        format!("HTTP/1.1 100 Continue\r\n\r\n{}", framed(length, "{}")),
        format!(
            "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n{}",
            framed(length, "{}")
        ),
        format!(
            "{}{}",
            "HTTP/1.1 102 P\r\n\r\n".repeat(50),
            framed(length, "{}")
        ),
        // The end of the connection is the end of the body.
        framed("", "{}"),
        "HTTP/1.0 200 OK\r\n\r\n{}".into(),
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n{}".into(),
        framed("transfer-encoding: identity\r\n", "{}"),
        // Lengths.
        framed(&length.repeat(2), "{}"),
        framed("content-length: 2, 2\r\n", "{}"),
        framed("content-length:  002  \r\n", "{}"),
        framed(length, "{}and more"),
        // Chunks: extensions, trailers, and a `Content-Length`, which is ignored.
        framed(chunked, "2;a=\"b;c\"\r\n{}\r\n0;x\r\n\r\n"),
        framed(chunked, "0002 \r\n{}\r\n000\r\n\r\n"),
        framed(chunked, "2\r\n{}\r\n0\r\nx: y\r\nz: \u{e9}\r\n\r\n"),
        framed(chunked, &format!("2\r\n{{}}\r\n0\r\n{many}\r\n")),
        framed(chunked, "2\r\n{}\r\n0\r\n\r\nand more"),
        framed(
            &format!("{chunked}content-length: 20\r\n"),
            "2\r\n{}\r\n0\r\n\r\n",
        ),
        framed("Transfer-Encoding: Chunked \r\n", "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let answer = read(bytes.as_str()).await;
        assert_eq!(
            answer.map(|answer| answer.body),
            Ok("{}".into()),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn a_204_and_a_304_have_no_body() {
    for status in ["204 No Content", "304 Not Modified"] {
        for framing in ["content-length: 2\r\n", "transfer-encoding: chunked\r\n"] {
            let bytes = format!("HTTP/1.1 {status}\r\n{framing}\r\n2\r\n{{}}\r\n0\r\n\r\n");
            assert_eq!(read(bytes).await.unwrap().body, "", "{status} {framing}");
        }
    }
}

#[tokio::test]
async fn a_header_may_contain_any_bytes() {
    for (value, read_as) in [
        (&b"a/b; x=caf\xe9"[..], "a/b; x=caf\u{e9}"),
        ("a/b; x=caf\u{e9}".as_bytes(), "a/b; x=caf\u{e9}"),
        (b"\xff\xfe", "\u{ff}\u{fe}"),
    ] {
        let head = [b"HTTP/1.1 200 \xe9\r\ncontent-type: ", value, b"\r\n\r\n{}"].concat();
        let answer = read(head).await.unwrap();
        assert_eq!(answer.content_type.as_deref(), Some(read_as));
    }
}

#[tokio::test]
async fn an_unsupported_transfer_coding_is_a_protocol_error() {
    for coding in [
        "gzip",
        "gzip, chunked",
        "chunked, identity",
        "chunked, chunked",
        "chunked\r\ntransfer-encoding: chunked",
        "foo",
    ] {
        let headers = format!("transfer-encoding: {coding}\r\n");
        let bytes = framed(&headers, "2\r\n{}\r\n0\r\n\r\n");
        assert_eq!(
            kind_of(long_timeouts(), bytes).await,
            "protocol_error",
            "{coding:?}"
        );
    }
    let switched = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n{}";
    assert_eq!(kind_of(long_timeouts(), switched).await, "protocol_error");
}
