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

/// The limit of a request head in bytes. The answer to a larger head is 431.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The maximum number of headers in a request.
const MAX_HEADERS: usize = 1000;

/// The limit of a request body in bytes. The answer to a larger body is 413.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The maximum number of concurrent handlers, each of which has its own thread. Many handlers only
/// wait.
const MAX_HANDLERS: usize = 2048;

/// The stack of a handler's thread in bytes.
const STACK: usize = 256 * 1024;

/// How many pieces of a streamed answer are created before the client has received the earlier
/// ones.
const PIECES_AHEAD: usize = 4;

/// A running server; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Dropping the sender stops the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on a loopback port, or on any free port for 0.
    ///
    /// # Errors
    /// When the server cannot listen on the port.
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
            // Handlers that still wait end by themselves; their answers are dropped.
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The port of the server.
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

/// One thread for all connections, and one more for each running handler.
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
                // For example, too many files are open. Other connections may be closed soon.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            },
        }
    }
}

/// Answers the requests of one connection in sequence.
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
    // A client that disconnects, sends no HTTP, or gets a cut-off answer is no error of the server.
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
    let failed = || {
        Response::new(
            500,
            "text/plain",
            "the handler's answer is not valid in HTTP",
        )
    };
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
/// When the status or a header is not valid in HTTP.
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
        // The caller has handled this case before.
        Body::Nothing => (Some(0), Outgoing::Whole(None)),
    };
    // The length is also sent without the body, as for HEAD. Answers with these two statuses have
    // no body.
    if let Some(length) = length.filter(|_| !matches!(response.status, 204 | 304)) {
        answer = answer.header(CONTENT_LENGTH, length);
    }
    answer.body(body)
}

/// Creates the pieces in their own thread until the receiver is dropped.
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

/// The body of an answer in `hyper`'s form.
enum Outgoing {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    Broken(Step),
}

/// The progress of an answer that is cut off on purpose.
#[derive(Clone, Copy)]
enum Step {
    Text,
    /// The head and the first bytes are being sent; an immediate error would discard them.
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
                Step::End => Poll::Ready(Some(Err(std::io::Error::other("cut off on purpose")))),
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
