//! A small HTTP/1.1 server: one thread a connection, bodies in memory,
//! answers whole or streamed.
//!
//! It serves the demo upstream and the runtime API on loopback. An
//! asynchronous server would have the workspace compile the functions' HTTP
//! stack a second time with other features, for no gain at this size.

use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::error::{Context, Result};

/// The largest request head that is read.
const MAX_HEAD: usize = 64 * 1024;

/// One request, read to its end.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method as it was sent.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name, as it was sent.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// What an answer carries.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Pieces, made while they are sent.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    /// Less than was promised, and then the end of the connection.
    Broken,
    /// No answer at all: the end of the connection.
    Nothing,
}

/// One answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers besides those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer with a whole body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: Body::Whole(body.into()),
        }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }
}

/// Answers requests; called from many threads at once.
pub trait Handler: Fn(&Request) -> Response + Send + Sync + 'static {}
impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Handler for F {}

/// A running server; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    open: Mutex<Vec<(u64, TcpStream)>>,
}

impl Server {
    /// Serves on a loopback port, 0 for any free one.
    ///
    /// # Errors
    /// When the port can't be listened on.
    pub fn start(port: u16, handler: impl Handler) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .context(format_args!("cannot listen on port {port}"))?;
        let address = listener.local_addr().context("cannot read the port")?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting, &Arc::new(handler)));
        Ok(Self { address, shared })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Ok(open) = self.shared.open.lock() {
            for (_, stream) in open.iter() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, handler: &Arc<impl Handler>) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (shared, handler) = (Arc::clone(shared), Arc::clone(handler));
        let _ = thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || {
                shared.remember(number, &stream);
                let _ = converse(&stream, &*handler);
                // The copy kept for a stop would hold the connection open.
                let _ = stream.shutdown(Shutdown::Both);
                shared.forget(number);
            });
    }
}

impl Shared {
    fn remember(&self, number: u64, stream: &TcpStream) {
        if let (Ok(mut open), Ok(copy)) = (self.open.lock(), stream.try_clone()) {
            open.push((number, copy));
        }
    }

    fn forget(&self, number: u64) {
        if let Ok(mut open) = self.open.lock() {
            open.retain(|(other, _)| *other != number);
        }
    }
}

/// Answers the requests of one connection, one after the other.
fn converse(stream: &TcpStream, handler: &impl Handler) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = BufWriter::new(stream);
    while let Some(request) = read_request(&mut reader, &mut writer)? {
        let close = request
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let response = handler(&request);
        write_response(&mut writer, response, request.method == "HEAD")?;
        if close {
            break;
        }
    }
    Ok(())
}

fn bad(text: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, text)
}

/// The next request, or nothing when the peer is done.
fn read_request(
    reader: &mut impl Read,
    writer: &mut impl Write,
) -> std::io::Result<Option<Request>> {
    let Some(head) = read_head(reader)? else {
        return Ok(None);
    };
    let mut request = parse_head(&head)?;
    if request
        .header("expect")
        .is_some_and(|v| v.eq_ignore_ascii_case("100-continue"))
    {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        writer.flush()?;
    }
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|v| v.contains("chunked"));
    request.body = if chunked {
        read_chunks(reader)?
    } else {
        let length = request.header("content-length").unwrap_or("0");
        let length = length.parse().map_err(|_| bad("content-length"))?;
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        body
    };
    Ok(Some(request))
}

fn read_head(reader: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read(&mut byte)? == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(bad("an unfinished head"))
            };
        }
        head.push(byte[0]);
        if head.len() > MAX_HEAD {
            return Err(bad("a head that is too long"));
        }
    }
    Ok(Some(head))
}

fn parse_head(head: &[u8]) -> std::io::Result<Request> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).map_err(|_| bad("not HTTP"))?;
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = parsed.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    Ok(Request {
        method: parsed.method.unwrap_or("GET").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    })
}

fn read_chunks(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(reader)?;
        let size = size.split(';').next().unwrap_or("").trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
        if size == 0 {
            while !read_line(reader)?.is_empty() {}
            return Ok(body);
        }
        reader.by_ref().take(size).read_to_end(&mut body)?;
        read_line(reader)?;
    }
}

fn read_line(reader: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if reader.read(&mut byte)? == 0 || line.len() > MAX_HEAD {
            return Err(bad("an unfinished chunk"));
        }
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(|_| bad("chunk"))
}

fn write_response(
    writer: &mut impl Write,
    response: Response,
    head_only: bool,
) -> std::io::Result<()> {
    if matches!(response.body, Body::Nothing) {
        return Err(bad("not answered on purpose"));
    }
    write!(
        writer,
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    )?;
    for (name, value) in &response.headers {
        write!(writer, "{name}: {value}\r\n")?;
    }
    match response.body {
        Body::Whole(body) => {
            write!(writer, "content-length: {}\r\n\r\n", body.len())?;
            if !head_only {
                writer.write_all(&body)?;
            }
        }
        Body::Broken => {
            write!(writer, "content-length: 1000\r\n\r\nbroken")?;
            writer.flush()?;
            return Err(bad("broken off on purpose"));
        }
        // Seen to before the head was written.
        Body::Nothing => {}
        Body::Pieces(pieces) => {
            write!(writer, "transfer-encoding: chunked\r\n\r\n")?;
            if !head_only {
                for piece in pieces.filter(|piece| !piece.is_empty()) {
                    write!(writer, "{:x}\r\n", piece.len())?;
                    writer.write_all(&piece)?;
                    writer.write_all(b"\r\n")?;
                }
                writer.write_all(b"0\r\n\r\n")?;
            }
        }
    }
    writer.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        // RFC 9112, section 4: the phrase may be empty.
        _ => "",
    }
}

#[cfg(test)]
mod tests;
