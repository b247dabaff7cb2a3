//! The keys of items in Celery's table of results.

use crate::celery::python;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// The result of a task.
    Task,
    /// The members of a group.
    Group,
    /// The counter of a chord.
    Chord,
}

const PREFIXES: [(&str, ItemKind); 3] = [
    ("celery-task-meta-", ItemKind::Task),
    ("celery-taskset-meta-", ItemKind::Group),
    ("chord-unlock-", ItemKind::Chord),
];

/// Makes keys, with the application's `global_keyprefix` if it has one.
///
/// Celery makes each key as bytes, and its DynamoDB backend takes the text of Python's `repr` of them: a key
/// begins with `b'`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys with a `global_keyprefix` of `result_backend_transport_options`; an empty one is as good as
    /// none.
    pub fn new(global_keyprefix: &str) -> Keys {
        let mut prefix = global_keyprefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with([':', '_', '-', '.']) {
            prefix.push('_');
        }
        Keys { prefix }
    }

    /// The key of a task's result.
    pub fn task(&self, id: &str) -> String {
        self.key(PREFIXES[0].0, id)
    }

    /// The key of a group's list of members.
    pub fn group(&self, id: &str) -> String {
        self.key(PREFIXES[1].0, id)
    }

    /// The key of a chord's counter. `id` is the id of the chord's header, a group.
    pub fn chord(&self, id: &str) -> String {
        self.key(PREFIXES[2].0, id)
    }

    /// What the item of a key is; `None` for a key that is not made with these prefixes.
    pub fn kind_of(&self, key: &str) -> Option<ItemKind> {
        let bytes = key.strip_prefix("b'").or(key.strip_prefix("b\""))?;
        let name = bytes.strip_prefix(&self.prefix)?;
        let mut prefixes = PREFIXES.into_iter();
        let found = prefixes.find(|(prefix, _)| name.starts_with(prefix));
        found.map(|(_, kind)| kind)
    }

    fn key(&self, kind: &str, id: &str) -> String {
        python::bytes([&self.prefix, kind, id].concat().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_key_is_known_by_its_prefixes() {
        for prefix in ["", "app", "app:"] {
            let keys = Keys::new(prefix);
            for id in ["i", "it's", "\u{e9}"] {
                for (key, kind) in [
                    (keys.task(id), ItemKind::Task),
                    (keys.group(id), ItemKind::Group),
                    (keys.chord(id), ItemKind::Chord),
                ] {
                    assert_eq!(keys.kind_of(&key), Some(kind), "{key}");
                    assert_eq!(Keys::new("other").kind_of(&key), None, "{key}");
                }
            }
        }
        for key in ["", "b'", "celery-task-meta-i", "b'celery-task-i'"] {
            assert_eq!(Keys::default().kind_of(key), None, "{key}");
        }
    }
}
