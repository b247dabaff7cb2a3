use std::time::{Duration, Instant};

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::watch;

use super::server::{Reply, Server, ok};
use super::{Limits, long_timeouts, open_to, text};

fn urls(server: &Server, count: usize) -> Vec<String> {
    (0..count).map(|n| server.url(&format!("/{n}"))).collect()
}

async fn slow(delay: Duration) -> Server {
    Server::start(move |path| Reply::Later(delay, ok(path))).await
}

#[tokio::test]
async fn two_hundred_urls_of_one_host_are_fetched_sixteen_at_a_time() {
    let server = slow(Duration::from_millis(100)).await;
    let began = Instant::now();
    let fetcher = open_to(long_timeouts(), &[&server]);
    let mut indexes: Vec<_> = fetcher
        .fetch_many(urls(&server, 200))
        .map(|(index, result)| {
            assert_eq!(text(&result.unwrap()), format!("/{index}"));
            index
        })
        .collect()
        .await;
    let took = began.elapsed();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..200).collect::<Vec<_>>());
    // 13 rounds of 16. The upper limit leaves room for a busy machine.
    assert!(
        took >= Duration::from_millis(1300) && took < Duration::from_secs(3),
        "{took:?}"
    );
    let seen = server.seen();
    assert_eq!((seen.most, seen.connections), (16, 16));
}

#[tokio::test]
async fn all_hosts_together_respect_the_total_concurrency() {
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(slow(Duration::from_millis(20)).await);
    }
    let limits = Limits {
        total_concurrency: 10,
        per_host_concurrency: 4,
        ..long_timeouts()
    };
    let fetcher = open_to(limits, &servers.iter().collect::<Vec<_>>());
    let all: Vec<_> = servers.iter().flat_map(|server| urls(server, 20)).collect();
    // Two streams at once share the total.
    let running = || -> usize { servers.iter().map(|server| server.seen().running).sum() };
    let mut most = 0;
    let mut both =
        futures_util::stream::select(fetcher.fetch_many(all.clone()), fetcher.fetch_many(all));
    let mut good = 0;
    while let Some((_, result)) = both.next().await {
        good += usize::from(result.is_ok());
        most = most.max(running());
    }
    assert_eq!(good, 160);
    assert!(most <= 10, "{most}");
    assert!(servers.iter().all(|server| server.seen().most <= 8));
    assert!(servers.iter().any(|server| server.seen().most >= 2));
}

#[tokio::test]
async fn a_host_that_hangs_does_not_delay_another() {
    let (open, gate) = watch::channel(false);
    let stuck = Server::start(move |_| Reply::Gate(gate.clone(), ok("late"))).await;
    let quick = Server::start(|_| Reply::Send(ok("quick"))).await;
    // The stuck host's URLs come first, and are more than there are slots.
    let all: Vec<_> = [urls(&stuck, 100), urls(&quick, 100)].concat();
    let fetcher = open_to(long_timeouts(), &[&stuck, &quick]);
    let mut stream = fetcher.fetch_many(all);
    assert_eq!(stream.size_hint(), (200, Some(200)));
    for _ in 0..100 {
        let (index, result) = stream.next().await.unwrap();
        assert!(index >= 100 && text(&result.unwrap()) == "quick");
    }
    assert_eq!(stuck.seen().most, 16);
    open.send_replace(true);
    assert_eq!(stream.size_hint().0, 100);
    assert_eq!(stream.collect::<Vec<_>>().await.len(), 100);
    assert_eq!(stuck.seen().most, 16);
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_running_fetches() {
    let server = Server::start(|_| Reply::Stall(Vec::new())).await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    let mut stream = fetcher.fetch_many(urls(&server, 100));
    assert!(stream.next().now_or_never().is_none());
    server.until(|seen| seen.requests.len() == 16).await;
    drop(stream);
    server.until(|seen| seen.closed == 16).await;
    assert_eq!(server.seen().requests.len(), 16);
    // No fetch went on without the stream, and the slots are free again.
    let other = Server::start(|_| Reply::Send(ok("1"))).await;
    let fetcher = open_to(
        Limits {
            total_concurrency: 1,
            ..long_timeouts()
        },
        &[&server, &other],
    );
    let mut stream = fetcher.fetch_many(urls(&server, 1));
    assert!(stream.next().now_or_never().is_none());
    server.until(|seen| seen.requests.len() == 17).await;
    drop(stream);
    assert!(
        fetcher
            .fetch_many(urls(&other, 1))
            .next()
            .await
            .unwrap()
            .1
            .is_ok()
    );
}

#[tokio::test]
async fn a_reader_that_pauses_holds_no_more_bodies_than_slots() {
    let server = Server::start(|path| Reply::Send(ok(path))).await;
    let limits = Limits {
        total_concurrency: 5,
        ..long_timeouts()
    };
    let fetcher = open_to(limits, &[&server]);
    let mut stream = fetcher.fetch_many(urls(&server, 50));
    assert!(stream.next().await.unwrap().1.is_ok());
    // Each result that is read frees a slot. The running fetches go on without the reader.
    server.until(|seen| seen.requests.len() == 6).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.seen().requests.len(), 6);
    assert_eq!(stream.count().await, 49);
}

#[tokio::test]
async fn a_bad_url_fails_alone() {
    let server = Server::start(|_| Reply::Send(ok("1"))).await;
    let all = [
        "no url".to_owned(),
        server.url("/"),
        "http://10.0.0.1/".into(),
        "file:///x".into(),
        server.url("/"),
    ];
    let fetcher = open_to(long_timeouts(), &[&server]);
    let mut results: Vec<_> = fetcher
        .fetch_many(all)
        .map(|(index, result)| (index, result.map_or_else(|error| error.kind(), |_| "ok")))
        .collect()
        .await;
    results.sort_unstable();
    let expected = [
        "invalid_url",
        "ok",
        "forbidden_address",
        "unsupported_scheme",
        "ok",
    ];
    assert_eq!(
        results,
        expected.into_iter().enumerate().collect::<Vec<_>>()
    );
    assert_eq!(fetcher.fetch_many(Vec::<String>::new()).count().await, 0);
}

#[tokio::test]
async fn a_concurrency_of_zero_counts_as_one() {
    let server = Server::start(|_| Reply::Send(ok("1"))).await;
    let limits = Limits {
        total_concurrency: 0,
        per_host_concurrency: 0,
        ..long_timeouts()
    };
    let fetcher = open_to(limits, &[&server]);
    assert_eq!(fetcher.fetch_many(urls(&server, 3)).count().await, 3);
}
