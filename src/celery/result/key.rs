//! The keys of items in Celery's table of results.

use crate::celery::python;

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
        self.key("celery-task-meta-", id)
    }

    /// The key of a group's list of members.
    pub fn group(&self, id: &str) -> String {
        self.key("celery-taskset-meta-", id)
    }

    /// The key of a chord's counter. `id` is the id of the chord's header, a group.
    pub fn chord(&self, id: &str) -> String {
        self.key("chord-unlock-", id)
    }

    fn key(&self, kind: &str, id: &str) -> String {
        python::bytes([&self.prefix, kind, id].concat().as_bytes())
    }
}
