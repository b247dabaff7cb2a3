//! Integers of any size, and floats printed as Python's `repr` prints them.

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

/// An integer of any size, exact.
///
/// Integers outside of `i64` are stored as their canonical decimal text (a `-` for negative integers,
/// no leading zeros), so that equal integers have equal texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Int(Repr);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small(i64),
    /// Only integers outside of `i64`.
    Big(Box<str>),
}

impl Int {
    /// Parses an optional `-` and digits. Leading zeros are dropped. `None` for any other text.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Int> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Ok(small) = text.parse() {
            return Some(Int(Repr::Small(small)));
        }
        let sign = if text.len() > digits.len() { "-" } else { "" };
        let canonical = [sign, digits.trim_start_matches('0')].concat();
        Some(Int(Repr::Big(canonical.into())))
    }

    /// The value, if it fits `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(small) => Some(*small),
            Repr::Big(_) => None,
        }
    }

    /// The value, if it fits `u64`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(small) => u64::try_from(*small).ok(),
            Repr::Big(text) => text.parse().ok(),
        }
    }

    /// The nearest double (ties to even, as Python's `float(i)`). An integer beyond the range of
    /// doubles gives an infinity, where Python raises `OverflowError`.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            #[allow(clippy::cast_precision_loss)] // the method rounds by its definition
            Repr::Small(small) => *small as f64,
            Repr::Big(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// Whether the value is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(small) => *small < 0,
            Repr::Big(text) => text.starts_with('-'),
        }
    }

    /// Writes the decimal digits at the end of `out`.
    pub(super) fn push_to(&self, out: &mut String) {
        match &self.0 {
            Repr::Small(small) => push_i64(*small, out),
            Repr::Big(text) => out.push_str(text),
        }
    }
}

/// Writes the digits from the right into a buffer, then appends the buffer.
fn push_i64(value: i64, out: &mut String) {
    let mut buffer = [0_u8; 20];
    let mut start = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    out.push_str(std::str::from_utf8(&buffer[start..]).unwrap_or_default());
}

impl From<i64> for Int {
    fn from(value: i64) -> Int {
        Int(Repr::Small(value))
    }
}

macro_rules! from_wider {
    ($($wide:ty),*) => {$(
        impl From<$wide> for Int {
            fn from(value: $wide) -> Int {
                match i64::try_from(value) {
                    Ok(small) => Int(Repr::Small(small)),
                    Err(_) => Int(Repr::Big(value.to_string().into())),
                }
            }
        }
    )*};
}

from_wider!(i32, i128, u32, u64, u128, usize);

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(small) => write!(f, "{small}"),
            Repr::Big(text) => f.write_str(text),
        }
    }
}

impl PartialOrd for Int {
    fn partial_cmp(&self, other: &Int) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Int {
    fn cmp(&self, other: &Int) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            // Every big integer is above all small integers, or below them if it is negative.
            (Repr::Small(_), Repr::Big(_)) if other.is_negative() => Ordering::Greater,
            (Repr::Small(_), Repr::Big(_)) => Ordering::Less,
            (Repr::Big(_), Repr::Small(_)) => other.cmp(self).reverse(),
            (Repr::Big(a), Repr::Big(b)) => cmp_decimal(a, b),
        }
    }
}

/// Compares canonical decimal texts: by sign, then by length, then digit by digit.
fn cmp_decimal(a: &str, b: &str) -> Ordering {
    let magnitude = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => magnitude(a, b),
        (Some(a), Some(b)) => magnitude(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

/// Writes `value` as Python's `repr(float)` does: the shortest digits that parse to the same double,
/// with an exponent (signed, at least two digits) below 1e-4 and from 1e16 on. A whole number keeps
/// its `.0`. Other values become `NaN`, `Infinity` and `-Infinity`, as in Python's `json`.
pub(super) fn push_f64(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "Infinity",
            _ => "-Infinity",
        });
        return;
    }
    let mut buffer = Buffer::new();
    // `Debug` switches to an exponent at the same magnitudes as Python.
    buffer.fill(format_args!("{value:?}"));
    if may_be_tied(value) {
        untie(value, &mut buffer);
    }
    let Some((digits, exponent)) = buffer.text().split_once('e') else {
        out.push_str(buffer.text());
        return;
    };
    out.push_str(digits);
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ("e-", exponent),
        None => ("e+", exponent),
    };
    out.push_str(sign);
    if exponent.len() < 2 {
        out.push('0');
    }
    out.push_str(exponent);
}

/// Whether the exact value can lie halfway between two texts of at most 17 digits. Such a value has at
/// most 18 digits, and so is a multiple of 2^-25 (5^26 has more than 18 digits).
fn may_be_tied(value: f64) -> bool {
    const MULTIPLE: f64 = 33_554_432.0;
    (value * MULTIPLE).fract() == 0.0
}

/// If two shortest texts are equally near (2^-25 is 2.98023223876953125e-08), Rust takes the larger
/// text and Python takes the text with an even last digit. With a given precision Rust rounds the
/// exact value, and rounds halves to even.
fn untie(value: f64, buffer: &mut Buffer) {
    let mantissa = buffer.text().split('e').next().unwrap_or_default();
    let odd = mantissa
        .as_bytes()
        .last()
        .is_some_and(|digit| digit % 2 == 1);
    let significant = mantissa.trim_start_matches(['-', '0', '.']).bytes();
    // Texts of fewer than 16 digits are never tied: two such texts are further apart than two doubles.
    let Some((_, fraction)) = mantissa.split_once('.') else {
        return;
    };
    if !odd || significant.filter(u8::is_ascii_digit).count() < 16 {
        return;
    }
    let places = fraction.len();
    let mut even = Buffer::new();
    if buffer.text().contains('e') {
        even.fill(format_args!("{value:.places$e}"));
    } else {
        even.fill(format_args!("{value:.places$}"));
    }
    if even.text().parse() == Ok(value) {
        *buffer = even;
    }
}

/// The text of one double. The longest text has 24 bytes: -1.7976931348623157e+308.
struct Buffer {
    bytes: [u8; 32],
    used: usize,
}

impl Buffer {
    fn new() -> Buffer {
        Buffer {
            bytes: [0; 32],
            used: 0,
        }
    }

    fn fill(&mut self, text: fmt::Arguments<'_>) {
        let mut free = &mut self.bytes[..];
        let written = free.write_fmt(text).is_ok();
        self.used = if written { 32 - free.len() } else { 0 };
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.used]).unwrap_or_default()
    }
}
