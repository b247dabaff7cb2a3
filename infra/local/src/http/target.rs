//! Preserves request targets as sent.
//!
//! `hyper` parses a target as a URI: it drops the text after a `#`, and refuses quotes and some
//! other characters. API Gateway and similar servers may forward such targets, and the services'
//! tests send them. So this module masks characters that are invalid in a URI before `hyper` reads
//! them: each byte becomes a character of a private use area of Unicode, and is unmasked
//! afterwards.

use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first of 256 private characters, one for each byte.
const PRIVATE: u32 = 0xE000;

/// How many bytes are read at a time before the end of a target.
const AT_ONCE: usize = 4096;

/// A flag for the end of a request, after which the next request starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A connection on which the targets of requests are masked.
///
/// Targets of pipelined requests, which are sent before the answer to the previous request, are not
/// masked.
#[derive(Debug)]
pub(super) struct Masked<S> {
    stream: S,
    ended: Ended,
    place: Place,
    /// Masked bytes that are not read yet.
    ready: Vec<u8>,
}

/// A position in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the method; empty lines may precede it.
    Start,
    Method,
    Target,
    Rest,
}

impl<S> Masked<S> {
    pub(super) fn new(stream: S, ended: Ended) -> Self {
        Self {
            stream,
            ended,
            place: Place::Start,
            ready: Vec::new(),
        }
    }

    fn mask(&mut self, read: &[u8]) {
        for byte in read {
            self.place = match (self.place, byte) {
                (Place::Start, b'\r' | b'\n') => Place::Start,
                (Place::Start, _) => Place::Method,
                (Place::Method, b' ') => Place::Target,
                (Place::Method | Place::Target, b'\r' | b'\n') | (Place::Target, b' ') => {
                    Place::Rest
                }
                (place, _) => place,
            };
            match char::from_u32(PRIVATE + u32::from(*byte)) {
                Some(mask) if self.place == Place::Target && !is_of_uris(*byte) => {
                    let mut buffer = [0; 4];
                    let mask = mask.encode_utf8(&mut buffer);
                    self.ready.extend_from_slice(mask.as_bytes());
                }
                _ => self.ready.push(*byte),
            }
        }
    }
}

/// The characters of RFC 3986, section 2, without `#`, which does not belong to a request's target,
/// and with the space before a target.
fn is_of_uris(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" -._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

/// A path or a query as sent.
pub(super) fn unmasked(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let masked = u32::from(character).checked_sub(PRIVATE);
        match masked.and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl<S: AsyncRead + Unpin> AsyncRead for Masked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        if self.ready.is_empty() {
            if self.ended.0.swap(false, Ordering::SeqCst) {
                self.place = Place::Start;
            }
            if self.place == Place::Rest {
                return Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            let mut read = [0; AT_ONCE];
            let mut read = ReadBuf::new(&mut read);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.mask(read.filled());
        }
        let taken = buffer.remaining().min(self.ready.len());
        buffer.put_slice(&self.ready[..taken]);
        self.ready.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Masked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
