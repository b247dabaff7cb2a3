//! The bytes of a file as UTF-8.
//!
//! UTF-8 is handed on as it is, without a copy. Bytes that are no text in another encoding become
//! [`NO_TEXT`], which is no UTF-8 either: so the record that they stand in is found to be wrong by
//! whoever reads it.

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::SourceError;
use super::unpack::Piece;

/// What stands for bytes that are no text.
const NO_TEXT: u8 = 0xFF;

/// How much text is decoded at once.
const PIECE: usize = 16 * 1024;

/// Windows-1252 assigns no character to these bytes.
const UNASSIGNED: [u8; 5] = [0x81, 0x8D, 0x8F, 0x90, 0x9D];

/// A file's encoding.
#[derive(Debug)]
pub(super) struct Charset {
    way: Way,
    /// How many of the first bytes are a byte order mark.
    mark: usize,
    is_finished: bool,
    pub notes: Vec<String>,
}

enum Way {
    /// UTF-8, by a mark, a declaration, or the first character beyond ASCII.
    Utf8,
    /// ASCII so far, and nothing is declared. Holds the beginning of the first character beyond ASCII.
    Undecided(Vec<u8>),
    Other(Box<Other>),
}

struct Other {
    encoding: &'static Encoding,
    decoder: encoding_rs::Decoder,
    text: Vec<u8>,
    /// Where nobody declared the encoding.
    guess: Option<Guess>,
}

/// Why a text cannot be decoded, or what its reader says of it.
pub(super) enum Fault {
    /// The encoding cannot be told, from the current line on.
    Unclear(String),
    Source(SourceError),
}

impl Fault {
    pub fn in_line(self, line: u64) -> SourceError {
        match self {
            Fault::Unclear(why) => SourceError::BadEncoding(format!("line {line}: {why}")),
            Fault::Source(error) => error,
        }
    }
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Fault {
        Fault::Source(error)
    }
}

/// Looks for signs that a file is not Windows-1252 although it is not UTF-8.
#[derive(Default)]
struct Guess {
    /// The beginning of what may be a character in UTF-8.
    sequence: Vec<u8>,
}

impl Charset {
    /// The encoding by the byte order mark, else by the caller's word, else by the content type's
    /// `charset`, else by the zero bytes of UTF-16, else [undecided](Way::Undecided).
    pub fn new(
        head: &[u8],
        named: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Charset, SourceError> {
        let named = known(named, "encoding")?;
        let declared = known(declared, "content type's charset")?;
        let (way, mark) = match *head {
            [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
                let message = "the file is UTF-32, which is not read; UTF-8 and UTF-16 are";
                return Err(SourceError::BadEncoding(message.to_owned()));
            }
            [0xEF, 0xBB, 0xBF, ..] => (Way::Utf8, 3),
            [0xFF, 0xFE, ..] => (Way::of(UTF_16LE), 2),
            [0xFE, 0xFF, ..] => (Way::of(UTF_16BE), 2),
            _ => return Ok(Charset::without_mark(head, named, declared)),
        };
        Ok(Charset {
            way,
            mark,
            is_finished: false,
            notes: Vec::new(),
        })
    }

    fn without_mark(
        head: &[u8],
        named: Option<&'static Encoding>,
        declared: Option<&'static Encoding>,
    ) -> Charset {
        let mut notes = Vec::new();
        let seen = utf_16(head);
        let way = match named.or(declared) {
            // `utf-16` without a mark leaves the order of the bytes open.
            Some(encoding) if encoding == UTF_16LE && seen == Some(UTF_16BE) => Way::of(UTF_16BE),
            Some(encoding) => {
                let is_utf8 = !head.is_ascii() && is_start_of_utf8(head);
                if named.is_none() && encoding.is_single_byte() && is_utf8 {
                    let name = encoding.name();
                    notes.push(format!(
                        "read as {name}, as the content type says, although the start is valid UTF-8"
                    ));
                }
                Way::of(encoding)
            }
            None => match seen {
                Some(encoding) => {
                    let name = encoding.name();
                    notes.push(format!("read as {name}, by its zero bytes"));
                    Way::of(encoding)
                }
                None => Way::Undecided(Vec::new()),
            },
        };
        Charset {
            way,
            mark: 0,
            is_finished: false,
            notes,
        }
    }

    /// The encoding's name.
    pub fn name(&self) -> &'static str {
        match &self.way {
            Way::Utf8 | Way::Undecided(_) => UTF_8.name(),
            Way::Other(other) => other.encoding.name(),
        }
    }

