//! A hostile internet on 127.0.0.1. No test leaves the machine or asks a real resolver.

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

/// A resolver that gives its answers one after the other, and repeats the last answer. Without answers,
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

/// The usual check, but 127.0.0.1 counts as public.
fn public_is_loopback(address: IpAddr) -> bool {
    address != Ipv4Addr::LOCALHOST && is_forbidden(address)
}

fn network() -> Network {
    static ROOT: OnceLock<CertificateDer<'static>> = OnceLock::new();
    // An own root, so that the tests run on a system without certificates too.
    let root = ROOT.get_or_init(|| tls::Authority::new().root());
    Network {
        resolver: Script::new(&[]),
        is_forbidden,
        extra_roots: vec![root.clone()],
    }
}

/// Timeouts for a busy machine. Tests of timeouts use [`short_timeouts`].
fn long_timeouts() -> Limits {
    let long = Duration::from_secs(30);
    Limits {
        connect_timeout: long,
        timeout: long,
        idle_timeout: long,
        ..Limits::default()
    }
}

fn short_timeouts() -> Limits {
    let short = Duration::from_millis(400);
    Limits {
        connect_timeout: short,
        timeout: short,
        idle_timeout: short,
        ..Limits::default()
    }
}

/// A fetcher as in production, with the given servers in its allow-list.
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

/// The error of a fetch. Also checks that the error's text contains no address.
async fn error_of(fetcher: &Fetcher, url: &str) -> FetchError {
    let error = fetcher.get(url).await.map(|answer| answer.body.len());
    let error = error.expect_err(url);
    let text = error.to_string();
    for secret in ["127.0", "10.0", "169.254", "192.168", "::1", "os error"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

async fn kind(fetcher: &Fetcher, url: &str) -> &'static str {
    error_of(fetcher, url).await.kind()
}

/// The kind of the error of fetching these bytes.
async fn kind_of(limits: Limits, bytes: impl Into<Vec<u8>>) -> &'static str {
    let server = Server::saying(bytes).await;
    kind(&open_to(limits, &[&server]), &server.url("/")).await
}

/// The result of fetching these bytes.
async fn read(bytes: impl Into<Vec<u8>>) -> Result<Fetched, FetchError> {
    let server = Server::saying(bytes).await;
    open_to(long_timeouts(), &[&server])
        .get(&server.url("/"))
        .await
}

fn text(answer: &Fetched) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// A port of 127.0.0.1 without a listener.
fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
