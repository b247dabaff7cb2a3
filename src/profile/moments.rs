//! Mean and standard deviation, to about the last bit of a double.
//!
//! Sums are kept in twice a double's precision, of differences from the first value. That value
//! is at most √n standard deviations from the mean, so the subtraction in
//! `Σd² − (Σd)²/n` loses no more than a factor n of 10³² and needs no second pass. All values are
//! scaled by one power of two (exact), so that squares neither overflow nor vanish.
//!
//! The mean's error is below 10⁻³⁰ of the largest magnitude: only where numbers cancel out to more
//! than fourteen orders below a double's precision it differs from Python's exact fractions.

/// An unevaluated sum of two doubles, the second at most half a last place of the first.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Wide {
    high: f64,
    low: f64,
}

impl Wide {
    /// The value of one double.
    pub fn new(value: f64) -> Wide {
        Wide {
            high: value,
            low: 0.0,
        }
    }

    /// An integer, exact.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // the rest is `low`
    pub fn from_i64(value: i64) -> Wide {
        let high = value as f64;
        if value.unsigned_abs() < 1 << 53 {
            return Wide::new(high);
        }
        // Rounding moves an integer by 512 at most.
        let low = (i128::from(value) - high as i128) as i64;
        Wide {
            high,
            low: low as f64,
        }
    }

    /// An integer, exact up to 106 bits.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // the rest is `low`
    pub fn from_i128(value: i128) -> Wide {
        let high = value as f64;
        Wide {
            high,
            low: value.saturating_sub(high as i128) as f64,
        }
    }

    fn to_f64(self) -> f64 {
        self.high + self.low
    }

    /// The exact sum of two doubles (Knuth).
    fn two_sum(a: f64, b: f64) -> Wide {
        let high = a + b;
        let back = high - a;
        Wide {
            high,
            low: (a - (high - back)) + (b - back),
        }
    }

    /// The exact product of two doubles (Dekker, halves of 26 bits).
    fn two_product(a: f64, b: f64) -> Wide {
        const SPLIT: f64 = 134_217_729.0; // 2^27 + 1
        let halves = |x: f64| {
            let large = SPLIT * x;
            let high = large - (large - x);
            (high, x - high)
        };
        let high = a * b;
        let ((a, a_low), (b, b_low)) = (halves(a), halves(b));
        Wide {
            high,
            low: ((a * b - high) + a * b_low + a_low * b) + a_low * b_low,
        }
    }

    fn add(self, other: Wide) -> Wide {
        let (high, low) = (
            Wide::two_sum(self.high, other.high),
            Wide::two_sum(self.low, other.low),
        );
        let sum = Wide::two_sum(high.high, high.low + low.high);
        Wide::two_sum(sum.high, sum.low + low.low)
    }

    /// A sum whose error is 2⁻¹⁰⁵ of the larger of both, not of the sum. That is as good for what sums
    /// up many values, and half the work.
    fn accumulate(&mut self, other: Wide) {
        let sum = Wide::two_sum(self.high, other.high);
        let low = sum.low + (self.low + other.low);
        let high = sum.high + low;
        *self = Wide {
            high,
            low: low - (high - sum.high),
        };
    }

    fn minus(self, other: Wide) -> Wide {
        self.add(Wide {
            high: -other.high,
            low: -other.low,
        })
    }

    fn times(self, other: Wide) -> Wide {
        let product = Wide::two_product(self.high, other.high);
        let cross = self.high * other.low + self.low * other.high;
        Wide::two_sum(product.high, product.low + cross)
    }

    fn over(self, divisor: f64) -> Wide {
        let quotient = self.high / divisor;
        let rest = self.minus(Wide::two_product(quotient, divisor));
        Wide::two_sum(quotient, rest.to_f64() / divisor)
    }

    fn scaled(self, exponent: i32) -> Wide {
        Wide {
            high: scaled(self.high, exponent),
            low: scaled(self.low, exponent),
        }
    }
}

/// `value * 2^exponent`, in steps within a double's range.
fn scaled(mut value: f64, mut exponent: i32) -> f64 {
    while exponent != 0 {
        let step = exponent.clamp(-512, 512);
        // The bits of 2 to this power: no multiplications, for this is done with every value.
        let biased = u64::try_from(step + 1023).unwrap_or_default();
        value *= f64::from_bits(biased << 52);
        exponent -= step;
    }
    value
}

/// The exponent of the leading bit, rounded down to a multiple of 128.
fn magnitude(value: f64) -> i32 {
    let biased = i32::try_from((value.to_bits() >> 52) & 0x7FF).unwrap_or(0);
    (biased - 1023).div_euclid(128) * 128
}

/// Count, mean and sample standard deviation of finite numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Moments {
    count: u64,
    /// All of the following are divided by two to this power (the squares by twice it); `None`
    /// while there were zeros only.
    exponent: Option<i32>,
    first: Wide,
    sum: Wide,
    squares: Wide,
}

impl Moments {
    pub fn add(&mut self, value: Wide) {
        if value.high != 0.0 {
            self.make_room(magnitude(value.high));
        }
        let value = match self.exponent {
            None | Some(0) => value,
            Some(exponent) => value.scaled(-exponent),
        };
        if self.count == 0 {
            self.first = value;
        }
        self.count += 1;
        // Of two doubles the difference is exact.
        let difference = match value.low == 0.0 && self.first.low == 0.0 {
            true => Wide::two_sum(value.high, -self.first.high),
            false => value.minus(self.first),
        };
        self.sum.accumulate(difference);
        self.squares.accumulate(difference.times(difference));
    }

    /// Rescales when a value is larger than all before.
    fn make_room(&mut self, needed: i32) {
        let Some(exponent) = self.exponent else {
            self.exponent = Some(needed);
            return;
        };
        if needed > exponent {
            let change = exponent - needed;
            self.first = self.first.scaled(change);
            self.sum = self.sum.scaled(change);
            self.squares = self.squares.scaled(2 * change);
            self.exponent = Some(needed);
        }
    }

    /// The arithmetic mean; `None` without values.
    #[allow(clippy::cast_precision_loss)] // exact below 2^53 values
    pub fn mean(&self) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let mean = self.first.add(self.sum.over(self.count as f64));
        finite(scaled(mean.to_f64(), self.exponent.unwrap_or(0)))
    }

    /// The sample standard deviation (divisor n − 1); `None` below two values, and where it
    /// exceeds a double's range.
    #[allow(clippy::cast_precision_loss)]
    pub fn stdev(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let count = self.count as f64;
        let about_mean = self.squares.minus(self.sum.times(self.sum).over(count));
        let variance = about_mean.over(count - 1.0).to_f64().max(0.0);
        finite(scaled(variance.sqrt(), self.exponent.unwrap_or(0)))
    }
}

/// `value`, unless it is `NaN` or infinite.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
