//! Requests and answers as bytes, and a client that sends the given bytes unchanged.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// The `Host` of each request, which both services use in links.
pub const HOST: &str = "parity.example";

/// The timeout of reading an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// One request. In `target`, `{item}`, `{user}` and `{task}` stand for the last issued ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            content_type: None,
            body: Vec::new(),
        }
    }

    pub fn with(mut self, content_type: Option<&str>, body: &[u8]) -> Request {
        self.content_type = content_type.map(str::to_owned);
        self.body = body.to_vec();
        self
    }

    /// The target's path, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn bytes(&self) -> Vec<u8> {
        let Request { method, target, .. } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
        if let Some(content_type) = &self.content_type {
            // In mixed case, to test that the case of a header's name does not matter.
            head += &format!("CONTENT-Type: {content_type}\r\n");
        }
        if !self.body.is_empty() || matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, shown(self.target.as_bytes()))?;
        if let Some(content_type) = &self.content_type {
            write!(f, " as {content_type:?}")?;
        }
        if !self.body.is_empty() {
            write!(f, " with {}", shown(&self.body))?;
        }
        Ok(())
    }
}

/// Bytes in a readable form: escaped, and cut after 600 bytes.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes[..bytes.len().min(600)].escape_ascii();
    let rest = if bytes.len() > 600 { "…" } else { "" };
    format!("b\"{text}{rest}\"")
}

/// One answer. The names of its headers are in lower case.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A client of a service on 127.0.0.1, with one connection.
pub struct Client {
    port: u16,
    connection: Option<TcpStream>,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client {
            port,
            connection: None,
        }
    }

    /// Sends a request. Opens a new connection if the service has closed the old connection.
    pub fn ask(&mut self, request: &Request) -> std::io::Result<Answer> {
        if let Some(stream) = &mut self.connection
            && let Ok(answer) = converse(stream, request)
        {
            return Ok(answer);
        }
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        converse(self.connection.insert(stream), request)
    }
}

fn converse(stream: &mut TcpStream, request: &Request) -> std::io::Result<Answer> {
    stream.write_all(&request.bytes())?;
    let mut received = Vec::new();
    let (mut answer, head) = loop {
        read_more(stream, &mut received)?;
        if let Some(parsed) = parse_head(&received)? {
            break parsed;
        }
    };
    let length = answer.header("content-length").unwrap_or("0");
    let length: usize = length.parse().map_err(std::io::Error::other)?;
    // The length in an answer to HEAD is of a body that is not sent.
    let length = if request.method == "HEAD" { 0 } else { length };
    while received.len() < head + length {
        read_more(stream, &mut received)?;
    }
    answer.body = received.split_off(head);
    Ok(answer)
}

fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> std::io::Result<()> {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        length => {
            received.extend_from_slice(&piece[..length]);
            Ok(())
        }
    }
}

/// The answer without its body, and the length of the head, or `None` if the head is incomplete.
fn parse_head(received: &[u8]) -> std::io::Result<Option<(Answer, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let status = parsed.parse(received).map_err(std::io::Error::other)?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let headers = parsed.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    let answer = Answer {
        status: parsed.code.unwrap_or(0),
        headers: headers.collect(),
        body: Vec::new(),
    };
    Ok(Some((answer, length)))
}
