//! A body as a sequence of decompressed pieces.
//!
//! The HTTP client could decompress as well. It is done here because the client stops after the
//! first member of a gzip body and drops the rest without a word, and log and export files are
//! often many members in a row.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use reqwest::Response;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::error::FetchError;

/// What [`Encoding`] understands, for `Accept-Encoding`.
pub(super) const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, br, deflate");

/// The size of a decompressed piece, and so of what is held beside the decoder's own window.
const PIECE: usize = 16 * 1024;

/// The decompressed body of an answer.
pub(super) enum Body {
    Plain(Response),
    /// Nothing is read yet; without an answer, there was nothing to read.
    Packed(Option<Response>, Encoding),
    Opened(Pin<Box<dyn AsyncRead + Send>>),
}

#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Gzip,
    Brotli,
    Deflate,
}

impl Body {
    /// # Errors
    ///
    /// The body has an encoding that was not asked for. Handing it on as it is would make a parser
    /// complain about what is no fault of its input.
    pub(super) fn new(response: Response) -> Result<Self, FetchError> {
        Ok(match encoding(response.headers())? {
            None => Self::Plain(response),
            Some(encoding) => Self::Packed(Some(response), encoding),
        })
    }

    /// The announced length of the body, where it is the length of what will be read.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Plain(response) => response.content_length(),
            _ => None,
        }
    }

    /// The next piece, or `None` at the end. Not to be called again after an error.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        if let Self::Packed(response, encoding) = self {
            let encoding = *encoding;
            // An answer without a body may still name an encoding; there is nothing to decode then.
            let Some((first, rest)) = begin(response).await? else {
                return Ok(None);
            };
            *self = Self::Opened(encoding.open(first, rest));
        }
        match self {
            Self::Plain(response) => Ok(response.chunk().await?),
            Self::Opened(reader) => read(reader).await,
            Self::Packed(..) => Ok(None),
        }
    }
}

/// The first bytes of a body, and the answer to read the others from.
async fn begin(response: &mut Option<Response>) -> Result<Option<(Bytes, Response)>, FetchError> {
    let Some(mut rest) = response.take() else {
        return Ok(None);
    };
    while let Some(first) = rest.chunk().await? {
        if !first.is_empty() {
            return Ok(Some((first, rest)));
        }
    }
    Ok(None)
}

impl Encoding {
    fn open(self, first: Bytes, rest: Response) -> Pin<Box<dyn AsyncRead + Send>> {
        let rest = rest.bytes_stream().map_err(io::Error::other);
        let packed = StreamReader::new(stream::iter([Ok(first)]).chain(rest));
        match self {
            Self::Brotli => Box::pin(BrotliDecoder::new(packed)),
            Self::Deflate => Box::pin(ZlibDecoder::new(packed)),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(packed);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        }
    }
}

async fn read(reader: &mut Pin<Box<dyn AsyncRead + Send>>) -> Result<Option<Bytes>, FetchError> {
    let mut piece = BytesMut::with_capacity(PIECE);
    match reader.read_buf(&mut piece).await {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(piece.freeze())),
        // Either the client's own error on its way through the decoder, or the decoder's.
        Err(error) => Err(match error.downcast::<reqwest::Error>() {
            Ok(transfer) => transfer.into(),
            Err(_) => FetchError::BadEncoding,
        }),
    }
}

/// One encoding at most: several on top of each other only serve to make bombs bigger.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, FetchError> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let encoding = match value.as_bytes().to_ascii_lowercase().trim_ascii() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => Encoding::Gzip,
            b"br" => Encoding::Brotli,
            b"deflate" => Encoding::Deflate,
            _ => return Err(FetchError::BadEncoding),
        };
        if found.replace(encoding).is_some() {
            return Err(FetchError::BadEncoding);
        }
    }
    Ok(found)
}
