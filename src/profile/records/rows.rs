//! Rows of cells: where they end, and where their cells are.
//!
//! Quoting is RFC 4180's, taken strictly: a quote opens a cell only as its first byte, and after the
//! closing quote the cell ends. What breaks this rule is told, since a reader that guesses on makes
//! one cell of many rows. Cells stay where they are in the text; only those with doubled quotes are
//! copied.

/// The place of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::profile) struct Cell {
    start: u32,
    end: u32,
    /// Whether the cell is a piece of [`Rows::own`], not of the row.
    is_own: bool,
}

impl Cell {
    fn new(start: usize, end: usize) -> Cell {
        // Rows are at most 4 GiB long.
        let [start, end] = [start, end].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        let is_own = false;
        Cell { start, end, is_own }
    }

    /// The cell's text.
    pub fn text<'t>(&self, row: &'t str, own: &'t str) -> &'t str {
        let from = if self.is_own { own } else { row };
        from.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Splits rows into cells.
#[derive(Debug, Default)]
pub(super) struct Rows {
    delimiter: u8,
    /// The cells of the last row.
    pub cells: Vec<Cell>,
    /// Cells whose doubled quotes were undone.
    pub own: Vec<u8>,
    /// How many cells are kept; there may be more.
    pub most: usize,
    /// Whether a cell of the last row was quoted.
    pub has_quotes: bool,
}

/// What [`Rows::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A row that ends before this place, where the end of its line stands.
    Row(usize),
    /// The same, but text stands behind a closing quote. The quote opened at `open`, and `spans` tells
    /// whether the line ended in between.
    Junk {
        end: usize,
        open: usize,
        spans: bool,
    },
    /// The bytes end before the row does.
    Incomplete,
}

impl Rows {
    pub fn new(delimiter: u8, most: usize) -> Rows {
        Rows {
            delimiter,
            most,
            ..Rows::default()
        }
    }

    /// Reads the row at the beginning of `bytes`, which goes on to the end of its line; `last` says that
    /// the file ends with these bytes.
    pub fn read(&mut self, bytes: &[u8], last: bool) -> Found {
        self.cells.clear();
        self.own.clear();
        self.has_quotes = false;
        let mut at = 0;
        loop {
            let (cell, end) = if bytes.get(at) == Some(&b'"') {
                match self.quoted(bytes, at, last) {
                    Ok(found) => found,
                    Err(found) => return found,
                }
            } else {
                let end = find(bytes, at, self.delimiter);
                (Cell::new(at, end), end)
            };
            if self.cells.len() < self.most {
                self.cells.push(cell);
            }
            match bytes.get(end) {
                None if last => return Found::Row(end),
                None => return Found::Incomplete,
                Some(byte) if *byte == self.delimiter => at = end + 1,
                Some(_) => return Found::Row(end),
            }
        }
    }

    /// Reads the cell whose quote opens at `open`.
    #[cold]
    fn quoted(&mut self, bytes: &[u8], open: usize, last: bool) -> Result<(Cell, usize), Found> {
        self.has_quotes = true;
        let own = self.own.len();
        let mut from = open + 1;
        let mut is_own = false;
        loop {
            let Some(length) = memchr::memchr(b'"', &bytes[from..]) else {
                return Err(Found::Incomplete);
            };
            let quote = from + length;
            let doubled = bytes.get(quote + 1) == Some(&b'"');
            if doubled || is_own {
                self.own
                    .extend_from_slice(&bytes[from..quote + usize::from(doubled)]);
                is_own = true;
            }
            if doubled {
                from = quote + 2;
                continue;
            }
            let end = quote + 1;
            let cell = match is_own {
                true => Cell {
                    is_own,
                    ..Cell::new(own, self.own.len())
                },
                false => Cell::new(open + 1, quote),
            };
            return match bytes.get(end) {
                None if last => Ok((cell, end)),
                None => Err(Found::Incomplete),
                Some(b'\r' | b'\n') => Ok((cell, end)),
                Some(byte) if *byte == self.delimiter => Ok((cell, end)),
                Some(_) => Err(junk(bytes, open, end, last)),
            };
        }
    }
}

/// The row with text behind a closing quote ends with its line.
fn junk(bytes: &[u8], open: usize, at: usize, last: bool) -> Found {
    let spans = bytes[open..at].iter().any(|byte| is_line_end(*byte));
    match memchr::memchr2(b'\r', b'\n', &bytes[at..]) {
        Some(length) => {
            let end = at + length;
            Found::Junk { end, open, spans }
        }
        None if last => {
            let end = bytes.len();
            Found::Junk { end, open, spans }
        }
        None => Found::Incomplete,
    }
}

/// The place of the first delimiter or end of line from `from` on, or the length.
///
/// Eight bytes at a time, as most cells are short: in each word a byte's high bit is set where the
/// byte is one of the three. `x - 1` borrows from zero, and a borrow can mark bytes above a true one
/// but never below, of which the lowest is taken; bytes beyond ASCII are masked out.
fn find(bytes: &[u8], from: usize, delimiter: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let equal = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        let found = (equal(delimiter) | equal(b'\n') | equal(b'\r')) & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte == delimiter || is_line_end(*byte);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(special).unwrap_or(rest.len())
}

pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// How many lines end in these bytes: with `\n`, `\r\n` or `\r`.
pub(super) fn line_ends(bytes: &[u8]) -> u64 {
    let mut lines = LineEnds::default();
    lines.pass_all(bytes);
    lines.count
}

/// Counts the ends of lines in bytes that come in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEnds {
    pub count: u64,
    after_return: bool,
}

impl LineEnds {
    pub fn pass_all(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.pass(*byte));
    }

    fn pass(&mut self, byte: u8) {
        let is_second_half = self.after_return && byte == b'\n';
        self.after_return = byte == b'\r';
        self.count += u64::from(is_line_end(byte) && !is_second_half);
    }
}

/// Finds the end of a row byte by byte, where it comes in several pieces; the same that
/// [`Rows::read`] finds.
#[derive(Debug, Clone, Default)]
pub(super) struct Ender {
    state: State,
    lines: LineEnds,
    /// How many lines of the row had ended where its last quote opened.
    open: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: the closing one, or the first of two.
    Quote,
    /// After text behind a closing quote.
    Junk,
}

impl Ender {
    /// Reads on, and answers where the row ends, if that is in these bytes.
    pub fn find(&mut self, bytes: &[u8], delimiter: u8) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.state = match self.state {
                State::Quoted if byte == b'"' => State::Quote,
                State::Quoted => State::Quoted,
                State::Quote if byte == b'"' => State::Quoted,
                _ if is_line_end(byte) => return Some(at),
                State::Junk => State::Junk,
                _ if byte == delimiter => State::Start,
                State::Start if byte == b'"' => {
                    self.open = self.lines.count;
                    State::Quoted
                }
                State::Quote => State::Junk,
                State::Start | State::Plain => State::Plain,
            };
            self.lines.pass(byte);
        }
        None
    }

    /// How many lines have ended in the row.
    pub fn lines(&self) -> u64 {
        self.lines.count
    }

    /// Where a quote is open: how many lines of the row had ended before it.
    pub fn open_quote(&self) -> Option<u64> {
        (self.state == State::Quoted).then_some(self.open)
    }
}
