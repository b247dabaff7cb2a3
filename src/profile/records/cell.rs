//! What the text of a cell stands for.

use std::borrow::Cow;

use crate::json::{Int, MAX_INT_DIGITS};

/// What stands for a missing value, besides an empty cell: the words that pandas takes for one.
pub const NULL_WORDS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The words for a missing value.
#[derive(Debug, Clone)]
pub(super) struct Nulls {
    words: Vec<Cow<'static, str>>,
    /// By the first and the last byte of a cell, whether it can be a word: few cells can.
    first: Box<[bool; 256]>,
    last: Box<[bool; 256]>,
}

impl Default for Nulls {
    fn default() -> Nulls {
        Nulls::new(NULL_WORDS.map(Cow::Borrowed).to_vec())
    }
}

impl Nulls {
    pub fn new(words: Vec<Cow<'static, str>>) -> Nulls {
        let (mut first, mut last) = (Box::new([false; 256]), Box::new([false; 256]));
        for word in &words {
            if let [begin, ..] = word.as_bytes()
                && let [.., end] = word.as_bytes()
            {
                first[usize::from(*begin)] = true;
                last[usize::from(*end)] = true;
            }
        }
        Nulls { words, first, last }
    }

    pub fn has(&self, cell: &str) -> bool {
        let ([begin, ..], [.., end]) = (cell.as_bytes(), cell.as_bytes()) else {
            return true;
        };
        self.last[usize::from(*end)]
            && self.first[usize::from(*begin)]
            && self.words.iter().any(|word| word == cell)
    }
}

/// A number that a cell stands for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::profile) struct Number {
    pub value: Amount,
    /// Whether the cell is spelled as the number would be written again, so that no two such cells
    /// are the same number.
    pub is_plain: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::profile) enum Amount {
    Int(Int),
    Float(f64),
}

impl Number {
    /// Whether this is no infinity.
    pub fn is_finite(&self) -> bool {
        !matches!(self.value, Amount::Float(number) if !number.is_finite())
    }
}

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The parts of a number's text.
#[derive(Debug, Default)]
struct Parts {
    has_sign: bool,
    is_negative: bool,
    /// The digits before and after the decimal mark, as one number; wrong beyond 18 digits.
    digits: u64,
    before: usize,
    after: Option<usize>,
    last: u8,
    has_exponent: bool,
}

/// The number that a cell is for pandas, with `decimal` as the decimal mark: an optional sign, digits
/// with a decimal mark anywhere among them, an exponent; or infinity. But a number with leading zeros
/// is none, for what is written so is a code: a postcode, an account, a part. Spaces around it
/// do not count.
pub(in crate::profile) fn number(cell: &str, decimal: u8) -> Option<Number> {
    let text = cell.trim_ascii();
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'0'..=b'9' | b'+' | b'-' => {}
        byte if *byte == decimal => {}
        b'i' | b'I' => return infinity(text),
        _ => return None,
    }
    let Some(parts) = parts(bytes, decimal) else {
        return infinity(text);
    };
    let is_trimmed = text.len() < cell.len();
    let written_plus = parts.has_sign && !parts.is_negative;
    if parts.after.is_none() && !parts.has_exponent {
        let is_minus_zero = parts.is_negative && parts.digits == 0;
        let is_plain = !is_trimmed && !written_plus && !is_minus_zero;
        let value = Amount::Int(parts.int(text)?);
        return Some(Number { value, is_plain });
    }
    let is_plain = !is_trimmed && !written_plus && decimal == b'.' && parts.is_plain();
    let value = Amount::Float(parts.float(text, decimal)?);
    Some(Number { value, is_plain })
}

/// Takes a number's text apart; `None` where it is none.
// One pass over the bytes of a cell, in the order of a number's parts.
fn parts(bytes: &[u8], decimal: u8) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut at = 0;
    if let Some(sign @ (b'+' | b'-')) = bytes.first() {
        parts.has_sign = true;
        parts.is_negative = *sign == b'-';
        at = 1;
    }
    let first = bytes.get(at).copied();
    let mut digits = |at: &mut usize| {
        let start = *at;
        while let Some(byte @ b'0'..=b'9') = bytes.get(*at) {
            parts.digits = parts
                .digits
                .wrapping_mul(10)
                .wrapping_add(u64::from(byte - b'0'));
            parts.last = *byte;
            *at += 1;
        }
        *at - start
    };
    let before = digits(&mut at);
    let mut after = None;
    if bytes.get(at) == Some(&decimal) {
        at += 1;
        after = Some(digits(&mut at));
    }
    (parts.before, parts.after) = (before, after);
    if before + after.unwrap_or(0) == 0 || before > 1 && first == Some(b'0') {
        return None;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit());
        let length = exponent.count();
        at += length;
        parts.has_exponent = length > 0;
        if length == 0 {
            return None;
        }
    }
    (at == bytes.len()).then_some(parts)
}

impl Parts {
    fn int(&self, text: &str) -> Option<Int> {
        if self.before <= 18 {
            let magnitude = self.digits.cast_signed();
            let int = if self.is_negative {
                -magnitude
            } else {
                magnitude
            };
            return Some(int.into());
        }
        if self.before > MAX_INT_DIGITS {
            return None;
        }
        Int::from_decimal(text.strip_prefix('+').unwrap_or(text))
    }

    /// The nearest double.
    #[allow(clippy::cast_precision_loss)] // exact below 2^53
    fn float(&self, text: &str, decimal: u8) -> Option<f64> {
        let after = self.after.unwrap_or(0);
        if !self.has_exponent && self.before + after <= 18 && self.digits < 1 << 53 {
            // The quotient of two numbers that are exact is rounded once.
            let magnitude = self.digits as f64 / TENS.get(after)?;
            return Some(if self.is_negative {
                -magnitude
            } else {
                magnitude
            });
        }
        match decimal {
            b'.' => text.parse().ok(),
            other => text.replace(char::from(other), ".").parse().ok(),
        }
    }

    /// Whether the shortest text of the double is this one.
    #[allow(clippy::cast_precision_loss)] // below 10^15
    fn is_plain(&self) -> bool {
        let after = self.after.unwrap_or(0);
        let ends_well = self.last != b'0' || after == 1;
        // From four zeros behind the mark on, an exponent is shorter.
        let least = after
            .checked_sub(4)
            .map_or(Some(&1.0), |power| TENS.get(power));
        let needs_no_exponent = match self.digits {
            0 => !self.is_negative,
            digits => least.is_some_and(|least| digits as f64 >= *least),
        };
        !self.has_exponent
            && self.before > 0
            && after > 0
            && self.before + after <= 15
            && ends_well
            && needs_no_exponent
    }
}

fn infinity(text: &str) -> Option<Number> {
    let (sign, word) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    let is_infinity = ["inf", "infinity"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    is_infinity.then_some(Number {
        value: Amount::Float(sign * f64::INFINITY),
        is_plain: false,
    })
}
