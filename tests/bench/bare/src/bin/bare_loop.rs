//! The loop to the Lambda Runtime API with only `std`, a lower bound for the size and time of a
//! function in Rust. It reads only an event's id, and gives every event the same answer.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

/// The answer to an HTTP API (payload format 2.0): `GET /` of the service.
const ANSWER: &str = r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"message\":\"Welcome to the async service\"}"}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API")
        .map_err(|error| format!("AWS_LAMBDA_RUNTIME_API: {error}"))?;
    let mut runtime = Runtime::connect(address)?;
    while let Some(id) = runtime.next()? {
        runtime.answer(&id)?;
    }
    Ok(())
}

/// A connection to the Runtime API that stays open for all invocations.
struct Runtime {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Runtime {
    fn connect(address: String) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(&address)?;
        // A request is one write, so Nagle's algorithm would only delay it.
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            stream: BufReader::new(stream),
        })
    }

    /// Waits for an event and returns its request id; `None` when the server has closed the
    /// connection.
    fn next(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        self.send(&format!(
            "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.address
        ))?;
        let Some(head) = self.receive()? else {
            return Ok(None);
        };
        let id = head.request_id.ok_or("an event without a request id")?;
        Ok(Some(id))
    }

    fn answer(&mut self, id: &str) -> Result<(), Box<dyn Error>> {
        self.send(&format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nhost: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            self.address,
            ANSWER.len()
        ))?;
        self.receive()?.ok_or("no response to the answer")?;
        Ok(())
    }

    fn send(&mut self, request: &str) -> Result<(), Box<dyn Error>> {
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    /// Reads a response and drops its body; `None` when the server has closed the connection.
    fn receive(&mut self) -> Result<Option<Head>, Box<dyn Error>> {
        let Some(head) = Head::read(&mut self.stream)? else {
            return Ok(None);
        };
        let mut body = self.stream.by_ref().take(head.length);
        if io::copy(&mut body, &mut io::sink())? < head.length {
            return Err("a body was cut off".into());
        }
        Ok(Some(head))
    }
}

/// The parts of a response's head that this program uses.
#[derive(Default)]
struct Head {
    length: u64,
    request_id: Option<String>,
}

impl Head {
    fn read(stream: &mut impl BufRead) -> Result<Option<Self>, Box<dyn Error>> {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            read => read?,
        };
        if line
            .split(' ')
            .nth(1)
            .is_none_or(|status| !status.starts_with('2'))
        {
            return Err(format!("the Runtime API answered {}", line.trim_end()).into());
        }
        let mut head = Self::default();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err("a head without an end".into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                return Ok(Some(head));
            };
            head.take(name, value.trim())?;
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
        if name.eq_ignore_ascii_case("content-length") {
            self.length = value.parse()?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("a body without a length".into());
        } else if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") {
            self.request_id = Some(value.to_owned());
        }
        Ok(())
    }
}
