//! What is known of one field.

use super::Budget;
use super::distinct::{self, Distinct};
use super::numbers::Numbers;
use super::records::Amount;
use super::top::{Top, cut};
use super::value::Value;

/// Up to how many characters the first and last texts in order are compared and kept.
const ORDERED_CHARACTERS: usize = 200;

/// Everything that is known of a field, boxed where a field of another type has no need of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    pub count: u64,
    pub nulls: u64,
    pub types: Types,
    pub empty: u64,
    pub scalars: Option<Box<Scalars>>,
    pub numbers: Option<Box<Numbers>>,
    pub texts: Option<Box<Texts>>,
    pub items: Spread,
    /// How many of the numbers are cells of a table, which are in the texts as well.
    pub cells: u64,
}

/// How often each type was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Types {
    pub boolean: u64,
    pub integer: u64,
    pub number: u64,
    pub string: u64,
    pub array: u64,
    pub object: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Scalars {
    pub distinct: Distinct,
    pub top: Top,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    pub lengths: Spread,
    pub min: Option<String>,
    pub max: Option<String>,
    /// The beginnings of both, see [`beginning`].
    min_beginning: u64,
    max_beginning: u64,
}

/// Least, largest and mean of counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    pub count: u64,
    pub min: u64,
    pub max: u64,
    sum: u128,
}

impl Spread {
    fn add(&mut self, value: u64) {
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += u128::from(value);
    }

    #[allow(clippy::cast_precision_loss)] // a mean of lengths needs no more
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }
}

impl Field {
    // One arm for each kind of value: shorter functions would only hide the list.
    pub fn add(&mut self, value: &Value<'_>, budget: &mut Budget) {
        self.count += 1;
        match value {
            Value::Null => {
                self.nulls += 1;
                return;
            }
            Value::Array(count) => {
                self.types.array += 1;
                self.empty += u64::from(*count == 0);
                self.items.add(*count as u64);
                return;
            }
            Value::Object(count) => {
                self.types.object += 1;
                self.empty += u64::from(*count == 0);
                return;
            }
            Value::Bool(_) => self.types.boolean += 1,
            Value::Int(int) => {
                self.types.integer += 1;
                self.numbers.get_or_insert_default().add_int(int, budget);
            }
            Value::Float(number) => {
                self.types.number += 1;
                self.numbers
                    .get_or_insert_default()
                    .add_float(*number, budget);
            }
            Value::Text(text) => {
                self.types.string += 1;
                self.empty += u64::from(text.is_empty());
                self.texts.get_or_insert_default().add(text);
            }
            Value::Cell(text, number) => {
                self.cells += 1;
                self.texts.get_or_insert_default().add(text);
                let numbers = self.numbers.get_or_insert_default();
                match &number.value {
                    Amount::Int(int) => {
                        self.types.integer += 1;
                        numbers.add_int(int, budget);
                    }
                    Amount::Float(float) => {
                        self.types.number += 1;
                        numbers.add_float(*float, budget);
                    }
                }
            }
        }
        if matches!(value, Value::Float(number) if !number.is_finite()) {
            return;
        }
        let hash = distinct::hash(value);
        let scalars = self.scalars.get_or_insert_default();
        // What has a counter is known as a distinct value since it got one.
        if !scalars.top.count(hash, value) {
            scalars.distinct.add(hash, budget);
            scalars.top.add(hash, value, budget);
        }
    }
}

impl Texts {
    fn add(&mut self, text: &str) {
        let characters = match text.is_ascii() {
            true => text.len(),
            false => text.chars().count(),
        };
        self.lengths.add(characters as u64);
        // Nearly every text is between the two by its beginning alone.
        let beginning = beginning(text);
        if self.min_beginning < beginning && beginning < self.max_beginning {
            return;
        }
        // An ellipsis sorts after what texts usually go on with; among texts that share so many
        // characters, either is as good an example.
        let kept = || cut(text, ORDERED_CHARACTERS).unwrap_or_else(|| text.to_owned());
        if self.min.as_deref().is_none_or(|min| text < min) {
            self.min = Some(kept());
            self.min_beginning = beginning;
        }
        if self.max.as_deref().is_none_or(|max| text > max) {
            self.max = Some(kept());
            self.max_beginning = beginning;
        }
    }
}

/// The first eight bytes of a text as a number: where it is less, the text comes first.
fn beginning(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            padded[..4].copy_from_slice(first);
            let start = bytes.len() - 4;
            padded[start..start + 4].copy_from_slice(last);
        }
        _ => padded
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from),
    }
    u64::from_be_bytes(padded)
}
