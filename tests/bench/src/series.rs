//! Series of samples: one figure of one side.

use std::fmt;

use serde::Serialize;

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Seconds of wall time.
    Seconds,
    /// CPU seconds for a thousand invocations, tasks or requests.
    CpuPerThousand,
    /// Bytes.
    Bytes,
    /// A rate per second.
    PerSecond,
    /// A number.
    Count,
}

/// The samples of one figure of one side, one for each round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The group of the figure; a group has one table and one plot.
    pub group: &'static str,
    /// The name of the figure, the same for every side.
    pub what: String,
    /// The measured function if the group measures several, otherwise empty.
    pub subject: String,
    /// The side, such as "this service" or "FastAPI".
    pub side: String,
    /// The unit of the samples.
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

    /// This series for one of several functions.
    #[must_use]
    pub fn of(mut self, subject: &str) -> Series {
        subject.clone_into(&mut self.subject);
        self
    }

    /// The median of the samples.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The first and the third quartile.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }

    /// A quantile, interpolated between samples; NaN without samples.
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
    fn quantiles_are_interpolated_between_samples() {
        let mut series = Series::new("g", "w", "s", Unit::Seconds);
        assert!(series.median().is_nan());
        series.samples = vec![4.0, 1.0, 2.0, 3.0];
        assert_eq!(series.median(), 2.5);
        assert_eq!(series.spread(), (1.75, 3.25));
        assert_eq!((series.quantile(0.0), series.quantile(2.0)), (1.0, 4.0));
    }
}
