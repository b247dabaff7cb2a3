//! What is known of a field's numbers.

use std::cmp::Ordering;

use super::Budget;
use super::distinct::whole;
use super::moments::{Moments, Wide};
use super::quantiles::Quantiles;
use crate::json::{Int, Json};

#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    pub moments: Moments,
    pub quantiles: Quantiles,
    pub min: Option<Json>,
    pub max: Option<Json>,
    pub zeros: u64,
    pub negatives: u64,
    /// `NaN` and infinities; they enter nothing else.
    pub not_finite: u64,
    /// Integers beyond a double's range; they enter the extremes and the signs only.
    pub too_large: u64,
}

impl Numbers {
    pub fn add_int(&mut self, value: &Int, budget: &mut Budget) {
        let nearest = value.as_f64();
        self.extremes(nearest, || Json::Int(value.clone()));
        self.negatives += u64::from(value.is_negative());
        if !nearest.is_finite() {
            self.too_large += 1;
            return;
        }
        self.moments.add(match value.as_i64() {
            Some(small) => Wide::from_i64(small),
            None => {
                let exact = value.to_string().parse().map(Wide::from_i128);
                exact.unwrap_or_else(|_| Wide::new(nearest))
            }
        });
        self.finite(nearest, budget);
    }

    pub fn add_float(&mut self, value: f64, budget: &mut Budget) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.extremes(value, || Json::Float(value));
        self.negatives += u64::from(value < 0.0);
        self.moments.add(Wide::new(value));
        self.finite(value, budget);
    }

    fn finite(&mut self, value: f64, budget: &mut Budget) {
        self.zeros += u64::from(value == 0.0);
        self.quantiles.add(value, budget);
    }

    /// Keeps the least and the largest number. Rounding to a double keeps the order, so that only
    /// those that round alike are compared exactly.
    fn extremes(&mut self, nearest: f64, value: impl Fn() -> Json) {
        let replaces = |kept: &Option<Json>, wanted: Ordering| match kept {
            None => true,
            Some(kept) => compare(nearest, &value, kept) == wanted,
        };
        if replaces(&self.min, Ordering::Less) {
            self.min = Some(value());
        }
        if replaces(&self.max, Ordering::Greater) {
            self.max = Some(value());
        }
    }
}

fn compare(nearest: f64, value: &impl Fn() -> Json, kept: &Json) -> Ordering {
    let kept_nearest = kept.as_f64().unwrap_or(0.0);
    match nearest.partial_cmp(&kept_nearest) {
        Some(Ordering::Equal) | None => compare_exactly(&value(), kept),
        Some(order) => order,
    }
}

/// Compares two numbers of which neither is `NaN`, and which round to the same double.
pub(super) fn compare_exactly(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Int(a), Json::Int(b)) => a.cmp(b),
        // A finite double that an integer rounds to may still differ from it.
        (Json::Int(a), Json::Float(b)) => whole(*b).map_or(Ordering::Equal, |b| a.cmp(&b)),
        (Json::Float(_), Json::Int(_)) => compare_exactly(b, a).reverse(),
        _ => Ordering::Equal,
    }
}