    /// Whether the text is read as Windows-1252 since it is not UTF-8.
    pub fn is_guessed(&self) -> bool {
        matches!(&self.way, Way::Other(other) if other.guess.is_some())
    }

    /// Takes up bytes of the file, at most to the place where the encoding is decided. Answers what
    /// is left of them.
    pub fn feed<'b>(&mut self, bytes: &'b [u8], each: &mut Piece<'_>) -> Result<&'b [u8], Fault> {
        if self.mark > 0 {
            let (marked, rest) = bytes.split_at(self.mark.min(bytes.len()));
            self.mark -= marked.len();
            return Ok(rest);
        }
        match &mut self.way {
            Way::Utf8 => each(bytes)?,
            Way::Other(other) => other.decode(bytes, false, each)?,
            Way::Undecided(held) if held.is_empty() => {
                let ascii = match bytes.is_ascii() {
                    true => bytes.len(),
                    false => bytes.iter().take_while(|byte| byte.is_ascii()).count(),
                };
                each(&bytes[..ascii])?;
                held.extend_from_slice(&bytes[ascii..(ascii + 1).min(bytes.len())]);
                return Ok(&bytes[(ascii + 1).min(bytes.len())..]);
            }
            Way::Undecided(_) => return self.decide(bytes, each),
        }
        Ok(&[])
    }

    /// Adds a byte to the first character beyond ASCII, and decides when it is complete.
    fn decide<'b>(&mut self, bytes: &'b [u8], each: &mut Piece<'_>) -> Result<&'b [u8], Fault> {
        let Way::Undecided(held) = &mut self.way else {
            return Ok(bytes);
        };
        let is_utf8 = first_character(held);
        if is_utf8.is_none() {
            let (next, rest) = bytes.split_at(1.min(bytes.len()));
            held.extend_from_slice(next);
            return Ok(rest);
        }
        let held = std::mem::take(held);
        self.way = match is_utf8 {
            Some(true) => Way::Utf8,
            _ => Way::guess(),
        };
        self.feed(&held, each)?;
        Ok(bytes)
    }

    /// The file has ended.
    pub fn finish(&mut self, each: &mut Piece<'_>) -> Result<(), Fault> {
        if let Way::Undecided(held) = &mut self.way
            && !held.is_empty()
        {
            let held = std::mem::take(held);
            self.way = match first_character(&held) {
                Some(true) => Way::Utf8,
                _ => Way::guess(),
            };
            self.feed(&held, each)?;
        }
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(());
        }
        match &mut self.way {
            Way::Other(other) => other.decode(&[], true, each),
            _ => Ok(()),
        }
    }
}

impl Way {
    fn of(encoding: &'static Encoding) -> Way {
        if encoding == UTF_8 {
            return Way::Utf8;
        }
        Way::Other(Box::new(Other {
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            text: vec![0; PIECE],
            guess: None,
        }))
    }

    fn guess() -> Way {
        let mut way = Way::of(WINDOWS_1252);
        if let Way::Other(other) = &mut way {
            other.guess = Some(Guess::default());
        }
        way
    }
}

impl Other {
    fn decode(&mut self, bytes: &[u8], last: bool, each: &mut Piece<'_>) -> Result<(), Fault> {
        let sign = self.guess.as_mut().and_then(|guess| guess.check(bytes));
        let Some((before, why)) = sign else {
            return self.convert(bytes, last, each);
        };
        // What comes before is read, so that the line of the sign is known.
        self.convert(&bytes[..before], false, each)?;
        Err(Fault::Unclear(format!(
            "no charset is declared, and the encoding is not clear: {why}; name the file's encoding"
        )))
    }

