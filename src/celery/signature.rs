//! Signatures: what a task's end sends on.

use crate::json::{Json, Object};

/// A signature of a message. Options and members that are unknown here are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signature {
    /// The name of the task.
    pub task: String,
    /// The positional arguments.
    pub args: Vec<Json>,
    /// The keyword arguments; of a composite signature, its parts.
    pub kwargs: Object,
    /// The options of `apply_async`.
    pub options: Object,
    /// The type of a composite signature, such as `chain`.
    pub subtask_type: Option<String>,
    /// Whether the signature takes no arguments from the task before it.
    pub immutable: bool,
    /// The other members.
    pub(super) rest: Object,
}

/// What a signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One task; `map`, `starmap` and `chunks` are one task too.
    Task,
    Chain,
    Group,
    Chord,
}

/// A value that is not a signature, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature is malformed: {0}")]
pub struct NotASignature(pub &'static str);

impl Signature {
    /// Reads a signature.
    ///
    /// # Errors
    /// For a value that Celery does not take for a signature.
    pub fn read(value: Json) -> Result<Signature, NotASignature> {
        let mut rest = value
            .into_object()
            .map_err(|_| NotASignature("it is not an object"))?;
        let mut take = |name| rest.remove(name).unwrap_or_default();
        let Json::String(task) = take("task") else {
            return Err(NotASignature("the task has no name"));
        };
        let args = match take("args") {
            Json::Array(args) => args,
            Json::Null => Vec::new(),
            _ => return Err(NotASignature("args is not a list")),
        };
        let [kwargs, options] = ["kwargs", "options"].map(|name| match take(name) {
            Json::Object(object) => Some(object),
            Json::Null => Some(Object::new()),
            _ => None,
        });
        let subtask_type = match take("subtask_type") {
            Json::String(name) => Some(name),
            _ => None,
        };
        Ok(Signature {
            task,
            args,
            kwargs: kwargs.ok_or(NotASignature("kwargs is not an object"))?,
            options: options.ok_or(NotASignature("options is not an object"))?,
            subtask_type,
            immutable: take("immutable").as_bool().unwrap_or(false),
            rest,
        })
    }

    /// The signature as a value of a message, with Celery's members in Celery's order.
    pub fn into_json(self) -> Json {
        let mut object: Object = [
            ("task".to_owned(), Json::from(self.task)),
            ("args".to_owned(), self.args.into()),
            ("kwargs".to_owned(), self.kwargs.into()),
            ("options".to_owned(), self.options.into()),
            ("subtask_type".to_owned(), self.subtask_type.into()),
            ("immutable".to_owned(), self.immutable.into()),
        ]
        .into_iter()
        .collect();
        object.extend(self.rest);
        Json::Object(object)
    }

    /// A group of these signatures.
    pub(super) fn group(tasks: Vec<Json>) -> Signature {
        Signature::composite("group", [("tasks", Json::Array(tasks))])
    }

    /// A chord of a header, which is a group, and a body.
    pub(super) fn chord(header: Signature, body: Signature) -> Signature {
        let parts = [
            ("kwargs", Json::Object(Object::new())),
            ("header", header.into_json()),
            ("body", body.into_json()),
        ];
        Signature::composite("chord", parts)
    }

    pub(super) fn composite<const N: usize>(kind: &str, parts: [(&str, Json); N]) -> Signature {
        let parts = parts.into_iter();
        Signature {
            task: format!("celery.{kind}"),
            kwargs: parts.map(|(name, part)| (name.to_owned(), part)).collect(),
            subtask_type: Some(kind.to_owned()),
            ..Signature::default()
        }
    }

    /// # Errors
    /// For a type of signature that Celery does not have.
    pub(super) fn shape(&self) -> Result<Shape, NotASignature> {
        Ok(match self.subtask_type.as_deref() {
            None | Some("" | "xmap" | "xstarmap" | "chunks") => Shape::Task,
            Some("chain") => Shape::Chain,
            Some("group") => Shape::Group,
            Some("chord") => Shape::Chord,
            Some(_) => return Err(NotASignature("its type is unknown")),
        })
    }

    /// An option that is a text.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name)?.as_str()
    }

    /// The tasks of a chain or group, removed from the signature.
    pub(super) fn take_tasks(&mut self) -> Result<Vec<Signature>, NotASignature> {
        match self.kwargs.remove("tasks") {
            Some(Json::Array(tasks)) => tasks.into_iter().map(Signature::read).collect(),
            _ => Err(NotASignature("it has no list of tasks")),
        }
    }

    /// Sets the tasks of a chain or group.
    pub(super) fn set_tasks(&mut self, tasks: Vec<Signature>) {
        let tasks = tasks.into_iter().map(Signature::into_json);
        self.kwargs.insert("tasks", Json::array(tasks));
    }

    /// A part of a chord, removed from the signature.
    pub(super) fn take_part(&mut self, name: &str) -> Option<Json> {
        self.kwargs.remove(name).filter(|part| !part.is_null())
    }

    /// The arguments after the arguments of the task before.
    pub(super) fn with_args(mut self, before: &[Json]) -> Signature {
        if !self.immutable && !before.is_empty() {
            self.args.splice(0..0, before.iter().cloned());
        }
        self
    }

    /// Sets options over the signature's own, all but its group's id and its stamps.
    pub(super) fn merge(&mut self, options: Object) {
        let stamps = self.options.get("stamped_headers").and_then(Json::as_array);
        let stamps: Vec<String> = stamps
            .unwrap_or_default()
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        for (name, value) in options {
            let is_kept =
                matches!(&*name, "group_id" | "stamped_headers") || stamps.contains(&name);
            if !(is_kept && self.options.contains_key(&name)) {
                self.options.insert(name, value);
            }
        }
    }

    /// Adds a signature to a list of the options, `link` or `link_error`, unless the list has it.
    pub(super) fn add_link(&mut self, list: &str, link: Json) {
        let mut links = links(self.options.remove(list));
        if !links.contains(&link) {
            links.push(link);
        }
        self.options.insert(list, links);
    }
}

