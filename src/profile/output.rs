//! The finished profile.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::field::{Field, Scalars, Spread, Texts};
use super::numbers::Numbers;
use super::top::{Frequent, cut, shorten};
use crate::json::Json;

/// How long a profile's JSON may be, in bytes. Larger ones lose detail until they fit.
pub const MAX_PROFILE_BYTES: usize = 200_000;

/// The profile of a document or of a stream of records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Profile {
    /// The number of records: of an array's elements, of a stream's records, or 1.
    pub records: u64,
    /// The fields in the order in which they were first seen.
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = std::collections::HashMap<String, FieldProfile>)]
    pub fields: Vec<(String, FieldProfile)>,
    /// How many fields there were besides (estimated beyond
    /// [`EXACT_DISTINCT`](super::EXACT_DISTINCT)); nothing inside them is counted.
    pub fields_omitted: u64,
}

/// What is known of one field. Statistics that the field's types do not have are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct FieldProfile {
    /// How often the field was there, `null` included.
    pub count: u64,
    /// In how many objects that could have had it, it was not there.
    pub missing: u64,
    /// How often it was `null`.
    pub nulls: u64,
    /// How often it was of which type.
    pub types: TypeCounts,
    /// How many of a table column's strings could be numbers. The column is one of strings since
    /// others could not.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub numeric: u64,
    /// How many strings, arrays and objects were empty.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub empty: u64,
    /// The number of different scalars except `null` (`1` and `1.0` are the same).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// Whether `distinct` is exact; else its standard error is 1.15 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_exact: Option<bool>,
    /// The least number, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub min: Option<Json>,
    /// The largest number, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub max: Option<Json>,
    /// The arithmetic mean of the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The sample standard deviation of the numbers, from two numbers on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdev: Option<f64>,
    /// How many numbers are zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zeros: Option<u64>,
    /// How many numbers are below zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<u64>,
    /// How many numbers are `NaN` or infinite; they enter no other statistic.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub not_finite: u64,
    /// How many integers are beyond a double's range; they enter neither mean, standard deviation
    /// nor quantiles.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub too_large: u64,
    /// Quantiles of the numbers, linear between neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<QuantileValues>,
    /// Whether the quantiles are exact; else see the module's table of errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles_exact: Option<bool>,
    /// The first string in the order of code points; a long one is cut and ends in `…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_text: Option<String>,
    /// The last string in the order of code points; a long one is cut and ends in `…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_text: Option<String>,
    /// The lengths of the strings, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// The numbers of items of the arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Lengths>,
    /// The most frequent scalars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TopValue>,
    /// Whether the counts in `top` are exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_exact: Option<bool>,
    /// By how much at most a count in `top` is too low. Listed values are certain to be more
    /// frequent than those that are not counted.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub top_error: u64,
}

/// How often a field was of each type. `integer` is a number without fraction and exponent,
/// `number` is any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs)] // the names are JSON Schema's
pub struct TypeCounts {
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub boolean: u64,
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub integer: u64,
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub number: u64,
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub string: u64,
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub array: u64,
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub object: u64,
}

/// Values below which the named percentage lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)] // each is the percentile of its name
pub struct QuantileValues {
    pub p01: f64,
    pub p05: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p95: f64,
    pub p99: f64,
}

/// Least, largest and mean length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct Lengths {
    pub min: u64,
    pub max: u64,
    pub mean: f64,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TopValue {
    /// The value; a long one is its beginning, as a string.
    #[schema(value_type = serde_json::Value)]
    pub value: Json,
    /// How often it was there.
    pub count: u64,
    /// Whether the value was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub truncated: bool,
}

/// How much is said of each field.
struct Detail {
    top: usize,
    characters: usize,
    quantiles: bool,
}

/// From much to little.
const DETAILS: [Detail; 5] = [
    Detail {
        top: 10,
        characters: 60,
        quantiles: true,
    },
    Detail {
        top: 5,
        characters: 60,
        quantiles: true,
    },
    Detail {
        top: 3,
        characters: 30,
        quantiles: true,
    },
    Detail {
        top: 1,
        characters: 20,
        quantiles: true,
    },
    Detail {
        top: 0,
        characters: 20,
        quantiles: false,
    },
];

/// Longer integers become the nearest double when a profile is too long.
const LONG_INTEGER: usize = 60;

impl Profile {
    /// Brings the fields to a length within [`MAX_PROFILE_BYTES`]: by less detail for all, and
    /// when that does not do, by leaving out the last ones.
    pub(super) fn new(records: u64, fields: Vec<(String, FieldProfile)>, omitted: u64) -> Profile {
        const ENVELOPE: usize = 100;
        let mut profile = Profile {
            records,
            fields,
            fields_omitted: omitted,
        };
        for (level, detail) in DETAILS.iter().enumerate() {
            profile
                .fields
                .iter_mut()
                .for_each(|(_, field)| field.reduce(detail, level > 0));
            let length: usize = profile
                .fields
                .iter()
                .map(|(path, field)| length(path, field))
                .sum();
            if length + ENVELOPE <= MAX_PROFILE_BYTES {
                return profile;
            }
        }
        let mut left = MAX_PROFILE_BYTES - ENVELOPE;
        let fits = |(path, field): &&(String, FieldProfile)| {
            let rest = left.checked_sub(length(path, field));
            left = rest.unwrap_or(left);
            rest.is_some()
        };
        let kept = profile.fields.iter().take_while(fits).count();
        profile.fields_omitted += (profile.fields.len() - kept) as u64;
        profile.fields.truncate(kept);
        profile
    }

