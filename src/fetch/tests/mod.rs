//! A hostile internet on 127.0.0.1. Nothing here leaves the machine or asks a real resolver.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::client::Network;
use super::resolve::{Resolve, Resolving};
use super::target::Scope;
use super::{AllowList, FetchError, Fetched, Fetcher, Limits, is_forbidden};
use server::Server;

mod addresses;
mod answers;
mod downloads;
mod encodings;
mod heads;
mod many;
mod names;
mod redirects;
mod requests;
mod server;
mod tls;
mod urls;

/// A resolver that gives its answers one after the other, and the last one for ever. Without any,
/// no name exists.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = Mutex::new(answers.iter().map(parse).collect());
        Arc::new(Self {
            answers,
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Script {
    fn resolve(&self, name: &str) -> Resolving {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        };
        Box::pin(async move { Ok(answer.ok_or("no such name")?) })
    }
}

/// 127.0.0.1 plays the public internet; everything else is judged as always.
fn public_is_loopback(address: IpAddr) -> bool {
    address != Ipv4Addr::LOCALHOST && is_forbidden(address)
}

fn network() -> Network {
    static ROOT: OnceLock<CertificateDer<'static>> = OnceLock::new();
    // Some root of our own, so that the tests also run where there is no certificate store.
    let root = ROOT.get_or_init(|| tls::Authority::new().root());
    Network {
        resolver: Script::new(&[]),
        is_forbidden,
        extra_roots: vec![root.clone()],
    }
}

/// Long enough for a busy machine; only what must time out uses [`hasty`].
fn calm() -> Limits {
    let patience = Duration::from_secs(30);
    Limits {
        connect_timeout: patience,
        timeout: patience,
        idle_timeout: patience,
        ..Limits::default()
    }
}

fn hasty() -> Limits {
    let haste = Duration::from_millis(400);
    Limits {
        connect_timeout: haste,
        timeout: haste,
        idle_timeout: haste,
        ..Limits::default()
    }
}

/// A fetcher as in production, for which only the given servers are opened.
fn open_to(limits: Limits, servers: &[&Server]) -> Fetcher {
    let list: Vec<String> = servers.iter().map(|server| server.host()).collect();
    let list: AllowList = list.join(",").parse().unwrap();
    Fetcher::new(limits, Scope::Public(list), network())
}

/// A fetcher for which names resolve by a script and 127.0.0.1 is public.
fn scripted(limits: Limits, script: Arc<Script>) -> Fetcher {
    let network = Network {
        resolver: script,
        is_forbidden: public_is_loopback,
        ..network()
    };
    Fetcher::new(limits, Scope::Public(AllowList::none()), network)
}

/// The error of a fetch, after a look at whether its text gives an address away.
async fn fault(fetcher: &Fetcher, url: &str) -> FetchError {
    let error = fetcher.get(url).await.map(|answer| answer.body.len());
    let error = error.expect_err(url);
    let text = error.to_string();
    for secret in ["127.0", "10.0", "169.254", "192.168", "::1", "os error"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

async fn kind(fetcher: &Fetcher, url: &str) -> &'static str {
    fault(fetcher, url).await.kind()
}

/// What comes of an answer of these bytes.
async fn kind_of(limits: Limits, bytes: impl Into<Vec<u8>>) -> &'static str {
    let server = Server::saying(bytes).await;
    kind(&open_to(limits, &[&server]), &server.url("/")).await
}

/// The answer that these bytes are.
async fn read(bytes: impl Into<Vec<u8>>) -> Result<Fetched, FetchError> {
    let server = Server::saying(bytes).await;
    open_to(calm(), &[&server]).get(&server.url("/")).await
}

fn text(answer: &Fetched) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// A port of 127.0.0.1 that nobody listens on.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
