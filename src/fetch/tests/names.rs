//! Names that resolve to what they should not.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use super::server::{Reply, Server, ok, redirect};
use super::{Network, Script, calm, fault, kind, network, public_is_loopback, scripted, text};
use crate::fetch::resolve::{Resolve, Resolving};
use crate::fetch::target::Scope;
use crate::fetch::{AllowList, FetchError, Fetcher};

#[tokio::test]
async fn a_name_is_judged_by_every_address_it_has() {
    let answers: &[&[&str]] = &[
        &["169.254.169.254"],
        &["10.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["fd00:ec2::254"],
        &["64:ff9b::a00:1"],
        // One bad address among good ones is refused as well, wherever it stands.
        &["127.0.0.1", "10.0.0.1"],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "fe80::1"],
    ];
    let server = Server::saying(ok("reached")).await;
    for answer in answers {
        let fetcher = scripted(calm(), Script::new(&[answer]));
        let url = format!("http://metadata.google.internal:{}/", server.port);
        let error = fault(&fetcher, &url).await;
        assert_eq!(error, FetchError::ForbiddenAddress, "{answer:?}");
        assert_eq!((error.status(), error.is_transient()), (403, false));
    }
    assert_eq!(server.seen().connections, 0);
}

#[tokio::test]
async fn a_bad_address_behind_many_good_ones_is_found() {
    let mut addresses = vec!["127.0.0.1"; 40];
    addresses.push("10.0.0.1");
    let fetcher = scripted(calm(), Script::new(&[&addresses]));
    assert_eq!(
        kind(&fetcher, "http://many.example/").await,
        "forbidden_address"
    );
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_connected_to() {
    let server = Server::saying(ok("first")).await;
    let script = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = scripted(calm(), script.clone());
    let url = format!("http://rebind.example:{}/", server.port);
    assert_eq!(text(&fetcher.get(&url).await.unwrap()), "first");
    // One look-up for one connection: there is none between the check and the connection.
    assert_eq!(script.asked(), ["rebind.example"]);
    // The server closed, so the next fetch resolves again, and now the name is private.
    assert_eq!(kind(&fetcher, &url).await, "forbidden_address");
    assert_eq!((script.asked().len(), server.seen().connections), (2, 1));
}

/// A resolver that takes its time, and then refuses every other name.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
}

impl Resolve for Slow {
    fn resolve(&self, name: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_good = name.starts_with("good");
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let found = is_good.then(|| vec![Ipv4Addr::LOCALHOST.into()]);
            found.ok_or_else(|| "no such name".into())
        })
    }
}

#[tokio::test]
async fn connections_that_open_together_ask_for_a_name_once() {
    let server = Server::saying(ok("reached")).await;
    let slow = Arc::new(Slow::default());
    let network = Network {
        resolver: slow.clone(),
        is_forbidden: public_is_loopback,
        ..network()
    };
    let fetcher = Fetcher::new(calm(), Scope::Public(AllowList::none()), network);
    for (name, kinds, asked) in [("good", None, 1), ("bad", Some("dns_failure"), 2)] {
        let urls = (0..10).map(|n| format!("http://{name}.example:{}/{n}", server.port));
        let answers: Vec<_> = fetcher.fetch_many(urls).collect().await;
        let errors = answers.iter().map(|(_, answer)| answer.as_ref().err());
        let errors: Vec<_> = errors.map(|error| error.map(FetchError::kind)).collect();
        assert_eq!(errors, vec![kinds; 10]);
        assert_eq!(slow.asked.load(Ordering::Relaxed), asked);
    }
    // Later it is asked again.
    let url = format!("http://bad.example:{}/", server.port);
    assert_eq!(kind(&fetcher, &url).await, "dns_failure");
    assert_eq!(slow.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_pooled_connection_needs_no_second_look() {
    let server = Server::start(|_| Reply::Send(ok("again"))).await;
    let script = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = scripted(calm(), script.clone());
    let url = format!("http://rebind.example:{}/", server.port);
    for _ in 0..3 {
        // Still the address that was judged, whatever the name means by now.
        assert_eq!(text(&fetcher.get(&url).await.unwrap()), "again");
    }
    assert_eq!((script.asked().len(), server.seen().connections), (1, 1));
}

#[tokio::test]
async fn a_redirect_to_a_name_is_resolved_and_judged() {
    let server = Server::start(|_| Reply::Send(redirect("http://inside.example/"))).await;
    let script = Script::new(&[&["127.0.0.1"], &["192.168.1.1"]]);
    let fetcher = scripted(calm(), script.clone());
    let url = format!("http://outside.example:{}/", server.port);
    assert_eq!(kind(&fetcher, &url).await, "forbidden_address");
    assert_eq!(script.asked(), ["outside.example", "inside.example"]);
}

#[tokio::test]
async fn a_name_without_an_address_is_the_other_sides_trouble() {
    for answers in [&[][..], &[&[][..]]] {
        let fetcher = scripted(calm(), Script::new(answers));
        let error = fault(&fetcher, "http://nowhere.example/").await;
        assert_eq!((error.kind(), error.status()), ("dns_failure", 502));
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn names_of_other_scripts_are_resolved_in_ascii() {
    let server = Server::saying(ok("ok")).await;
    let script = Script::new(&[&["127.0.0.1"]]);
    let fetcher = scripted(calm(), script.clone());
    let answer = fetcher
        .get(&format!("http://Bücher.example:{}/", server.port))
        .await
        .unwrap();
    assert_eq!(
        answer.url,
        format!("http://xn--bcher-kva.example:{}/", server.port)
    );
    assert_eq!(script.asked(), ["xn--bcher-kva.example"]);
    assert!(server.seen().requests[0].contains("host: xn--bcher-kva.example:"));
}
