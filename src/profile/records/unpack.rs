//! Compressed files, known by their first bytes.
//!
//! Whatever a piece expands to, it is handed on in pieces of [`PIECE`] bytes.

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{DecodeV2, GzipDecoder, ZstdDecoder};

use super::SourceError;

/// Bytes that the first look needs.
const LONGEST_MAGIC: usize = 4;

/// The size of a decompressed piece.
const PIECE: usize = 64 * 1024;

/// zstd's window: as much as RFC 8878 wants every decoder to support, 8 MiB, and no more, since it
/// is allocated.
const WINDOW_LOG: u32 = 23;

/// Takes the pieces of a file.
pub(super) type Piece<'p> = dyn FnMut(&[u8]) -> Result<(), SourceError> + 'p;

/// A file's compression.
pub(super) enum Unpack {
    /// Too few bytes to tell.
    Start(Vec<u8>),
    Plain,
    Packed(Box<Packed>),
}

pub(super) struct Packed {
    kind: Kind,
    decoder: Box<dyn DecodeV2 + Send>,
    output: Vec<u8>,
    /// Whether a member, or frame, has ended and the next one has not begun.
    between: bool,
    /// The beginning of what comes after a member, while it is too short to tell.
    next: Vec<u8>,
    /// How many bytes came out, and may come out.
    unpacked: u64,
    limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
}

impl Kind {
    fn of_start(start: &[u8]) -> Option<Kind> {
        match start {
            [0x1F, 0x8B, 0x08, ..] => Some(Kind::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Kind::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Gzip => "gzip",
            Kind::Zstd => "zstd",
        }
    }

    fn decoder(self) -> Box<dyn DecodeV2 + Send> {
        match self {
            Kind::Gzip => Box::new(GzipDecoder::new()),
            Kind::Zstd => {
                let window = DParameter::window_log_max(WINDOW_LOG);
                Box::new(ZstdDecoder::new_with_params(&[window]))
            }
        }
    }
}

impl Unpack {
    pub fn new() -> Unpack {
        Unpack::Start(Vec::new())
    }

    /// The compression's name, once it is known.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Unpack::Packed(packed) => Some(packed.kind.name()),
            _ => None,
        }
    }

    /// Takes up bytes of the file, of which at most `limit` may come out in all.
    pub fn feed(
        &mut self,
        chunk: &[u8],
        limit: u64,
        each: &mut Piece<'_>,
    ) -> Result<(), SourceError> {
        match self {
            Unpack::Start(start) => {
                start.extend_from_slice(chunk);
                if start.len() < LONGEST_MAGIC {
                    return Ok(());
                }
                let start = std::mem::take(start);
                self.begin(&start, limit);
                self.feed(&start, limit, each)
            }
            Unpack::Plain => each(chunk),
            Unpack::Packed(packed) => packed.feed(chunk, each),
        }
    }

    fn begin(&mut self, start: &[u8], limit: u64) {
        *self = match Kind::of_start(start) {
            None => Unpack::Plain,
            Some(kind) => Unpack::Packed(Box::new(Packed {
                kind,
                decoder: kind.decoder(),
                output: vec![0; PIECE],
                between: false,
                next: Vec::new(),
                unpacked: 0,
                limit,
            })),
        };
    }

    /// The file has ended.
    pub fn finish(&mut self, limit: u64, each: &mut Piece<'_>) -> Result<(), SourceError> {
        if let Unpack::Start(start) = self {
            let start = std::mem::take(start);
            self.begin(&start, limit);
            self.feed(&start, limit, each)?;
        }
        match self {
            Unpack::Packed(packed) if !packed.between => {
                Err(packed.broken("ends before its end: it was cut off"))
            }
            Unpack::Packed(packed) if packed.has_rest() => {
                Err(packed.broken("is followed by other bytes"))
            }
            _ => Ok(()),
        }
    }
}

impl Packed {
    fn feed(&mut self, chunk: &[u8], each: &mut Piece<'_>) -> Result<(), SourceError> {
        let joined;
        let mut rest = chunk;
        if !self.next.is_empty() {
            joined = [&std::mem::take(&mut self.next)[..], chunk].concat();
            rest = &joined;
        }
        while !rest.is_empty() {
            if self.between {
                rest = self.begin_next(rest)?;
            } else {
                rest = self.decode(rest, each)?;
            }
        }
        Ok(())
    }

    /// Goes to the next member: files of logs are often many in a row. Zeros between and after
    /// members are the padding of tapes and block devices.
    fn begin_next<'c>(&mut self, rest: &'c [u8]) -> Result<&'c [u8], SourceError> {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let rest = &rest[zeros..];
        if rest.len() < LONGEST_MAGIC {
            self.next = rest.to_vec();
            return Ok(&[]);
        }
        if Kind::of_start(rest) != Some(self.kind) {
            return Err(self.broken("is followed by other bytes"));
        }
        if self.decoder.reinit().is_err() {
            self.decoder = self.kind.decoder();
        }
        self.between = false;
        Ok(rest)
    }

    /// Decodes until the member or the input ends. Answers what comes after the member.
    fn decode<'c>(
        &mut self,
        chunk: &'c [u8],
        each: &mut Piece<'_>,
    ) -> Result<&'c [u8], SourceError> {
        let mut input = PartialBuffer::new(chunk);
        loop {
            let had_input = !input.unwritten().is_empty();
            let mut output = WriteBuffer::new_initialized(&mut self.output);
            let done = self.decoder.decode(&mut input, &mut output);
            let (written, is_full) = (output.written_len(), output.has_no_spare_space());
            self.unpacked += written as u64;
            if self.unpacked > self.limit {
                return Err(SourceError::TooLarge(self.limit));
            }
            each(&self.output[..written])?;
            match done {
                Ok(true) => {
                    self.between = true;
                    let read = input.written_len();
                    return Ok(&chunk[read..]);
                }
                // The decoder was only asked whether it held something back.
                Err(_) if !had_input => return Ok(&[]),
                Err(error) => return Err(self.broken(&format!("is broken: {error}"))),
                Ok(false) if !is_full && (input.unwritten().is_empty()) => return Ok(&[]),
                Ok(false) => {}
            }
        }
    }

    fn has_rest(&self) -> bool {
        !self.next.is_empty()
    }

    fn broken(&self, how: &str) -> SourceError {
        SourceError::BadEncoding(format!("the file's {} compression {how}", self.kind.name()))
    }
}

impl std::fmt::Debug for Unpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unpack").field(&self.name()).finish()
    }
}