/// The signatures of an option that may be one or a list.
pub(super) fn links(option: Option<Json>) -> Vec<Json> {
    match option {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(links)) => links,
        Some(one) => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::decode;
    use crate::celery::testing::{messages, text};
    use crate::json::parse_str;

    #[test]
    fn every_signature_of_a_message_comes_back() {
        let mut count = 0;
        for one in messages() {
            let embed = decode(text(one, "message")).unwrap().embed;
            let lists = [embed.callbacks, embed.errbacks, embed.chain];
            for value in lists.into_iter().flatten().chain(embed.chord) {
                let back = Signature::read(value.clone()).unwrap().into_json();
                assert_eq!(back.to_string(), value.to_string());
                count += 1;
            }
        }
        assert!(count > 30, "{count}");
    }

    #[test]
    fn unknown_members_and_options_are_kept() {
        let text = r#"{"task":"t","args":[1],"kwargs":{},"options":{"x":[NaN]},"subtask_type":null,"immutable":true,"chord_size":3}"#;
        let back = Signature::read(parse_str(text).unwrap())
            .unwrap()
            .into_json();
        assert_eq!(back.to_string(), text);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for text in ["1", "{}", r#"{"task":1}"#, r#"{"task":"t","args":1}"#] {
            assert!(Signature::read(parse_str(text).unwrap()).is_err(), "{text}");
        }
        let unknown = r#"{"task":"t","subtask_type":"new"}"#;
        let unknown = Signature::read(parse_str(unknown).unwrap()).unwrap();
        assert!(unknown.shape().is_err());
    }

    #[test]
    fn stamps_and_the_group_are_not_overwritten() {
        let text = r#"{"task":"t","options":{"stamped_headers":["a"],"a":1,"group_id":"g","b":1}}"#;
        let mut signature = Signature::read(parse_str(text).unwrap()).unwrap();
        let options = r#"{"a":2,"b":2,"group_id":"h","stamped_headers":[],"c":2}"#;
        signature.merge(parse_str(options).unwrap().into_object().unwrap());
        assert_eq!(
            Json::Object(signature.options).to_string(),
            r#"{"stamped_headers":["a"],"a":1,"group_id":"g","b":2,"c":2}"#
        );
    }
}
