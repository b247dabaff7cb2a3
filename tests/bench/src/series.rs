//! What was measured: samples of one figure of one side.

use std::fmt;

use serde::Serialize;

/// What a figure is counted in, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Seconds of wall time.
    Seconds,
    /// Seconds of CPU time for a thousand of what is counted.
    CpuPerThousand,
    /// Bytes.
    Bytes,
    /// So many in a second.
    PerSecond,
    /// So many.
    Count,
}

/// The samples of one figure of one side, one for each round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The group of figures that are shown in one table and one plot.
    pub group: &'static str,
    /// What was measured, the same words for every side.
    pub what: String,
    /// The function that it was measured of, where a group measures several; else empty.
    pub subject: String,
    /// Whose figure it is, such as "this service" or "FastAPI".
    pub side: String,
    /// Its unit.
    pub unit: Unit,
    /// One sample for each round.
    pub samples: Vec<f64>,
}

impl Series {
    /// A series without samples.
    #[must_use]
    pub fn new(group: &'static str, what: &str, side: &str, unit: Unit) -> Series {
        Series {
            group,
            what: what.to_owned(),
            subject: String::new(),
            side: side.to_owned(),
            unit,
            samples: Vec::new(),
        }
    }

    /// The same figure of a function, where a group measures several.
    #[must_use]
    pub fn of(mut self, subject: &str) -> Series {
        subject.clone_into(&mut self.subject);
        self
    }

    /// The middle of the samples: half are less.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The quartiles, between which half of the samples are.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }

    /// A quantile, interpolated between the samples; not a number where there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let at = q.clamp(0.0, 1.0) * last as f64;
        let (low, high) = (at.floor() as usize, at.ceil() as usize);
        sorted[low] + (sorted[high] - sorted[low]) * at.fract()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Seconds => "s",
            Unit::CpuPerThousand => "CPU s per 1,000",
            Unit::Bytes => "bytes",
            Unit::PerSecond => "1/s",
            Unit::Count => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_samples() {
        let mut series = Series::new("g", "w", "s", Unit::Seconds);
        assert!(series.median().is_nan());
        series.samples = vec![4.0, 1.0, 2.0, 3.0];
        assert_eq!(series.median(), 2.5);
        assert_eq!(series.spread(), (1.75, 3.25));
        assert_eq!((series.quantile(0.0), series.quantile(2.0)), (1.0, 4.0));
    }
}
