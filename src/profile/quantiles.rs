//! Quantiles: exact for a bounded number of values, then a t-digest.

use std::cmp::Ordering;
use std::f64::consts::PI;
use std::iter::from_fn;

use super::Budget;

/// Up to how many values a field's quantiles are exact.
pub const EXACT_VALUES: usize = 10_000;

/// The t-digest's compression: it keeps at most twice as many centroids.
const COMPRESSION: f64 = 400.0;

/// How many values the digest takes up before it merges them.
const BUFFER: usize = 1_000;

#[derive(Debug, Clone)]
pub(super) enum Quantiles {
    Exact(Vec<f64>),
    Sketch(Digest),
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        Quantiles::Exact(Vec::new())
    }
}

impl Quantiles {
    /// Takes up a finite value.
    pub fn add(&mut self, value: f64, budget: &mut Budget) {
        match self {
            Quantiles::Exact(values) if values.len() < EXACT_VALUES && budget.values > 0 => {
                budget.values -= 1;
                values.push(value);
            }
            Quantiles::Exact(values) => {
                budget.values += values.len();
                let mut digest = Digest::new();
                values.iter().for_each(|value| digest.add(*value));
                digest.add(value);
                *self = Quantiles::Sketch(digest);
            }
            Quantiles::Sketch(digest) => digest.add(value),
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Quantiles::Exact(_))
    }

    /// The values at the given percentages; `None` without values. Linear between the two
    /// nearest, as Python's `statistics.quantiles(n=100, method="inclusive")`.
    pub fn at<const N: usize>(&mut self, percents: [usize; N]) -> Option<[f64; N]> {
        match self {
            Quantiles::Exact(values) => {
                values.sort_unstable_by(f64::total_cmp);
                let last = values.len().checked_sub(1)?;
                Some(percents.map(|percent| between_ranks(values, percent, last)))
            }
            Quantiles::Sketch(digest) => {
                digest.merge();
                Some(percents.map(|percent| digest.at(percent as f64 / 100.0)))
            }
        }
    }
}

/// In the order of Python's operations, unless they overflow, so that even rounding is the same.
fn between_ranks(sorted: &[f64], percent: usize, last: usize) -> f64 {
    let (below, part) = (percent * last / 100, (percent * last % 100) as f64);
    let (a, b) = (sorted[below.min(last)], sorted[(below + 1).min(last)]);
    let value = (a * (100.0 - part) + b * part) / 100.0;
    if value.is_finite() {
        value
    } else {
        mix(a, b, part / 100.0)
    }
}

/// A point between two values, without a difference that could overflow.
fn mix(a: f64, b: f64, share: f64) -> f64 {
    if a == b {
        a
    } else {
        a * (1.0 - share) + b * share
    }
}

/// A merging t-digest (Dunning and Ertl, "Computing extremely accurate quantiles using
/// t-digests", scale function k₁).
///
/// Near the share q one centroid stands for at most a share of π·√(q(1−q))/400 of all values, and
/// values between centroids are interpolated: a quantile's rank is within 0.4 % of all values at
/// the median and 0.1 % at the 1st and 99th percentile.
#[derive(Debug, Clone)]
pub(super) struct Digest {
    /// Mean and weight, ascending.
    centroids: Vec<(f64, f64)>,
    /// Values by their [`rank`], since integers are sorted faster.
    buffer: Vec<u64>,
    min: f64,
    max: f64,
}

impl Digest {
    fn new() -> Digest {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Digest {
            centroids: Vec::new(),
            buffer: Vec::with_capacity(BUFFER),
            min,
            max,
        }
    }

    fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.buffer.push(rank(value));
        if self.buffer.len() >= BUFFER {
            self.merge();
        }
    }

    /// Merges the buffer and the centroids, neighbours together while the scale allows.
    fn merge(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        self.buffer.sort_unstable();
        let old = std::mem::take(&mut self.centroids);
        self.centroids.reserve_exact(old.len() + BUFFER);
        let weights = old.iter().map(|centroid| centroid.1);
        let total = weights.sum::<f64>() + self.buffer.len() as f64;
        let (mut before, mut limit) = (0.0, total * next_limit(0.0));
        for (mean, weight) in in_order(&old, &self.buffer) {
            match self.centroids.last_mut() {
                Some(last) if before + last.1 + weight <= limit => {
                    let sum = last.1 + weight;
                    last.0 = mix(last.0, mean, weight / sum);
                    last.1 = sum;
                }
                last => {
                    before += last.map_or(0.0, |last| last.1);
                    limit = total * next_limit(before / total);
                    self.centroids.push((mean, weight));
                }
            }
        }
        self.buffer.clear();
    }

    /// The value at `share`: a line through the centroids' middles and both extremes.
    fn at(&self, share: f64) -> f64 {
        let total: f64 = self.centroids.iter().map(|centroid| centroid.1).sum();
        let wanted = share * (total - 1.0) + 0.5;
        let (mut place, mut value, mut before) = (0.5, self.min, 0.0);
        let end = (self.max, 0.0);
        for &(mean, weight) in self.centroids.iter().chain([&end]) {
            let middle = if weight == 0.0 {
                total - 0.5
            } else {
                before + weight / 2.0
            };
            if middle >= wanted && middle > place {
                return mix(
                    value,
                    mean,
                    ((wanted - place) / (middle - place)).clamp(0.0, 1.0),
                );
            }
            (place, value, before) = (middle, mean, before + weight);
        }
        self.max
    }
}

/// A number for each double, in the order of doubles ([`f64::total_cmp`]).
fn rank(value: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The double of a [`rank`].
fn ranked(rank: u64) -> f64 {
    const SIGN: u64 = 1 << 63;
    f64::from_bits(if rank & SIGN == 0 {
        !rank
    } else {
        rank & !SIGN
    })
}

/// Centroids and single values, both ascending, as one sequence of centroids. Among equals, the
/// centroids come first.
fn in_order(centroids: &[(f64, f64)], values: &[u64]) -> impl Iterator<Item = (f64, f64)> {
    let mut centroids = centroids.iter().copied().peekable();
    let mut values = values.iter().map(|value| ranked(*value)).peekable();
    from_fn(move || match (centroids.peek(), values.peek()) {
        (Some(centroid), Some(value)) if centroid.0.total_cmp(value) != Ordering::Greater => {
            centroids.next()
        }
        (Some(_), None) => centroids.next(),
        _ => values.next().map(|value| (value, 1.0)),
    })
}

/// The share at which a centroid that begins at the share `from` must end: one step further on the
/// scale `asin(2q - 1)`. The sine of the sum of two angles needs neither of them.
fn next_limit(from: f64) -> f64 {
    const STEP: f64 = 2.0 * PI / COMPRESSION;
    let sine = 2.0 * from.clamp(0.0, 1.0) - 1.0;
    let (sine_of_step, cosine_of_step) = STEP.sin_cos();
    if sine >= cosine_of_step {
        return 1.0;
    }
    let next = sine * cosine_of_step + (1.0 - sine * sine).sqrt() * sine_of_step;
    (next + 1.0) / 2.0
}
