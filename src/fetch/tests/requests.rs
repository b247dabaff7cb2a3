//! The requests that a fetcher sends.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;

use super::server::{Reply, Server, ok, redirect};
use super::{kind, long_timeouts, open_to, text};
use crate::trace::Trace;

#[tokio::test]
async fn a_request_has_no_cookie_and_no_referer() {
    let server = Server::start(|path| {
        Reply::Send(match path {
            "/start?token=1" => {
                let mut head = redirect("/end");
                let cookie = b"set-cookie: session=1; path=/\r\n";
                let at = head.iter().position(|&byte| byte == b'\n').unwrap() + 1;
                head.splice(at..at, *cookie);
                head
            }
            _ => ok("{}"),
        })
    })
    .await;
    open_to(long_timeouts(), &[&server])
        .get(&server.url("/start?token=1"))
        .await
        .unwrap();
    let requests = server.seen().requests;
    for (request, path) in requests.iter().zip(["/start?token=1", "/end"]) {
        let mut lines: Vec<_> = request.trim_end().lines().collect();
        assert_eq!(lines.remove(0), format!("GET {path} HTTP/1.1"));
        lines.sort_unstable();
        let agent = format!("user-agent: async-service/{}", env!("CARGO_PKG_VERSION"));
        let host = format!("host: {}", server.host());
        let accept = "accept: application/json, */*;q=0.8";
        let encoding = "accept-encoding: gzip, br, deflate";
        // No cookie, no referer, no header of a caller.
        assert_eq!(lines, [encoding, accept, &host, &agent]);
    }
}

#[tokio::test]
async fn the_requests_of_a_fetch_go_on_in_its_trace() {
    let server = Server::start(|path| {
        Reply::Send(match path {
            "/start" => redirect("/end"),
            _ => ok("{}"),
        })
    })
    .await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = Trace::new(parent, Some("vendor=1")).unwrap();
    let fetcher = open_to(long_timeouts(), &[&server]);
    let traced = fetcher.in_trace(Some(&trace));
    traced.get(&server.url("/start")).await.unwrap();
    let many = traced.fetch_many([server.url("/many")]);
    assert!(many.collect::<Vec<_>>().await[0].1.is_ok());
    fetcher.get(&server.url("/alone")).await.unwrap();
    let header = format!("traceparent: {parent}\r\n");
    let seen: Vec<_> = server.seen().requests;
    let is_traced = |request: &String| request.contains(&header);
    assert_eq!(seen.iter().filter(|request| is_traced(request)).count(), 3);
    assert!(!is_traced(&seen[3]), "{seen:?}");
    // The state is a text of a client, and the URLs are anybody's.
    assert!(seen.iter().all(|request| !request.contains("tracestate")));
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_clones() {
    let server = Server::start(|_| Reply::Send(ok("{}"))).await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    for _ in 0..5 {
        fetcher.clone().get(&server.url("/")).await.unwrap();
    }
    assert_eq!(
        (server.seen().connections, server.seen().requests.len()),
        (1, 5)
    );
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_replaced() {
    let server = Server::saying(ok("{}")).await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    for fetched in 1..=3 {
        fetcher.get(&server.url("/")).await.unwrap();
        server.until(|seen| seen.closed == fetched).await;
    }
}

#[tokio::test]
async fn a_server_may_close_right_after_its_redirect() {
    // Late: on the second request of the connection, when that request is already on its way.
    let requests = AtomicUsize::new(0);
    let late = Server::start(
        move |path| match (path, requests.fetch_add(1, Ordering::Relaxed)) {
            ("/", _) => Reply::Send(redirect("/end")),
            (_, 1) => Reply::Close(Vec::new()),
            (path, _) => Reply::Send(ok(path)),
        },
    )
    .await;
    let answer = open_to(long_timeouts(), &[&late]).get(&late.url("/")).await;
    assert_eq!(text(&answer.unwrap()), "/end");
    assert_eq!(
        (late.seen().connections, late.seen().requests.len()),
        (2, 3)
    );
    // Early: before the second request, or during it.
    let soon = Server::start(|path| {
        Reply::Close(match path {
            "/" => redirect("/end"),
            path => ok(path),
        })
    })
    .await;
    for _ in 0..200 {
        let answer = open_to(long_timeouts(), &[&soon]).get(&soon.url("/")).await;
        assert_eq!(text(&answer.unwrap()), "/end");
    }
}

#[tokio::test]
async fn a_pooled_connection_that_closes_during_a_request_is_replaced() {
    let requests = AtomicUsize::new(0);
    let server = Server::start(move |path| match requests.fetch_add(1, Ordering::Relaxed) {
        5 => Reply::Close(Vec::new()),
        _ => Reply::Later(std::time::Duration::from_millis(20), ok(path)),
    })
    .await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    let urls = (0..5).map(|n| server.url(&format!("/{n}")));
    assert_eq!(fetcher.fetch_many(urls).count().await, 5);
    let answer = fetcher.get(&server.url("/again")).await;
    assert_eq!(text(&answer.unwrap()), "/again");
    // The four other connections may be closed too, so the client opens a new connection.
    assert_eq!(
        (server.seen().connections, server.seen().requests.len()),
        (6, 7)
    );
}

#[tokio::test]
async fn a_request_is_repeated_once() {
    for bytes in ["", "HTTP/1.1 200 O"] {
        let server = Server::saying(bytes).await;
        assert_eq!(
            kind(&open_to(long_timeouts(), &[&server]), &server.url("/")).await,
            "interrupted"
        );
        assert_eq!(server.seen().requests.len(), 2, "{bytes:?}");
    }
    // A request with the beginning of an answer is not repeated.
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}").await;
    assert_eq!(
        kind(&open_to(long_timeouts(), &[&server]), &server.url("/")).await,
        "interrupted"
    );
    assert_eq!(server.seen().requests.len(), 1);
}
