use std::time::Duration;

use super::server::{Reply, Server, answer, ok, redirect};
use super::{Limits, long_timeouts, open_to, short_timeouts};
use crate::fetch::{Download, FetchError};

async fn drain(download: &mut Download) -> Result<usize, FetchError> {
    let mut read = 0;
    while let Some(piece) = download.chunk().await? {
        read += piece.len();
    }
    Ok(read)
}

#[tokio::test]
async fn a_download_may_be_larger_than_max_body() {
    let body = "0123456789".repeat(100_000);
    let server = Server::start(move |path| match path {
        "/" => Reply::Send(redirect("/data")),
        _ => Reply::Send(ok(&body)),
    })
    .await;
    let fetcher = open_to(
        Limits {
            max_body: 10,
            ..long_timeouts()
        },
        &[&server],
    );
    let mut download = fetcher.open(&server.url("/"), 1_000_000).await.unwrap();
    assert_eq!(
        (download.status, download.content_length),
        (200, Some(1_000_000))
    );
    assert_eq!(download.url, server.url("/data"));
    assert_eq!(download.content_type.as_deref(), Some("application/json"));
    assert_eq!(drain(&mut download).await, Ok(1_000_000));
    assert_eq!(download.chunk().await, Ok(None));
}

#[tokio::test]
async fn a_download_has_its_own_limit() {
    let limit = 100_000;
    let server = Server::start(|_| {
        Reply::Repeat(
            b"HTTP/1.1 200 OK\r\n\r\n".into(),
            vec![b'x'; 4096],
            Duration::ZERO,
        )
    })
    .await;
    let mut download = open_to(long_timeouts(), &[&server])
        .open(&server.url("/"), limit)
        .await
        .unwrap();
    assert_eq!(
        drain(&mut download).await,
        Err(FetchError::BodyTooLarge(limit))
    );
    // The download stays ended, and its connection is closed.
    assert_eq!(download.chunk().await, Ok(None));
    server.until(|seen| seen.closed == 1).await;

    let packed = super::encodings::gzip(&vec![0; 1_000_000]);
    let server = Server::saying(answer("200 OK", "content-encoding: gzip\r\n", packed)).await;
    let mut download = open_to(long_timeouts(), &[&server])
        .open(&server.url("/"), limit)
        .await
        .unwrap();
    assert_eq!(
        drain(&mut download).await,
        Err(FetchError::BodyTooLarge(limit))
    );

    let server = Server::saying(ok(&"x".repeat(1000))).await;
    let refused = open_to(long_timeouts(), &[&server])
        .open(&server.url("/"), 999)
        .await;
    assert_eq!(refused.err(), Some(FetchError::BodyTooLarge(999)));
}

#[tokio::test]
async fn a_download_may_take_long_but_not_pause_long() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n";
    // Each piece is in time. All pieces together take longer than the timeout of a fetch.
    let pause = Duration::from_millis(20);
    let server = Server::start(move |_| Reply::Repeat(head.to_vec(), b"x".into(), pause)).await;
    let limits = Limits {
        timeout: pause * 15,
        idle_timeout: Duration::from_secs(30),
        ..short_timeouts()
    };
    let mut download = open_to(limits, &[&server])
        .open(&server.url("/"), 100)
        .await
        .unwrap();
    assert_eq!(drain(&mut download).await, Ok(20));

    let server = Server::start(|_| Reply::Stall(head.to_vec())).await;
    let mut download = open_to(short_timeouts(), &[&server])
        .open(&server.url("/"), 100)
        .await
        .unwrap();
    assert_eq!(drain(&mut download).await, Err(FetchError::Timeout));
    server.until(|seen| seen.closed == 1).await;

    let server = Server::start(|_| Reply::Stall(Vec::new())).await;
    let refused = open_to(short_timeouts(), &[&server])
        .open(&server.url("/"), 100)
        .await;
    assert_eq!(refused.err(), Some(FetchError::Timeout));
}

#[tokio::test]
async fn an_incomplete_download_is_interrupted() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nabc").await;
    let mut download = open_to(long_timeouts(), &[&server])
        .open(&server.url("/"), 100)
        .await
        .unwrap();
    assert_eq!(drain(&mut download).await, Err(FetchError::Interrupted));
    assert_eq!(download.chunk().await, Ok(None));
    let refused = open_to(long_timeouts(), &[])
        .open("http://10.0.0.1/", 100)
        .await;
    assert_eq!(refused.err(), Some(FetchError::ForbiddenAddress));
}
