//! HTTPS with certificates of a test authority.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::{Limits, Network, Script, error_of, long_timeouts, network, public_is_loopback};
use crate::fetch::resolve::{Resolve, Resolving};
use crate::fetch::target::Scope;
use crate::fetch::tests::server::ok;
use crate::fetch::{AllowList, FetchError, Fetcher};

/// A certificate authority of this test run.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A TLS server for `name` that sends one answer over each connection. Returns its port.
    fn serve(&self, name: &str) -> u16 {
        self.serve_with(
            name,
            b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nover tls",
            true,
        )
    }

    /// The server runs on a thread of its own, since its calls block.
    fn serve_with(&self, name: &str, answer: &'static [u8], sends_close_notify: bool) -> u16 {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let mut tls = ServerConnection::new(config.clone()).unwrap();
                let mut stream = Stream::new(&mut tls, &mut socket);
                let mut head = [0; 1024];
                if stream.read(&mut head).is_ok() {
                    let _ = stream.write_all(answer);
                    if sends_close_notify {
                        stream.conn.send_close_notify();
                    }
                    let _ = stream.flush();
                }
            }
        });
        port
    }
}

fn trusting(root: Option<&Authority>) -> Fetcher {
    let mut network = Network {
        resolver: Script::new(&[&["127.0.0.1"]]),
        is_forbidden: public_is_loopback,
        ..network()
    };
    network.extra_roots.extend(root.map(Authority::root));
    Fetcher::new(long_timeouts(), Scope::Public(AllowList::none()), network)
}

#[tokio::test]
async fn a_trusted_certificate_of_the_right_name_is_accepted() {
    let authority = Authority::new();
    let port = authority.serve("secure.example");
    let answer = trusting(Some(&authority))
        .get(&format!("https://secure.example:{port}/"))
        .await;
    assert_eq!(answer.unwrap().body, "over tls");
}

#[tokio::test]
async fn other_certificates_are_refused() {
    let authority = Authority::new();
    let port = authority.serve("secure.example");
    let unknown = error_of(&trusting(None), &format!("https://secure.example:{port}/")).await;
    let url = format!("https://other.example:{port}/");
    let misnamed = error_of(&trusting(Some(&authority)), &url).await;
    for error in [unknown, misnamed] {
        assert_eq!(
            (error.kind(), error.status(), error.is_transient()),
            ("tls_failed", 502, false)
        );
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_a_failed_handshake() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // The client sends first. Closing the socket with unread bytes would reset the connection.
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(&ok("plain"));
        }
    });
    let error = error_of(&trusting(None), &format!("https://secure.example:{port}/")).await;
    assert_eq!((error.kind(), error.status()), ("tls_failed", 502));
}

/// Another provider would collect entropy at the first handshake, which costs time.
#[test]
fn the_provider_is_ring() {
    let tls = crate::aws::tls(rustls::RootCertStore::empty());
    let random = tls.crypto_provider().secure_random;
    assert!(format!("{random:?}").contains("Ring"));
}

#[tokio::test]
async fn a_body_is_complete_by_its_length_or_by_close_notify() {
    let authority = Authority::new();
    let fetcher = trusting(Some(&authority));
    let counted = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let unlimited = b"HTTP/1.1 200 OK\r\n\r\n{}";
    for (answer, sends_close_notify, is_complete) in [
        (&counted[..], false, true),
        (unlimited, true, true),
        // Without `close_notify` an attacker on the way may have cut the body.
        (unlimited, false, false),
    ] {
        let port = authority.serve_with("secure.example", answer, sends_close_notify);
        let url = format!("https://secure.example:{port}/");
        let answer = fetcher.get(&url).await.map(|answer| answer.body);
        match is_complete {
            true => assert_eq!(answer, Ok("{}".into())),
            false => assert_eq!(answer, Err(FetchError::Interrupted)),
        }
    }
}

#[tokio::test]
async fn connecting_has_a_timeout_of_its_own() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let limits = Limits {
        connect_timeout: Duration::from_millis(300),
        ..long_timeouts()
    };
    // The system accepts connections for a server that never answers.
    let scope = Scope::Public(format!("127.0.0.1:{port}").parse().unwrap());
    let silent = Fetcher::new(limits.clone(), scope, network());
    let url = format!("https://127.0.0.1:{port}/");
    assert_eq!(error_of(&silent, &url).await, FetchError::Timeout);
    // The timeout also covers a resolver that never answers.
    let network = Network {
        resolver: Arc::new(Never),
        ..network()
    };
    let unnamed = Fetcher::new(limits, Scope::Public(AllowList::none()), network);
    let error = error_of(&unnamed, "http://slow.example/").await;
    assert_eq!(error, FetchError::Timeout);
}

struct Never;

impl Resolve for Never {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(std::future::pending())
    }
}
