//! How many different values there are: exact for a bounded number, then HyperLogLog.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};

use foldhash::quality::{FixedState, FoldHasher};

use super::Budget;
use super::records::Amount;
use super::value::Value;
use crate::json::Int;

/// Up to how many different values the number is exact. (Values are told apart by 64 bits of
/// their hash; that two of 10,000 share them has a probability of 3·10⁻¹².)
pub const EXACT_DISTINCT: usize = 10_000;

/// Registers are 2 to this power: 8,192 bytes, a standard error of 1.04/√8192 = 1.15 %.
const PRECISION: u32 = 13;
const REGISTERS: usize = 1 << PRECISION;

#[derive(Debug, Clone)]
pub(super) enum Distinct {
    Exact(HashSet<u64, Hashed>),
    Sketch(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Exact(HashSet::default())
    }
}

impl Distinct {
    /// Takes up a value by its [`hash`].
    pub fn add(&mut self, hash: u64, budget: &mut Budget) {
        match self {
            Distinct::Exact(seen) => {
                if seen.contains(&hash) {
                    return;
                }
                if seen.len() < EXACT_DISTINCT && budget.distinct > 0 {
                    budget.distinct -= 1;
                    seen.insert(hash);
                    return;
                }
                budget.distinct += seen.len();
                let mut registers = vec![0; REGISTERS].into_boxed_slice();
                seen.iter().for_each(|hash| register(&mut registers, *hash));
                register(&mut registers, hash);
                *self = Distinct::Sketch(registers);
            }
            Distinct::Sketch(registers) => register(registers, hash),
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Distinct::Exact(_))
    }

    pub fn count(&self) -> u64 {
        match self {
            Distinct::Exact(seen) => seen.len() as u64,
            Distinct::Sketch(registers) => estimate(registers),
        }
    }
}

/// The first bits choose a register, which keeps the longest run of zeros in the others.
fn register(registers: &mut [u8], hash: u64) {
    let rest = (hash << PRECISION) | (1 << (PRECISION - 1));
    let run = u8::try_from(rest.leading_zeros() + 1).unwrap_or(u8::MAX);
    if let Some(register) = usize::try_from(hash >> (64 - PRECISION))
        .ok()
        .and_then(|index| registers.get_mut(index))
    {
        *register = run.max(*register);
    }
}

/// Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog sketches", section
/// 2.4), which is unbiased at all sizes without tables.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn estimate(registers: &[u8]) -> u64 {
    const LONGEST: usize = 64 - PRECISION as usize;
    let mut histogram = [0_u32; LONGEST + 2];
    for register in registers {
        histogram[usize::from(*register).min(LONGEST + 1)] += 1;
    }
    let all = REGISTERS as f64;
    let mut sum = all * full(1.0 - f64::from(histogram[LONGEST + 1]) / all);
    for number in histogram[1..=LONGEST].iter().rev() {
        sum = 0.5 * (sum + f64::from(*number));
    }
    sum += all * empty(f64::from(histogram[0]) / all);
    (all * all / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
}

/// What registers that are still empty add (Ertl's σ).
fn empty(mut share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut weight) = (share, 1.0);
    loop {
        share *= share;
        let next = sum + share * weight;
        if next == sum {
            return sum;
        }
        sum = next;
        weight *= 2.0;
    }
}

/// What registers that are full add (Ertl's τ, of the share that is not full).
fn full(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - share, 1.0);
    loop {
        share = share.sqrt();
        weight *= 0.5;
        let next = sum - (1.0 - share).powi(2) * weight;
        if next == sum {
            return sum / 3.0;
        }
        sum = next;
    }
}

/// For tables whose keys are hashes already.
pub(super) type Hashed = BuildHasherDefault<AsItIs>;

/// Takes a hash for its hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The same for each profile, so that a file has the same estimates each time.
fn hasher() -> FoldHasher<'static> {
    FixedState::default().build_hasher()
}

/// A hash of a scalar by which equal values are equal: `1` and `1.0` are, `1` and `true` are not. A
/// cell that spells its number in another way than usual (`+1`, `1.50`) is told apart by its text.
pub(super) fn hash(value: &Value<'_>) -> u64 {
    let mut hasher = hasher();
    match value {
        Value::Bool(value) => hasher.write(&[b'b', u8::from(*value)]),
        Value::Text(text) => hash_string(text, &mut hasher),
        Value::Cell(text, number) if !number.is_plain => hash_string(text, &mut hasher),
        Value::Cell(_, number) => match &number.value {
            Amount::Int(int) => hash_int(int, &mut hasher),
            Amount::Float(number) => hash_float(*number, &mut hasher),
        },
        Value::Int(int) => hash_int(int, &mut hasher),
        Value::Float(number) => hash_float(*number, &mut hasher),
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
    hasher.finish()
}

pub(super) fn hash_text(text: &str) -> u64 {
    let mut hasher = hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn hash_string(text: &str, hasher: &mut impl Hasher) {
    hasher.write(text.as_bytes());
    hasher.write_u8(b's');
}

fn hash_int(int: &Int, hasher: &mut impl Hasher) {
    match int.as_i64() {
        Some(small) => {
            hasher.write_u8(b'i');
            hasher.write_i64(small);
        }
        None => {
            hasher.write_u8(b'I');
            hasher.write(int.to_string().as_bytes());
        }
    }
}

fn hash_float(number: f64, hasher: &mut impl Hasher) {
    match whole(number) {
        Some(int) => hash_int(&int, hasher),
        None => {
            let bits = if number.is_nan() {
                f64::NAN.to_bits()
            } else {
                number.to_bits()
            };
            hasher.write_u8(b'f');
            hasher.write_u64(bits);
        }
    }
}

/// The integer that a float without fraction equals.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // that is what is asked
pub(super) fn whole(number: f64) -> Option<Int> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if number.abs() < LIMIT {
        let cut = number as i64;
        return (cut as f64 == number).then(|| Int::from(cut));
    }
    // All doubles of this size are whole.
    let text = number.is_finite().then(|| format!("{number:.0}"))?;
    Int::from_decimal(&text)
}
