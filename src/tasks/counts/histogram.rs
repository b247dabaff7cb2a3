//! Histograms of times, in buckets whose widths grow with the time.

use std::collections::BTreeMap;

/// Up to this time, in milliseconds, each millisecond has a bucket of its own.
const EXACT: usize = 16;
/// Four times the upper bounds of the buckets from 16 to 32 ms. The bounds grow by less than 20 %, so the
/// middle of a bucket is less than 10 % from each time in the bucket. Each doubling of the time has as many
/// buckets.
const OCTAVE: [u64; 4] = [76, 91, 108, 128];
/// The doublings above 16 ms, to 37 hours. A longer time is counted without an upper bound.
const OCTAVES: usize = 23;
const BUCKETS: usize = EXACT + 1 + OCTAVES * OCTAVE.len();

/// The upper bounds of the buckets in milliseconds. A bucket holds the times above the bound before, up to and
/// including its own.
pub const BOUNDS: [u64; BUCKETS] = bounds();

const fn bounds() -> [u64; BUCKETS] {
    let mut bounds = [0; BUCKETS];
    let mut at = 0;
    while at < BUCKETS {
        bounds[at] = match at.checked_sub(EXACT + 1) {
            None => at as u64,
            Some(above) => (OCTAVE[above % OCTAVE.len()] << (above / OCTAVE.len())) >> 2,
        };
        at += 1;
    }
    bounds
}

/// How many times are in which bucket, and their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By the number of the bucket; `BOUNDS.len()` is the number of the bucket without a bound.
    counts: BTreeMap<u8, u64>,
    sum_ms: u64,
}

impl Histogram {
    /// Adds a time in milliseconds.
    pub fn record(&mut self, ms: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < ms);
        self.add_to(u8::try_from(bucket).unwrap_or(u8::MAX), 1);
        self.add_sum(ms);
    }

    /// Adds the times of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.counts {
            self.add_to(*bucket, *count);
        }
        self.add_sum(other.sum_ms);
    }

    /// The number of times.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The sum of the times in milliseconds.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// The buckets with times in order: the upper bound in milliseconds, included, and the number of times.
    /// `None` is the bucket of the times above the last of [`BOUNDS`].
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let counts = self.counts.iter();
        counts.map(|(bucket, count)| (BOUNDS.get(usize::from(*bucket)).copied(), *count))
    }

    /// The number of times up to `bound` in milliseconds, included: exact for each of [`BOUNDS`], else the
    /// number of times in the buckets that end before `bound`.
    pub fn up_to(&self, bound: u64) -> u64 {
        let buckets = self.buckets();
        let below = buckets.filter(|(upper, _)| upper.is_some_and(|upper| upper <= bound));
        below.map(|(_, count)| count).sum()
    }

    /// The time in milliseconds that this share of the times, from 0 to 1, does not exceed, within 10 %;
    /// `None` without times. A time above the last of [`BOUNDS`] counts as that bound.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = (share * self.count() as f64).ceil().max(1.0);
        let mut before = 0;
        let reached = self.counts.iter().find(|(_, count)| {
            before += **count;
            before as f64 >= rank
        });
        reached.map(|(bucket, _)| middle(usize::from(*bucket)))
    }

    /// The numbers of the buckets with times, and the numbers of times.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u8, u64)> {
        self.counts.iter().map(|(bucket, count)| (*bucket, *count))
    }

    pub(super) fn add_to(&mut self, bucket: u8, count: u64) {
        let sum = self.counts.entry(bucket).or_default();
        *sum = sum.saturating_add(count);
    }

    pub(super) fn add_sum(&mut self, ms: u64) {
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }
}

/// The geometric middle of a bucket's times.
fn middle(bucket: usize) -> u64 {
    let Some(upper) = BOUNDS.get(bucket) else {
        return BOUNDS[BUCKETS - 1];
    };
    let below = bucket.checked_sub(1).map(|before| BOUNDS[before]);
    let least = below.map_or(0, |below| below + 1);
    ((least * upper) as f64).sqrt().round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_slowly_up_to_days() {
        assert_eq!(
            BOUNDS[..=EXACT],
            std::array::from_fn::<u64, 17, _>(|at| at as u64)
        );
        assert_eq!(BOUNDS[17..25], [19, 22, 27, 32, 38, 45, 54, 64]);
        assert_eq!(BOUNDS[BUCKETS - 1], 16 << OCTAVES);
        assert!(u8::try_from(BUCKETS).is_ok());
        for pair in BOUNDS.windows(2).skip(EXACT) {
            let (low, high) = (pair[0] + 1, pair[1]);
            let error = (high as f64 / low as f64).sqrt() - 1.0;
            assert!((0.0..0.1).contains(&error), "{low}..={high}: {error}");
        }
    }

    #[test]
    fn a_quantile_is_within_a_tenth_of_the_true_one() {
        let mut times: Vec<u64> = (0..2_000).map(|n| n * n * 7 / 3 + n % 5).collect();
        times.sort_unstable();
        let mut histogram = Histogram::default();
        times.iter().for_each(|time| histogram.record(*time));
        for share in [0.0, 0.05, 0.5, 0.9, 0.95, 0.99, 1.0] {
            let rank = ((share * times.len() as f64).ceil() as usize).max(1);
            let (truth, told) = (
                times[rank - 1] as f64,
                histogram.quantile(share).unwrap() as f64,
            );
            assert!(
                (told - truth).abs() <= 0.1 * truth + 0.5,
                "{share}: {told} for {truth}"
            );
        }
        assert_eq!(histogram.count(), 2_000);
        assert_eq!(histogram.sum_ms(), times.iter().sum::<u64>());
    }

    #[test]
    fn each_time_is_in_the_bucket_that_its_bound_names() {
        for (time, bound) in [(0, Some(0)), (16, Some(16)), (17, Some(19)), (20, Some(22))] {
            let mut histogram = Histogram::default();
            histogram.record(time);
            assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(bound, 1)]);
        }
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!(histogram.buckets().collect::<Vec<_>>(), [(None, 1)]);
        assert_eq!(histogram.quantile(0.5), Some(BOUNDS[BUCKETS - 1]));
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(
            (histogram.up_to(BOUNDS[BUCKETS - 1]), histogram.up_to(0)),
            (0, 0)
        );
    }

    #[test]
    fn two_histograms_together_are_the_histogram_of_both() {
        let (mut one, mut two, mut both) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for time in [3, 40, 41, 9_000] {
            one.record(time);
            both.record(time);
        }
        for time in [40, 70_000] {
            two.record(time);
            both.record(time);
        }
        one.merge(&two);
        assert_eq!(one, both);
        assert_eq!(one.up_to(45), 4);
    }
}
