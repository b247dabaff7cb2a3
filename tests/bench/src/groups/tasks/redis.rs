//! The part of Redis' protocol that notifies about stored results.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use local_stack::{Context, Error, Result};

/// The prefix of the channels in which Celery's Redis backend announces results. The backend
/// publishes a result in the same transaction that stores it.
const RESULTS: &str = "celery-task-meta-";

/// The longest part of a message that is accepted, in bytes.
const LONGEST: usize = 1024 * 1024;

/// A connection that receives notifications about stored results.
#[derive(Debug)]
pub struct Results {
    reader: BufReader<TcpStream>,
}

impl Results {
    /// Subscribes to the Redis on this loopback port.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub fn subscribe(port: u16) -> Result<Results> {
        let address = (Ipv4Addr::LOCALHOST, port);
        let mut stream = TcpStream::connect(address).context("cannot connect to Redis")?;
        let command = format!("PSUBSCRIBE {RESULTS}*\r\n");
        let sent = stream.write_all(command.as_bytes());
        sent.context("cannot write to Redis")?;
        let mut reader = BufReader::new(stream);
        match message(&mut reader)?.first() {
            Some(kind) if kind == "psubscribe" => Ok(Results { reader }),
            answer => Err(Error::new(format!(
                "Redis refused the subscription: {answer:?}"
            ))),
        }
    }

    /// Waits for the next stored result, and returns its task's id.
    ///
    /// # Errors
    /// When the connection ends, or a task has failed.
    pub fn next(&mut self) -> Result<String> {
        let parts = message(&mut self.reader)?;
        match &parts[..] {
            [_, _, channel, result] if result.contains(r#""status": "SUCCESS""#) => {
                Ok(channel.strip_prefix(RESULTS).unwrap_or(channel).to_owned())
            }
            _ => Err(Error::new(format!("not a stored result: {parts:?}"))),
        }
    }

    /// A handle of the connection, with which another thread can end a wait.
    ///
    /// # Errors
    /// When the handle cannot be duplicated.
    pub fn stream(&self) -> Result<TcpStream> {
        let copy = self.reader.get_ref().try_clone();
        copy.context("cannot duplicate a connection")
    }
}

/// One message: an array of strings and numbers.
fn message(reader: &mut impl BufRead) -> Result<Vec<String>> {
    let count = header(reader, '*')?;
    (0..count).map(|_| part(reader)).collect()
}

fn part(reader: &mut impl BufRead) -> Result<String> {
    let line = line(reader)?;
    let Some(length) = line.strip_prefix('$') else {
        return Ok(line.trim_start_matches(':').to_owned());
    };
    let length = number(length)?;
    let mut bytes = vec![0; length + 2];
    let read = reader.read_exact(&mut bytes);
    read.context("the connection to Redis was cut off")?;
    bytes.truncate(length);
    String::from_utf8(bytes).context("Redis sent bytes that are not UTF-8")
}

fn header(reader: &mut impl BufRead, kind: char) -> Result<usize> {
    let line = line(reader)?;
    match line.strip_prefix(kind) {
        Some(count) => number(count),
        None => Err(Error::new(format!("Redis sent {line:?}"))),
    }
}

fn number(text: &str) -> Result<usize> {
    let number: Option<usize> = text.parse().ok();
    let number = number.filter(|number| *number <= LONGEST);
    number.ok_or_else(|| Error::new(format!("Redis sent an invalid number: {text:?}")))
}

fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = reader
        .read_line(&mut line)
        .context("the connection to Redis was cut off")?;
    match line.strip_suffix("\r\n") {
        Some(line) if read > 0 => Ok(line.to_owned()),
        _ => Err(Error::new("the connection to Redis was cut off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_arrays_of_strings_and_numbers() {
        let text = "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n*1\r\n$3\r\n\u{e9}\n\r\n";
        let mut reader = text.as_bytes();
        assert_eq!(message(&mut reader).unwrap(), ["psubscribe", "a*", "1"]);
        assert_eq!(message(&mut reader).unwrap(), ["\u{e9}\n"]);
        assert!(message(&mut reader).is_err());
    }

    #[test]
    fn invalid_messages_are_errors() {
        for text in [
            "",
            "-ERR no\r\n",
            "*x\r\n",
            "*1\r\n$9999999999\r\n",
            "*1\r\n$5\r\nab",
        ] {
            assert!(message(&mut text.as_bytes()).is_err(), "{text}");
        }
    }
}
