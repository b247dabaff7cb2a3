//! The connections, tested against a scripted server.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A server that sends each connection, one after the other, a list of answers, and then closes the
/// connection. Returns its URL and the count of connections.
async fn server(connections: Vec<Vec<&'static str>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        for answers in connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            counting.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            for answer in answers {
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    (url, count)
}

async fn call(pool: &Pool, url: &str) -> Result<u16, ConnectorError> {
    let mut request = HttpRequest::get(url).unwrap();
    request.headers_mut().insert("x-test", "1");
    let response = pool.call(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    Ok(status)
}

fn aws(endpoint: Option<&str>, region: &str) -> Aws {
    let config = Config::from([
        ("AWS_REGION", region),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint.unwrap_or_default()),
    ]);
    Aws::new(&config).unwrap()
}

#[tokio::test]
async fn a_connection_serves_many_calls() {
    let (url, connections) = server(vec![vec![OK, OK, OK]]).await;
    let pool = Pool::empty();
    for _ in 0..3 {
        assert_eq!(call(&pool, &url).await.unwrap(), 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced() {
    let (url, connections) = server(vec![vec![OK], vec![OK]]).await;
    let pool = Pool::empty();
    assert_eq!(call(&pool, &url).await.unwrap(), 200);
    while connections.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call(&pool, &url).await.unwrap(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn errors_have_the_class_that_the_sdk_retries_by() {
    let pool = Pool::empty();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(call(&pool, &unused).await.unwrap_err().is_io());

    let (url, _) = server(vec![vec![""]]).await;
    let ended = call(&pool, &url).await.unwrap_err();
    assert!(
        ended.is_io() || ended.as_other() == Some(ErrorKind::TransientError),
        "{ended:?}"
    );

    let (url, _) = server(vec![vec!["SSH-2.0-OpenSSH\r\n\r\n"]]).await;
    let garbage = call(&pool, &url).await.unwrap_err();
    assert_eq!(garbage.as_other(), Some(ErrorKind::TransientError));
}

#[tokio::test]
async fn the_first_call_uses_the_connection_of_the_start() {
    let (url, connections) = server(vec![vec![OK, OK]]).await;
    let aws = aws(Some(&url), "eu-central-1");
    aws.preconnect(&aws.endpoint("dynamodb")).await;
    assert_eq!(call(&aws.pool, &url).await.unwrap(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failed_preconnect_is_no_error() {
    let (url, _) = server(vec![vec![""]]).await;
    aws(None, "eu-central-1").preconnect(&url).await;
    aws(None, "eu-central-1").preconnect("no url").await;
}

#[test]
fn the_endpoint_is_of_the_region() {
    let usual = aws(None, "eu-central-1").endpoint("dynamodb");
    assert_eq!(usual, "https://dynamodb.eu-central-1.amazonaws.com");
    let china = aws(None, "cn-north-1").endpoint("sqs");
    assert_eq!(china, "https://sqs.cn-north-1.amazonaws.com.cn");
    let local = aws(Some("http://127.0.0.1:4566"), "us-east-1").endpoint("sqs");
    assert_eq!(local, "http://127.0.0.1:4566");
}

#[test]
fn every_root_certificate_is_parsed() {
    let certificates = CertificateDer::pem_slice_iter(ROOTS).filter(Result::is_ok);
    assert_eq!(certificates.count(), 5);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ROOTS).flatten());
    assert_eq!(roots.len(), 5);
}

#[test]
fn the_error_names_the_missing_credentials() {
    let config = Config::from([("AWS_REGION", "eu-central-1")]);
    let error = Aws::new(&config).err().unwrap().to_string();
    assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
}

/// A TLS server for `localhost`, which answers any number of requests of a connection. Returns its URL,
/// its certificate and the count of connections.
fn encrypted_server() -> (String, CertificateDer<'static>, Arc<AtomicUsize>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            counting.fetch_add(1, Ordering::SeqCst);
            let mut tls = ServerConnection::new(config.clone()).unwrap();
            let mut stream = Stream::new(&mut tls, &mut socket);
            let mut head = [0; 4096];
            while matches!(stream.read(&mut head), Ok(1..)) {
                let _ = stream.write_all(OK.as_bytes());
            }
        }
    });
    (url, cert.der().clone(), count)
}

#[tokio::test]
async fn an_encrypted_connection_is_opened_once_and_kept() {
    let (url, certificate, connections) = encrypted_server();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let aws = Aws {
        pool: Pool::trusting(roots),
        ..aws(None, "eu-central-1")
    };
    aws.preconnect(&url).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    for _ in 0..2 {
        assert_eq!(call(&aws.pool, &url).await.unwrap(), 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_certificates_of_amazon_are_trusted() {
    let (url, ..) = encrypted_server();
    let refused = call(&Pool::empty(), &url).await.unwrap_err();
    let mut texts = vec![refused.to_string()];
    let mut cause = refused.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    assert!(texts.join(": ").contains("certificate"), "{texts:?}");
}
