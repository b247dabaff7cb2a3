//! `Serialize` and `Deserialize` for [`Json`], as raw text in both directions.
//!
//! `serde_json`'s own numbers have 64 bits or another text, so a [`Json`] inside another type is passed
//! as its text. Two consequences: only `serde_json` supports a [`Json`], and a [`Json`] cannot be used
//! under `#[serde(flatten)]` or in an untagged enum, because these buffer the value.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Json, parse_str};

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_text().map_err(S::Error::custom)?;
        RawValue::from_string(text)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        parse_str(raw.get()).map_err(D::Error::custom)
    }
}
