//! A small server with scripted answers, good and bad.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The reaction of the server to a request.
pub(super) enum Reply {
    /// Writes the bytes and waits for the next request.
    Send(Vec<u8>),
    /// Writes the bytes and closes.
    Close(Vec<u8>),
    /// Writes the bytes after a delay and waits for the next request.
    Later(Duration, Vec<u8>),
    /// Writes the bytes and then nothing more, until the client closes the connection.
    Stall(Vec<u8>),
    /// Writes the bytes once the gate opens, and waits for the next request.
    Gate(watch::Receiver<bool>, Vec<u8>),
    /// Writes the first bytes, then the second again and again with a pause before each.
    Repeat(Vec<u8>, Vec<u8>, Duration),
}

/// The connections and requests that the server has seen.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub connections: usize,
    pub closed: usize,
    /// The heads of the requests, as text.
    pub requests: Vec<String>,
    pub running: usize,
    /// The highest number of requests at one time.
    pub most: usize,
}

pub(super) struct Server {
    pub port: u16,
    seen: watch::Receiver<Seen>,
}

type Answer = dyn Fn(&str) -> Reply + Send + Sync;

impl Server {
    /// `answer` gets the path of a request, with its query.
    pub async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = watch::channel(Seen::default());
        let (answer, sender): (Arc<Answer>, _) = (Arc::new(answer), Arc::new(sender));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, sender) = (answer.clone(), sender.clone());
                tokio::spawn(async move {
                    sender.send_modify(|seen| seen.connections += 1);
                    serve(stream, &*answer, &sender).await;
                    sender.send_modify(|seen| seen.closed += 1);
                });
            }
        });
        Self { port, seen }
    }

    /// A server that always answers the same bytes and closes.
    pub async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_| Reply::Close(bytes.clone())).await
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the condition holds.
    pub async fn until(&self, condition: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let reached = timeout(Duration::from_secs(30), seen.wait_for(condition)).await;
        drop(reached.expect("the server waited in vain").unwrap());
    }
}

async fn serve(mut stream: TcpStream, answer: &Answer, sender: &watch::Sender<Seen>) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        sender.send_modify(|seen| {
            seen.requests.push(head);
            seen.running += 1;
            seen.most = seen.most.max(seen.running);
        });
        let goes_on = act(&mut stream, answer(&path), sender).await;
        if !goes_on {
            return;
        }
    }
}

/// True when the connection stays open for another request.
async fn act(stream: &mut TcpStream, reply: Reply, sender: &watch::Sender<Seen>) -> bool {
    // Counted down before the last bytes are sent: the client may send its next request as soon as
    // the bytes arrive.
    let finish = || sender.send_modify(|seen| seen.running -= 1);
    match reply {
        Reply::Send(bytes) => {
            finish();
            stream.write_all(&bytes).await.is_ok()
        }
        Reply::Later(delay, bytes) => {
            sleep(delay).await;
            finish();
            stream.write_all(&bytes).await.is_ok()
        }
        Reply::Gate(mut gate, bytes) => {
            let opened = gate.wait_for(|open| *open).await.is_ok();
            finish();
            opened && stream.write_all(&bytes).await.is_ok()
        }
        Reply::Close(bytes) => {
            finish();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read(&mut [0; 64]).await;
            finish();
            false
        }
        Reply::Repeat(first, again, pause) => {
            repeat(stream, &first, &again, pause).await;
            finish();
            false
        }
    }
}

/// Writes `first` once and `again` until the client closes the connection.
async fn repeat(stream: &mut TcpStream, first: &[u8], again: &[u8], pause: Duration) {
    let mut is_open = stream.write_all(first).await.is_ok();
    while is_open {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        is_open = stream.write_all(again).await.is_ok();
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A complete 200 answer.
pub(super) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// An answer with this status line and these headers. `content-length` is added.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) fn redirect(to: &str) -> Vec<u8> {
    answer("302 Found", &format!("location: {to}\r\n"), "")
}
