//! Names that resolve to forbidden addresses.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use super::server::{Reply, Server, ok, redirect};
use super::{
    Network, Script, error_of, kind, long_timeouts, network, public_is_loopback, scripted, text,
};
use crate::fetch::resolve::{Resolve, Resolving};
use crate::fetch::target::Scope;
use crate::fetch::{AllowList, FetchError, Fetcher};

#[tokio::test]
async fn a_name_with_any_forbidden_address_is_refused() {
    let answers: &[&[&str]] = &[
        &["169.254.169.254"],
        &["10.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["fd00:ec2::254"],
        &["64:ff9b::a00:1"],
        // A forbidden address among public addresses, in any order.
        &["127.0.0.1", "10.0.0.1"],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "fe80::1"],
    ];
    let server = Server::saying(ok("reached")).await;
    for answer in answers {
        let fetcher = scripted(long_timeouts(), Script::new(&[answer]));
        let url = format!("http://metadata.google.internal:{}/", server.port);
        let error = error_of(&fetcher, &url).await;
        assert_eq!(error, FetchError::ForbiddenAddress, "{answer:?}");
        assert_eq!((error.status(), error.is_transient()), (403, false));
    }
    assert_eq!(server.seen().connections, 0);
}

#[tokio::test]
async fn a_forbidden_address_after_many_public_addresses_is_refused() {
    let mut addresses = vec!["127.0.0.1"; 40];
    addresses.push("10.0.0.1");
    let fetcher = scripted(long_timeouts(), Script::new(&[&addresses]));
    assert_eq!(
        kind(&fetcher, "http://many.example/").await,
        "forbidden_address"
    );
}

#[tokio::test]
async fn the_client_connects_to_the_checked_address() {
    let server = Server::saying(ok("first")).await;
    let script = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = scripted(long_timeouts(), script.clone());
    let url = format!("http://rebind.example:{}/", server.port);
    assert_eq!(text(&fetcher.get(&url).await.unwrap()), "first");
    // One look-up for one connection: no second look-up follows the check.
    assert_eq!(script.asked(), ["rebind.example"]);
    // The server closed the connection, so the next fetch resolves again. Now the name is private.
    assert_eq!(kind(&fetcher, &url).await, "forbidden_address");
    assert_eq!((script.asked().len(), server.seen().connections), (2, 1));
}

/// A slow resolver, for which only names with `good` in front exist.
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
async fn connections_that_open_together_share_one_look_up() {
    let server = Server::saying(ok("reached")).await;
    let slow = Arc::new(Slow::default());
    let network = Network {
        resolver: slow.clone(),
        is_forbidden: public_is_loopback,
        ..network()
    };
    let fetcher = Fetcher::new(long_timeouts(), Scope::Public(AllowList::none()), network);
    for (name, kinds, asked) in [("good", None, 1), ("bad", Some("dns_failure"), 2)] {
        let urls = (0..10).map(|n| format!("http://{name}.example:{}/{n}", server.port));
        let answers: Vec<_> = fetcher.fetch_many(urls).collect().await;
        let errors = answers.iter().map(|(_, answer)| answer.as_ref().err());
        let errors: Vec<_> = errors.map(|error| error.map(FetchError::kind)).collect();
        assert_eq!(errors, vec![kinds; 10]);
        assert_eq!(slow.asked.load(Ordering::Relaxed), asked);
    }
    // A later fetch makes a new look-up.
    let url = format!("http://bad.example:{}/", server.port);
    assert_eq!(kind(&fetcher, &url).await, "dns_failure");
    assert_eq!(slow.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_pooled_connection_makes_no_new_look_up() {
    let server = Server::start(|_| Reply::Send(ok("again"))).await;
    let script = Script::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = scripted(long_timeouts(), script.clone());
    let url = format!("http://rebind.example:{}/", server.port);
    for _ in 0..3 {
        // The connection goes to the checked address, whatever the name resolves to now.
        assert_eq!(text(&fetcher.get(&url).await.unwrap()), "again");
    }
    assert_eq!((script.asked().len(), server.seen().connections), (1, 1));
}

#[tokio::test]
async fn the_name_in_a_redirect_is_resolved_and_checked() {
    let server = Server::start(|_| Reply::Send(redirect("http://inside.example/"))).await;
    let script = Script::new(&[&["127.0.0.1"], &["192.168.1.1"]]);
    let fetcher = scripted(long_timeouts(), script.clone());
    let url = format!("http://outside.example:{}/", server.port);
    assert_eq!(kind(&fetcher, &url).await, "forbidden_address");
    assert_eq!(script.asked(), ["outside.example", "inside.example"]);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_dns_failure() {
    for answers in [&[][..], &[&[][..]]] {
        let fetcher = scripted(long_timeouts(), Script::new(answers));
        let error = error_of(&fetcher, "http://nowhere.example/").await;
        assert_eq!((error.kind(), error.status()), ("dns_failure", 502));
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn international_names_are_resolved_in_ascii() {
    let server = Server::saying(ok("ok")).await;
    let script = Script::new(&[&["127.0.0.1"]]);
    let fetcher = scripted(long_timeouts(), script.clone());
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