    fn convert(&mut self, mut bytes: &[u8], last: bool, each: &mut Piece<'_>) -> Result<(), Fault> {
        let room = self.text.len() - 1;
        loop {
            let text = &mut self.text[..room];
            let (result, read, mut written) = self
                .decoder
                .decode_to_utf8_without_replacement(bytes, text, last);
            bytes = &bytes[read..];
            if let DecoderResult::Malformed(..) = result {
                self.text[written] = NO_TEXT;
                written += 1;
            }
            if written > 0 {
                each(&self.text[..written])?;
            }
            if result == DecoderResult::InputEmpty {
                return Ok(());
            }
        }
    }
}

impl Guess {
    /// Looks for what Windows-1252 does not have, and for characters of UTF-8, which its texts
    /// hardly ever have. Answers what was found, and where.
    fn check(&mut self, bytes: &[u8]) -> Option<(usize, String)> {
        if bytes.is_ascii() {
            self.sequence.clear();
            return None;
        }
        for (at, &byte) in bytes.iter().enumerate() {
            if UNASSIGNED.contains(&byte) {
                let why = format!("not all is UTF-8, and Windows-1252 has no byte 0x{byte:02X}");
                return Some((at, why));
            }
            if !(0x80..0xC0).contains(&byte) {
                self.sequence.clear();
            }
            if byte >= 0xC2 || !self.sequence.is_empty() {
                self.sequence.push(byte);
            }
            match first_character(&self.sequence) {
                Some(true) => {
                    return Some((at, "this is UTF-8, and what came before is not".to_owned()));
                }
                Some(false) => self.sequence.clear(),
                None => {}
            }
        }
        None
    }
}

/// Whether the text begins with a character of UTF-8; `None` while it is too short to tell.
fn first_character(text: &[u8]) -> Option<bool> {
    let length = match text.first()? {
        ..0x80 => 1,
        0xC2..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF5 => 4,
        _ => return Some(false),
    };
    match std::str::from_utf8(&text[..length.min(text.len())]) {
        Ok(_) => Some(true),
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some(false),
    }
}

/// Whether this is UTF-8, or would be if it were not cut off.
fn is_start_of_utf8(text: &[u8]) -> bool {
    match std::str::from_utf8(text) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// UTF-16 without a byte order mark: where a quarter of the characters is ASCII or more, every other byte is often
/// zero, and none of those between them is.
fn utf_16(head: &[u8]) -> Option<&'static Encoding> {
    let units = head.len().min(4096) / 2;
    let zeros = |offset: usize| {
        let bytes = head.iter().skip(offset).step_by(2).take(units);
        bytes.filter(|byte| **byte == 0).count()
    };
    match (zeros(0), zeros(1)) {
        (0, low) if low > 0 && low * 4 >= units => Some(UTF_16LE),
        (high, 0) if high > 0 && high * 4 >= units => Some(UTF_16BE),
        _ => None,
    }
}

fn known(label: Option<&str>, what: &str) -> Result<Option<&'static Encoding>, SourceError> {
    let encoding = label.map(|label| {
        let unknown = || SourceError::BadEncoding(format!("the {what} {label:?} is not known"));
        of_label(label).ok_or_else(unknown)
    });
    encoding.transpose()
}

/// What is told where the encoding was guessed.
pub(super) fn guessed(line: u64) -> String {
    format!("no charset is declared, and line {line} is not UTF-8: read as windows-1252")
}

/// The encoding of a label as the Encoding Standard has them.
pub(super) fn of_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label.as_bytes())
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Way::Utf8 => "Utf8",
            Way::Undecided(_) => "Undecided",
            Way::Other(other) => other.encoding.name(),
        })
    }
}
