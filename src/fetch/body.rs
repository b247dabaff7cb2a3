//! A body as a sequence of decompressed pieces.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use tokio::task::coop::consume_budget;
use tokio_util::io::StreamReader;

use super::error::FetchError;

/// The encodings that [`Encoding`] supports, for `Accept-Encoding`.
pub(super) const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, br, deflate");

/// The most encodings of one body, applied one after the other.
const MAX_ENCODINGS: usize = 5;

/// Encodings that change a body and are not supported here: encodings registered for HTTP, and
/// compressions that servers name without a registration. Any other word says nothing about the
/// body's form: servers write character sets, `none` and `aws-chunked` there.
const UNSUPPORTED: &[&str] = &[
    "zstd",
    "x-zstd",
    "compress",
    "x-compress",
    "dcb",
    "dcz",
    "exi",
    "pack200-gzip",
    "aes128gcm",
    "bzip",
    "bzip2",
    "x-bzip",
    "x-bzip2",
    "lzma",
    "x-lzma",
    "xz",
    "x-xz",
    "lz4",
    "snappy",
    "x-snappy",
    "x-snappy-framed",
    "sdch",
    "zip",
    "x-zip",
];

/// The size of a decompressed piece in bytes. A decoder holds one piece beside its own window.
const PIECE: usize = 16 * 1024;

/// The first byte of every gzip member (RFC 1952).
const GZIP_MAGIC: u8 = 0x1f;

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;
type Source = Pin<Box<dyn AsyncBufRead + Send>>;

/// The decompressed body of an answer.
pub(super) struct Body {
    length: Option<u64>,
    pieces: Pieces,
}

impl Body {
    /// # Errors
    ///
    /// The body has an encoding that the request did not offer. Without this error a parser of the
    /// compressed bytes would report a fault of the input.
    pub(super) fn new(headers: &HeaderMap, body: Incoming) -> Result<Self, FetchError> {
        let encodings = encodings(headers)?;
        let length = body.size_hint().exact();
        let transfer = body
            .into_data_stream()
            .map_err(|error| io::Error::other(FetchError::of(&error)));
        let pieces: Pieces = Box::pin(transfer);
        Ok(Self {
            length: length.filter(|_| encodings.is_empty()),
            // The encoding that was applied last is decoded first.
            pieces: encodings.into_iter().rev().fold(pieces, decode),
        })
    }

    /// The announced length of the body, or `None` if the decompressed length may differ.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece, or `None` at the end. Must not be called again after an error.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(piece) = self.pieces.next().await else {
            return Ok(None);
        };
        // The decoders pass an error of the transfer on. Any other error is a decoder's own.
        let fault = |error: io::Error| error.downcast().unwrap_or(FetchError::BadEncoding);
        piece.map(Some).map_err(fault)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Brotli,
    Deflate,
}

fn decode(packed: Pieces, encoding: Encoding) -> Pieces {
    let source = Box::pin(StreamReader::new(packed));
    let start = Decoder::Start(encoding, source);
    Box::pin(stream::try_unfold(start, Decoder::piece))
}

/// The decoder of one encoding.
enum Decoder {
    Start(Encoding, Source),
    Gzip(GzipDecoder<Source>),
    Brotli(BrotliDecoder<Source>),
    Zlib(ZlibDecoder<Source>),
    Deflate(DeflateDecoder<Source>),
    /// Bytes after the end of the compressed data.
    Rest(Source),
}

impl Decoder {
    async fn piece(mut self) -> io::Result<Option<(Bytes, Self)>> {
        loop {
            // A few bytes can make many empty pieces. A decoder that never yields would keep the
            // timeout from being checked.
            consume_budget().await;
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = match &mut self {
                Self::Start(..) => 0,
                Self::Gzip(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Brotli(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Zlib(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Deflate(decoder) => decoder.read_buf(&mut piece).await?,
                // The rest is dropped, as gzip and browsers do, but read: only the end of the
                // transfer shows that the body is complete, and frees the connection for reuse.
                Self::Rest(source) => match source.fill_buf().await?.len() {
                    0 => return Ok(None),
                    length => {
                        source.consume(length);
                        continue;
                    }
                },
            };
            if read > 0 {
                return Ok(Some((piece.freeze(), self)));
            }
            self = self.next().await?;
        }
    }

    /// The decoder that reads on after this decoder's end.
    async fn next(self) -> io::Result<Self> {
        Ok(match self {
            Self::Start(encoding, mut source) => match source.fill_buf().await?.is_empty() {
                // An answer without a body may name an encoding all the same.
                true => Self::Rest(source),
                false => Self::open(encoding, source).await?,
            },
            // Log and export files often consist of many gzip members.
            Self::Gzip(decoder) => {
                let mut source = decoder.into_inner();
                match source.fill_buf().await?.first() {
                    Some(&GZIP_MAGIC) => Self::Gzip(GzipDecoder::new(source)),
                    _ => Self::Rest(source),
                }
            }
            Self::Brotli(decoder) => Self::Rest(decoder.into_inner()),
            Self::Zlib(decoder) => Self::Rest(decoder.into_inner()),
            Self::Deflate(decoder) => Self::Rest(decoder.into_inner()),
            Self::Rest(source) => Self::Rest(source),
        })
    }

    async fn open(encoding: Encoding, mut source: Source) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(GzipDecoder::new(source)),
            Encoding::Brotli => Self::Brotli(BrotliDecoder::new(source)),
            Encoding::Deflate => {
                let mut start = Vec::with_capacity(2);
                (&mut source).take(2).read_to_end(&mut start).await?;
                let is_zlib = is_zlib(&start);
                let source: Source = Box::pin(io::Cursor::new(start).chain(source));
                match is_zlib {
                    true => Self::Zlib(ZlibDecoder::new(source)),
                    false => Self::Deflate(DeflateDecoder::new(source)),
                }
            }
        })
    }
}

/// True for the header of a zlib stream (RFC 1950, section 2.2). `deflate` means a zlib stream, but
/// some servers send a bare deflate stream (RFC 9110, section 8.4.1.2). A bare stream with these bytes
/// would begin with a stored block whose padding is not zero, so no bare stream looks like this.
fn is_zlib(start: &[u8]) -> bool {
    match *start {
        [method, flags] => {
            method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

/// The encodings of a body, in the order in which the server applied them.
fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, FetchError> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let mut found = Vec::new();
    for word in values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
        let word = word.trim_ascii().to_ascii_lowercase();
        found.push(match &word[..] {
            b"gzip" | b"x-gzip" => Encoding::Gzip,
            b"br" => Encoding::Brotli,
            b"deflate" => Encoding::Deflate,
            other => match UNSUPPORTED.iter().find(|name| name.as_bytes() == other) {
                Some(name) => return Err(FetchError::UnknownEncoding(name)),
                None => continue,
            },
        });
    }
    match found.len() > MAX_ENCODINGS {
        true => Err(FetchError::TooManyEncodings(MAX_ENCODINGS)),
        false => Ok(found),
    }
}
