//! Serves handlers through `hyper`.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};

use super::target::{Ended, Masked, unmasked};
use super::{Body, Handler, Request, Response};
use crate::error::{Context, Result};

/// The largest request head in bytes; a larger one is answered with 431.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The most headers of one request.
const MAX_HEADERS: usize = 1000;

/// The largest request body in bytes; a larger one is answered with 413.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The most handlers that run at once, each on a thread of its own; many of them only wait.
const MAX_HANDLERS: usize = 2048;

/// The stack of a handler's thread in bytes.
const STACK: usize = 256 * 1024;

/// Pieces of an answer that are made before the client has taken the ones before.
const PIECES_AHEAD: usize = 4;

/// A running server; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on a loopback port, 0 for any free one.
    ///
    /// # Errors
    /// When the port can't be listened on.
    pub fn start(port: u16, handler: impl Handler) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .context(format_args!("cannot listen on port {port}"))?;
        let address = listener.local_addr().context("cannot read the port")?;
        let runtime = runtime().context("cannot start a server")?;
        let listener = {
            let _entered = runtime.enter();
            listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener))
                .context(format_args!("cannot listen on port {port}"))?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(accept(listener, Arc::new(handler), stopped));
            // Handlers that still wait for something end by themselves; their answers go nowhere.
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One thread for all connections, and one more for each handler that runs.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_HANDLERS)
        .thread_stack_size(STACK)
        .build()
}

/// Serves connections until the server is dropped, and then closes them.
async fn accept(
    listener: TcpListener,
    handler: Arc<impl Handler>,
    mut stopped: oneshot::Receiver<Infallible>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, Arc::clone(&handler)))),
                // Too many open files, for example: some may be closed in a moment.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            },
        }
    }
}

/// Answers the requests of one connection, one after the other.
async fn converse(stream: TcpStream, handler: Arc<impl Handler>) {
    let _ = stream.set_nodelay(true);
    let ended = Ended::default();
    let stream = Masked::new(stream, ended.clone());
    let service = service_fn(move |request| serve(request, Arc::clone(&handler), ended.clone()));
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .auto_date_header(false)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away, sends nonsense, or is given a broken answer is no error of the server.
    let _ = connection.await;
}

type Answer =
    std::result::Result<hyper::Response<Outgoing>, Box<dyn std::error::Error + Send + Sync>>;

async fn serve(
    request: hyper::Request<Incoming>,
    handler: Arc<impl Handler>,
    ended: Ended,
) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) if cause.is::<LengthLimitError>() => {
            return Ok(outgoing(Response::new(
                413,
                "text/plain",
                "the body is too large",
            ))?);
        }
        Err(cause) => return Err(cause),
    };
    ended.tell();
    let request = incoming(&parts, body);
    let response = spawn_blocking(move || handler(&request)).await?;
    if matches!(response.body, Body::Nothing) {
        return Err("not answered on purpose".into());
    }
    let failed = || Response::new(500, "text/plain", "the answer is none in HTTP");
    outgoing(response).or_else(|_| Ok(outgoing(failed())?))
}

fn incoming(parts: &hyper::http::request::Parts, body: Bytes) -> Request {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter();
    Request {
        method: parts.method.as_str().to_owned(),
        path: unmasked(parts.uri.path()),
        query: unmasked(parts.uri.query().unwrap_or_default()),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.into(),
    }
}

/// # Errors
/// When the status or a header is none in HTTP.
fn outgoing(
    response: Response,
) -> std::result::Result<hyper::Response<Outgoing>, hyper::http::Error> {
    let mut answer = hyper::Response::builder().status(response.status);
    for (name, value) in response.headers {
        answer = answer.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let (length, body) = match response.body {
        Body::Whole(body) => (Some(body.len()), Outgoing::Whole(Some(body.into()))),
        Body::Pieces(pieces) => (None, Outgoing::Pieces(make(pieces))),
        Body::Broken => (Some(1000), Outgoing::Broken(Step::Text)),
        // Seen to before.
        Body::Nothing => (Some(0), Outgoing::Whole(None)),
    };
    // The length also where the body is not sent, as for HEAD; these two have no body at all.
    if let Some(length) = length.filter(|_| !matches!(response.status, 204 | 304)) {
        answer = answer.header(CONTENT_LENGTH, length);
    }
    answer.body(body)
}

/// Makes the pieces on a thread of their own, until nobody takes them any more.
fn make(pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    spawn_blocking(move || {
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            if sender.blocking_send(piece.into()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The body of an answer, as `hyper` takes it.
enum Outgoing {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    Broken(Step),
}

/// How far an answer is that is broken off.
#[derive(Clone, Copy)]
enum Step {
    Text,
    /// Head and text are on their way: an error at once would take them back.
    Flush,
    End,
}

type Piece = Option<std::result::Result<Frame<Bytes>, std::io::Error>>;

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Piece> {
        let frame = |piece: Bytes| Ok(Frame::data(piece));
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(frame)),
            Self::Pieces(pieces) => pieces.poll_recv(context).map(|piece| piece.map(frame)),
            Self::Broken(step) => match *step {
                Step::Text => {
                    *step = Step::Flush;
                    Poll::Ready(Some(frame(Bytes::from_static(b"broken"))))
                }
                Step::Flush => {
                    *step = Step::End;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Step::End => Poll::Ready(Some(Err(std::io::Error::other("broken off on purpose")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Pieces(_) | Self::Broken(_) => SizeHint::default(),
        }
    }
}
