//! Hostile and broken answers.

use std::time::{Duration, Instant};

use super::encodings::gzip;
use super::server::{Reply, Server, answer, ok};
use super::{
    Limits, closed_port, error_of, kind, kind_of, long_timeouts, network, open_to, short_timeouts,
    text,
};
use crate::fetch::target::Scope;
use crate::fetch::{FetchError, Fetcher};

const KIB: usize = 1024;

fn small() -> Limits {
    Limits {
        max_body: 64 * KIB,
        ..long_timeouts()
    }
}

#[tokio::test]
async fn answers_of_any_status_are_returned() {
    for status in [
        "200 OK",
        "204 No Content",
        "404 Not Found",
        "429 Slow",
        "500 Oops",
        "599 Odd",
    ] {
        let body = if status.starts_with("204") { "" } else { "{}" };
        let server = Server::saying(answer(status, "Content-Type: a/b; c=d\r\n", body)).await;
        let answer = open_to(long_timeouts(), &[&server])
            .get(&server.url("/x?q=1#f"))
            .await
            .unwrap();
        assert_eq!(
            (answer.status.to_string(), text(&answer)),
            (status[..3].into(), body)
        );
        assert_eq!(answer.content_type.as_deref(), Some("a/b; c=d"));
        assert_eq!(answer.url, server.url("/x?q=1"));
    }
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
    let body = "x".repeat(64 * KIB);
    let server = Server::saying(ok(&body)).await;
    let answer = open_to(small(), &[&server])
        .get(&server.url("/"))
        .await
        .unwrap();
    assert_eq!(answer.body.len(), 64 * KIB);
    let server = Server::saying(format!("HTTP/1.1 200 OK\r\n\r\n{body}x")).await;
    let error = error_of(&open_to(small(), &[&server]), &server.url("/")).await;
    assert_eq!(error, FetchError::BodyTooLarge(64 * KIB as u64));
    assert_eq!((error.status(), error.is_transient()), (502, false));
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_at_once() {
    let server = Server::start(|_| {
        Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n".into())
    })
    .await;
    assert_eq!(
        kind(&open_to(small(), &[&server]), &server.url("/")).await,
        "body_too_large"
    );
    server.until(|seen| seen.closed == 1).await;
}

#[tokio::test]
async fn reading_an_endless_body_stops_at_the_limit() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let piece = match head.contains("chunked") {
            true => format!("1000\r\n{}\r\n", "x".repeat(0x1000)),
            false => "x".repeat(0x1000),
        };
        let server = Server::start(move |_| {
            Reply::Repeat(head.into(), piece.clone().into(), Duration::ZERO)
        })
        .await;
        assert_eq!(
            kind(&open_to(small(), &[&server]), &server.url("/")).await,
            "body_too_large"
        );
        server.until(|seen| seen.closed == 1).await;
    }
}

#[tokio::test]
async fn slow_answers_time_out() {
    let pause = Duration::from_millis(50);
    let head: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    // Never a byte; half a head; a head and then silence; a drip of head; a drip of body; a flood
    // of interim answers; compressed bytes that never become any data.
    let replies: [fn(Duration, &[u8]) -> Reply; 7] = [
        |_, _| Reply::Stall(Vec::new()),
        |_, head| Reply::Stall(head[..20].into()),
        |_, head| Reply::Stall(head.into()),
        |pause, _| Reply::Repeat(b"HTTP/1.1 200 OK\r\nx: ".into(), b"y".into(), pause),
        |pause, head| Reply::Repeat(head.into(), b"z".into(), pause),
        |_, _| {
            Reply::Repeat(
                Vec::new(),
                b"HTTP/1.1 100 Continue\r\n\r\n".into(),
                Duration::ZERO,
            )
        },
        |_, _| {
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
            Reply::Repeat(head.into(), gzip(b"").repeat(100), Duration::ZERO)
        },
    ];
    for (case, reply) in replies.into_iter().enumerate() {
        let server = Server::start(move |_| reply(pause, head)).await;
        let began = Instant::now();
        let error = error_of(&open_to(short_timeouts(), &[&server]), &server.url("/")).await;
        assert_eq!(
            (error.kind(), error.status()),
            ("timeout", 504),
            "case {case}"
        );
        assert!(error.is_transient() && began.elapsed() < Duration::from_secs(10));
        // The connection is closed too, not only abandoned.
        server.until(|seen| seen.closed == 1).await;
    }
}

#[tokio::test]
async fn redirects_share_the_timeout_of_one_fetch() {
    let step = Duration::from_millis(150);
    let server = Server::start(move |_| Reply::Later(step, super::server::redirect("/"))).await;
    let limits = Limits {
        max_redirects: 1000,
        ..short_timeouts()
    };
    assert_eq!(
        kind(&open_to(limits, &[&server]), &server.url("/")).await,
        "timeout"
    );
}

#[tokio::test]
async fn a_refused_connection_is_connect_failed() {
    let list = format!("127.0.0.1:{}", closed_port());
    let scope = Scope::Public(list.parse().unwrap());
    let error = error_of(
        &Fetcher::new(long_timeouts(), scope, network()),
        &format!("http://{list}/"),
    )
    .await;
    assert_eq!(
        (error.kind(), error.status(), error.is_transient()),
        ("connect_failed", 502, true)
    );
    // The server accepts the connection and closes it without an answer.
    assert_eq!(kind_of(long_timeouts(), "").await, "interrupted");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_protocol_error() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "-ERR unknown command\r\n",
        "<html>hello</html>\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(
            kind_of(long_timeouts(), bytes).await,
            "protocol_error",
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn an_incomplete_answer_is_interrupted() {
    for bytes in [
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nx: y\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nfive!",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfive!\r\n",
    ] {
        let server = Server::saying(bytes).await;
        let error = error_of(&open_to(long_timeouts(), &[&server]), &server.url("/")).await;
        assert_eq!(
            (error.kind(), error.is_transient()),
            ("interrupted", true),
            "{bytes:?}"
        );
    }
    // Bytes behind the announced length are not read.
    let server =
        Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n").await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    assert_eq!(text(&fetcher.get(&server.url("/")).await.unwrap()), "ok");
    assert_eq!(text(&fetcher.get(&server.url("/")).await.unwrap()), "ok");
}
