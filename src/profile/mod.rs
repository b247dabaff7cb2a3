//! A statistical profile of any JSON, or of a stream of records, in bounded memory.
//!
//! [`Profiler`] takes documents or records one by one and keeps, per field, counts and sketches
//! of bounded size; [`Profiler::finish`] answers the [`Profile`]. [`records`] turns the bytes of
//! a JSON Lines or CSV file into records as they arrive.
//!
//! What is exact and what is estimated is said beside each number of the profile. The bounds:
//!
//! | What | Exact up to, per field | Beyond |
//! |---|---|---|
//! | quantiles | [`EXACT_VALUES`] | t-digest, rank within 0.4 % at the median, 0.1 % at p01 and p99 |
//! | distinct | [`EXACT_DISTINCT`] | HyperLogLog, standard error 1.15 % |
//! | top | [`COUNTED_VALUES`] different values | Misra–Gries; counts too low by at most `top_error` |
//! | fields | [`MAX_FIELDS`] | counted in `fields_omitted` |
//!
//! When many fields are large, they share a budget, and sketches begin earlier: all of it stays
//! below about 80 MB in the worst case, and at a few for usual data.

mod distinct;
mod field;
mod moments;
mod numbers;
mod output;
mod path;
mod quantiles;
pub mod records;
#[cfg(test)]
mod tests;
mod top;
mod tree;
mod value;
mod walk;

pub use distinct::EXACT_DISTINCT;
pub use output::{
    FieldProfile, Lengths, MAX_PROFILE_BYTES, Profile, QuantileValues, TopValue, TypeCounts,
};
pub use quantiles::EXACT_VALUES;
pub use top::{COUNTED_VALUES, KEPT_CHARACTERS};
pub use tree::{MAX_FIELDS, Profiler};

/// What all fields together may keep before they turn to sketches.
#[derive(Debug, Clone)]
struct Budget {
    /// Numbers for exact quantiles, of 8 bytes.
    values: usize,
    /// Hashes for exact numbers of distinct values, of about 16 bytes.
    distinct: usize,
    /// Counters of frequent values, of at most about 350 bytes.
    counters: usize,
}

/// What fifty to a hundred fields of full size take.
impl Default for Budget {
    fn default() -> Budget {
        Budget {
            values: 500_000,
            distinct: 500_000,
            counters: 50_000,
        }
    }
}
