//! The most frequent values in bounded memory: exact while there are few different ones.

use std::collections::HashMap;

use super::Budget;
use super::distinct::Hashed;
use super::value::Value;
use crate::json::Json;

/// How many different values of a field are counted, exactly.
pub const COUNTED_VALUES: usize = 500;

/// How many counters a field keeps that had more different values than that.
const COUNTERS_OF_MANY: usize = 100;

/// What every field gets, however many fields there are.
const COUNTED_ALWAYS: usize = 8;

/// How many characters of a text are kept.
pub const KEPT_CHARACTERS: usize = 60;

/// Counters after Misra and Gries. A new value that finds no free counter takes one off every
/// counter instead, and those that reach zero become free. A count is then too low by at most what
/// was taken off, and a value without a counter occurred at most so often.
#[derive(Debug, Clone, Default)]
pub(super) struct Top {
    counters: HashMap<u64, Counter, Hashed>,
    /// How much was taken off every counter.
    taken: u64,
    /// No counter's `sum` is less, or more.
    least: u64,
    most: u64,
    /// Numbers the counters by first sight, for a stable order among equals.
    next: u64,
    /// How many counters came from the shared budget.
    borrowed: usize,
}

#[derive(Debug, Clone)]
struct Counter {
    /// Beyond [`COUNTED_VALUES`] different values, most come once and are not listed; so a value is kept
    /// when it comes for the second time.
    value: Option<Box<Kept>>,
    /// The count and what was taken off before its value came, so that what is taken off all need
    /// not be taken off each: a counter is at zero when this is no more than [`Top::taken`].
    sum: u64,
    first: u64,
}

/// A value that is counted.
#[derive(Debug, Clone)]
enum Kept {
    Value(Json),
    /// The beginning of a long one, as text.
    Cut(String),
    /// A cell's number, and how it is spelled.
    Cell(Json, String),
}

impl Kept {
    fn new(value: &Value<'_>) -> Kept {
        match value {
            Value::Text(text) => match cut(text, KEPT_CHARACTERS) {
                Some(short) => Kept::Cut(short),
                None => Kept::Value(Json::from(*text)),
            },
            // JSON has no infinite numbers.
            Value::Cell(text, number) if !number.is_finite() => Kept::Value(Json::from(*text)),
            Value::Cell(text, number) if !number.is_plain => {
                let text = cut(text, KEPT_CHARACTERS).unwrap_or_else(|| (*text).to_owned());
                Kept::Cell(value.to_json(), text)
            }
            value => match shorten(&value.to_json(), KEPT_CHARACTERS) {
                (Json::String(short), true) => Kept::Cut(short),
                (value, _) => Kept::Value(value),
            },
        }
    }

    /// The value, or its text where the column is one of texts; and whether it was cut.
    fn to_json(&self, as_text: bool) -> (Json, bool) {
        match self {
            Kept::Cut(text) => (Json::from(text.as_str()), true),
            Kept::Cell(_, text) if as_text => (Json::from(text.as_str()), false),
            Kept::Value(number @ (Json::Int(_) | Json::Float(_))) if as_text => {
                (Json::from(number.to_string()), false)
            }
            Kept::Value(value) | Kept::Cell(value, _) => (value.clone(), false),
        }
    }
}

/// A frequent value.
#[derive(Debug, Clone)]
pub(super) struct Frequent {
    pub value: Json,
    pub cut: bool,
    pub count: u64,
}

impl Top {
    /// Counts a value that is counted already; `false` where it is not.
    pub fn count(&mut self, hash: u64, value: &Value<'_>) -> bool {
        let Some(counter) = self.counters.get_mut(&hash) else {
            return false;
        };
        counter.sum += 1;
        self.most = self.most.max(counter.sum);
        if counter.value.is_none() {
            counter.value = Some(Box::new(Kept::new(value)));
        }
        true
    }

