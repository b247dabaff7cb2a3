//! The id of a task.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The longest id, in bytes.
pub const MAX_ID: usize = 255;

/// The namespace of the UUIDs of ids that are not UUIDs themselves (a random UUID).
const TEXTS: Uuid = Uuid::from_u128(0x0d6f_4c1a_92e7_4b35_9c58_e3a1_7b60_f24d);

/// The id of a task: 1 to [`MAX_ID`] bytes of any text. This service issues UUIDs in lower case with
/// hyphens; a client of another wire format chooses its own text. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// The id with this text; `None` for an empty text and for a text over [`MAX_ID`].
    pub fn parse(text: &str) -> Option<TaskId> {
        let is_id = (1..=MAX_ID).contains(&text.len());
        is_id.then(|| TaskId(text.into()))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A UUID for the id, always the same: the id itself if it has the form of an issued id, else a
    /// UUIDv5 of the text. It serves where a short name or evenly spread bits are needed.
    pub fn uuid(&self) -> Uuid {
        let issued = Uuid::try_parse(self.as_str()).ok().filter(|id| {
            let mut form = Uuid::encode_buffer();
            id.as_hyphenated().encode_lower(&mut form) == self.as_str()
        });
        issued.unwrap_or_else(|| Uuid::new_v5(&TEXTS, self.0.as_bytes()))
    }
}

impl From<Uuid> for TaskId {
    /// The id in the form of issued ids.
    fn from(id: Uuid) -> TaskId {
        let mut form = Uuid::encode_buffer();
        TaskId((&*id.as_hyphenated().encode_lower(&mut form)).into())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TaskId, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let wrong = || de::Error::invalid_length(text.len(), &"1 to 255 bytes");
        TaskId::parse(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_text_within_the_bounds() {
        for text in ["x", "a/b\n\u{0}ä", &"i".repeat(MAX_ID)] {
            let id = TaskId::parse(text).unwrap();
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(serde_json::from_str::<TaskId>(&json).unwrap(), id);
        }
        for text in ["", &"i".repeat(MAX_ID + 1)] {
            assert_eq!(TaskId::parse(text), None);
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<TaskId>(&json).is_err());
        }
    }

    #[test]
    fn an_issued_id_is_its_own_uuid_and_every_other_text_has_a_derived_uuid() {
        let issued = Uuid::from_u128(0x5f0c_9c1e_6f0b_4d7e_9a53_0d2f_8a9c_1b7e);
        assert_eq!(TaskId::from(issued).uuid(), issued);
        let id = |text: &str| TaskId::parse(text).unwrap();
        let upper = id(&issued.to_string().to_uppercase());
        let texts = [upper, id(&issued.simple().to_string()), id("a"), id("b")];
        let uuids: std::collections::HashSet<Uuid> = texts.iter().map(TaskId::uuid).collect();
        assert!(uuids.len() == texts.len() && !uuids.contains(&issued));
        // The value is part of stored rows: it never changes.
        assert_eq!(
            id("a").uuid().to_string(),
            "cacf791e-227a-5c7e-8b95-baaa85e1e397"
        );
    }
}