    /// The field at `path`.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&FieldProfile> {
        self.fields
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, field)| field)
    }
}

/// The length of a field's JSON with its path, colon and comma.
fn length(path: &str, field: &FieldProfile) -> usize {
    let json = serde_json::to_string(&(path, field));
    json.map_or(MAX_PROFILE_BYTES, |json| json.len())
}

impl FieldProfile {
    pub(super) fn new(field: Field, missing: u64) -> FieldProfile {
        let types = field.types;
        let mut profile = FieldProfile {
            count: field.count,
            missing,
            nulls: field.nulls,
            types: TypeCounts {
                boolean: types.boolean,
                integer: types.integer,
                number: types.number,
                string: types.string,
                array: types.array,
                object: types.object,
            },
            empty: field.empty,
            items: lengths(&field.items),
            ..FieldProfile::default()
        };
        // A table's column with a text is one of texts: the mean of a part of it would mislead.
        let is_text = field.cells > 0 && types.string > 0;
        let is_numbers = field.cells > 0 && types.string == 0;
        if is_text {
            profile.types.string += types.integer + types.number;
            (profile.types.integer, profile.types.number) = (0, 0);
            profile.numeric = field.cells;
        }
        if let Some(scalars) = field.scalars {
            profile.set_scalars(&scalars, is_text);
        }
        if let Some(numbers) = field.numbers.filter(|_| !is_text) {
            profile.set_numbers(*numbers);
        }
        if let Some(texts) = field.texts.filter(|_| !is_numbers) {
            profile.set_texts(*texts);
        }
        profile
    }

    fn set_scalars(&mut self, scalars: &Scalars, is_text: bool) {
        let listed = |Frequent { value, cut, count }| TopValue {
            value,
            count,
            truncated: cut,
        };
        self.distinct = Some(scalars.distinct.count());
        self.distinct_exact = Some(scalars.distinct.is_exact());
        self.top = scalars
            .top
            .most_frequent(DETAILS[0].top, is_text)
            .into_iter()
            .map(listed)
            .collect();
        self.top_exact = Some(scalars.top.error() == 0);
        self.top_error = scalars.top.error();
    }

    fn set_numbers(&mut self, mut numbers: Numbers) {
        const PERCENTS: [usize; 7] = [1, 5, 25, 50, 75, 95, 99];
        self.mean = numbers.moments.mean();
        self.stdev = numbers.moments.stdev();
        self.zeros = Some(numbers.zeros);
        self.negatives = Some(numbers.negatives);
        self.not_finite = numbers.not_finite;
        self.too_large = numbers.too_large;
        if let Some([p01, p05, p25, p50, p75, p95, p99]) = numbers.quantiles.at(PERCENTS) {
            self.quantiles = Some(QuantileValues {
                p01,
                p05,
                p25,
                p50,
                p75,
                p95,
                p99,
            });
            self.quantiles_exact = Some(numbers.quantiles.is_exact());
        }
        self.min = numbers.min;
        self.max = numbers.max;
    }

    fn set_texts(&mut self, texts: Texts) {
        self.lengths = lengths(&texts.lengths);
        self.min_text = texts.min;
        self.max_text = texts.max;
    }

    fn reduce(&mut self, detail: &Detail, round: bool) {
        self.top.truncate(detail.top);
        for top in &mut self.top {
            let (value, cut) = shorten(&top.value, detail.characters + 1);
            top.value = value;
            top.truncated |= cut;
        }
        if detail.top == 0 {
            self.top_exact = None;
            self.top_error = 0;
        }
        if !detail.quantiles {
            self.quantiles = None;
            self.quantiles_exact = None;
        }
        for text in [&mut self.min_text, &mut self.max_text]
            .into_iter()
            .flatten()
        {
            if let Some(short) = cut(text, detail.characters + 1) {
                *text = short;
            }
        }
        if round {
            for number in [&mut self.min, &mut self.max] {
                round_long(number);
            }
        }
    }
}

/// Replaces a long integer by the nearest double, or by nothing when there is none.
fn round_long(number: &mut Option<Json>) {
    if let Some(Json::Int(int)) = number
        && int.to_string().len() > LONG_INTEGER
    {
        *number = super::moments::finite(int.as_f64()).map(Json::Float);
    }
}

fn lengths(spread: &Spread) -> Option<Lengths> {
    let Spread { min, max, .. } = *spread;
    (spread.count > 0).then(|| Lengths {
        min,
        max,
        mean: spread.mean(),
    })
}

fn as_map<S: Serializer>(
    fields: &[(String, FieldProfile)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (path, field) in fields {
        map.serialize_entry(path, field)?;
    }
    map.end()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(count: &u64) -> bool {
    *count == 0
}