    /// Takes up a value that is not counted yet.
    pub fn add(&mut self, hash: u64, value: &Value<'_>, budget: &mut Budget) {
        if !self.may_grow(budget) {
            self.give_back(budget);
            if !self.may_grow(budget) {
                self.take_off(1);
                return;
            }
        }
        self.next += 1;
        let sum = self.taken + 1;
        self.least = self.least.min(sum);
        self.most = self.most.max(sum);
        let (is_exact, first) = (self.taken == 0, self.next);
        let value = is_exact.then(|| Box::new(Kept::new(value)));
        self.counters.insert(hash, Counter { value, sum, first });
    }

    fn may_grow(&mut self, budget: &mut Budget) -> bool {
        let used = self.counters.len();
        if used < COUNTED_ALWAYS + self.borrowed {
            return true;
        }
        let most = if self.taken == 0 {
            COUNTED_VALUES
        } else {
            COUNTERS_OF_MANY
        };
        let grows = used < most && budget.counters > 0;
        if grows {
            budget.counters -= 1;
            self.borrowed += 1;
        }
        grows
    }

    /// Goes down to the most frequent values: what the first one beyond had is taken off all.
    fn give_back(&mut self, budget: &mut Budget) {
        if self.counters.len() <= COUNTERS_OF_MANY {
            return;
        }
        let mut sums: Vec<u64> = self.counters.values().map(|counter| counter.sum).collect();
        sums.sort_unstable_by_key(|sum| std::cmp::Reverse(*sum));
        self.take_off(sums[COUNTERS_OF_MANY] - self.taken);
        self.counters.shrink_to(COUNTERS_OF_MANY);
        let keeps = self.borrowed.min(COUNTERS_OF_MANY - COUNTED_ALWAYS);
        budget.counters += self.borrowed - keeps;
        self.borrowed = keeps;
    }

    fn take_off(&mut self, count: u64) {
        self.taken += count;
        if self.least > self.taken {
            return;
        }
        if self.most <= self.taken {
            self.counters.clear();
            (self.least, self.most) = (u64::MAX, 0);
            return;
        }
        let (taken, mut least) = (self.taken, u64::MAX);
        self.counters.retain(|_, counter| {
            let stays = counter.sum > taken;
            if stays {
                least = least.min(counter.sum);
            }
            stays
        });
        self.least = least;
    }

    /// By how much a count is too low at most.
    pub fn error(&self) -> u64 {
        self.taken
    }

    /// The most frequent values first, ties by first sight. Only values that are certain to be
    /// more frequent than every value that is not counted. `as_text` asks for numbers in cells as they
    /// are spelled.
    pub fn most_frequent(&self, limit: usize, as_text: bool) -> Vec<Frequent> {
        let certain = |counter: &&Counter| counter.sum - self.taken > self.taken;
        let mut counters: Vec<&Counter> = self.counters.values().filter(certain).collect();
        counters.sort_by_key(|counter| (std::cmp::Reverse(counter.sum), counter.first));
        let frequent = |counter: &Counter| {
            // What is certain came twice, or everything is counted.
            let (value, cut) = counter.value.as_ref()?.to_json(as_text);
            let count = counter.sum - self.taken;
            Some(Frequent { value, cut, count })
        };
        let counters = counters.into_iter().take(limit);
        counters.filter_map(frequent).collect()
    }
}

/// A copy of a scalar that is not longer than `limit` characters, and whether it was cut.
pub(super) fn shorten(value: &Json, limit: usize) -> (Json, bool) {
    let short = match value {
        Json::String(text) => cut(text, limit),
        Json::Int(int) if int.as_i64().is_none() => cut(&int.to_string(), limit),
        _ => None,
    };
    match short {
        Some(short) => (Json::String(short), true),
        None => (value.clone(), false),
    }
}

/// The first `limit` characters and an ellipsis, when `text` has more.
pub(super) fn cut(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let (end, _) = text.char_indices().nth(limit)?;
    Some(format!("{}…", &text[..end]))
}
