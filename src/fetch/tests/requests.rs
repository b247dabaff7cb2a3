//! What is sent.

use super::server::{Reply, Server, ok, redirect};
use super::{calm, open_to};

#[tokio::test]
async fn a_request_says_only_what_it_must() {
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
    open_to(calm(), &[&server])
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
        // No cookie, no referer, nothing of a caller.
        assert_eq!(lines, [encoding, accept, &host, &agent]);
    }
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_clones() {
    let server = Server::start(|_| Reply::Send(ok("{}"))).await;
    let fetcher = open_to(calm(), &[&server]);
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
    let fetcher = open_to(calm(), &[&server]);
    for fetched in 1..=3 {
        fetcher.get(&server.url("/")).await.unwrap();
        server.until(|seen| seen.closed == fetched).await;
    }
}
