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

/// What [`Encoding`] understands, for `Accept-Encoding`.
pub(super) const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, br, deflate");

/// How many encodings on top of each other are undone.
const MAX_ENCODINGS: usize = 5;

/// Encodings that change a body and are not understood here: those that are registered for HTTP,
/// and compressions that servers name although they are not. Any other word says nothing about the
/// body's form: servers write character sets, `none` and `aws-chunked` there.
const NOT_UNDERSTOOD: &[&str] = &[
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

/// The size of a decompressed piece, and so of what is held beside the decoder's own window.
const PIECE: usize = 16 * 1024;

/// What every gzip member begins with (RFC 1952).
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
    /// The body has an encoding that was not asked for. Handing it on as it is would make a parser
    /// complain about what is no fault of its input.
    pub(super) fn new(headers: &HeaderMap, body: Incoming) -> Result<Self, FetchError> {
        let encodings = encodings(headers)?;
        let length = body.size_hint().exact();
        let transfer = body
            .into_data_stream()
            .map_err(|error| io::Error::other(FetchError::of(&error)));
        let pieces: Pieces = Box::pin(transfer);
        Ok(Self {
            length: length.filter(|_| encodings.is_empty()),
            // What was put on last is undone first.
            pieces: encodings.into_iter().rev().fold(pieces, undo),
        })
    }

    /// The announced length of the body, where it is the length of what will be read.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece, or `None` at the end. Not to be called again after an error.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(piece) = self.pieces.next().await else {
            return Ok(None);
        };
        // An error is either that of the transfer, on its way through the decoders, or a decoder's.
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

fn undo(packed: Pieces, encoding: Encoding) -> Pieces {
    let source = Box::pin(StreamReader::new(packed));
    let start = Decoder::Start(encoding, source);
    Box::pin(stream::try_unfold(start, Decoder::piece))
}

/// One encoding on its way to be undone.
enum Decoder {
    Start(Encoding, Source),
    Gzip(GzipDecoder<Source>),
    Brotli(BrotliDecoder<Source>),
    Zlib(ZlibDecoder<Source>),
    Deflate(DeflateDecoder<Source>),
    /// What follows the compressed data.
    Rest(Source),
}

impl Decoder {
    async fn piece(mut self) -> io::Result<Option<(Bytes, Self)>> {
        loop {
            // A few bytes can be many empty pieces, and a decoder that never waits would keep the
            // clock from being looked at.
            consume_budget().await;
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = match &mut self {
                Self::Start(..) => 0,
                Self::Gzip(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Brotli(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Zlib(decoder) => decoder.read_buf(&mut piece).await?,
                Self::Deflate(decoder) => decoder.read_buf(&mut piece).await?,
                // Left out, as gzip and browsers do, and yet read: the end of the transfer says
                // whether it is whole, and lets the connection be used again.
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

    /// What reads on where nothing is left to be read.
    async fn next(self) -> io::Result<Self> {
        Ok(match self {
            Self::Start(encoding, mut source) => match source.fill_buf().await?.is_empty() {
                // An answer without a body may still name an encoding.
                true => Self::Rest(source),
                false => Self::open(encoding, source).await?,
            },
            // Log and export files are often many members in a row.
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

/// True for the header of a zlib stream (RFC 1950, section 2.2). `deflate` means one, but servers
/// send the bare stream as well (RFC 9110, section 8.4.1.2). No bare stream looks like this: it would
/// begin with a stored block whose padding is not zero.
fn is_zlib(start: &[u8]) -> bool {
    match *start {
        [method, flags] => {
            method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

/// The encodings of a body, in the order in which they were put on.
fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, FetchError> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let mut found = Vec::new();
    for word in values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
        let word = word.trim_ascii().to_ascii_lowercase();
        found.push(match &word[..] {
            b"gzip" | b"x-gzip" => Encoding::Gzip,
            b"br" => Encoding::Brotli,
            b"deflate" => Encoding::Deflate,
            other => match NOT_UNDERSTOOD.iter().find(|name| name.as_bytes() == other) {
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
