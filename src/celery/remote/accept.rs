//! Which tasks have remote bodies, and which contents such bodies decode by themselves.

use std::fmt;
use std::sync::Arc;

use crate::celery::builtins::mapped_task;
use crate::celery::message::Message;

/// The content types besides JSON that remote bodies decode. JSON is always accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept(Vec<String>);

impl Accept {
    /// Content types by kombu's names (`pickle`, `yaml`, `msgpack`) or in full, separated by commas, as in
    /// Celery's `accept_content`.
    ///
    /// # Errors
    /// For an unknown name.
    pub fn new(names: &str) -> Result<Accept, String> {
        let names = names.split(',').map(str::trim);
        let names = names.filter(|name| !name.is_empty());
        let types = names.map(|name| match name {
            "json" => Ok("application/json"),
            "pickle" => Ok("application/x-python-serialize"),
            "yaml" => Ok("application/x-yaml"),
            "msgpack" => Ok("application/x-msgpack"),
            name if name.contains('/') => Ok(name),
            name => Err(format!(
                "{name:?} is neither json, pickle, yaml or msgpack nor a content type such as application/x-name"
            )),
        });
        let types = types.map(|name| name.map(str::to_owned));
        types.collect::<Result<_, _>>().map(Accept)
    }

    fn has(&self, content_type: &str) -> bool {
        self.0.iter().any(|accepted| accepted == content_type)
    }
}

/// The tasks with remote bodies.
#[derive(Clone)]
pub struct RemoteBodies {
    is_remote: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    accept: Accept,
}

impl RemoteBodies {
    /// The tasks whose name `is_remote` holds of; their functions decode what `accept` has.
    pub fn new(
        is_remote: impl Fn(&str) -> bool + Send + Sync + 'static,
        accept: Accept,
    ) -> RemoteBodies {
        RemoteBodies {
            is_remote: Arc::new(is_remote),
            accept,
        }
    }

    /// Whether the task of this name has a remote body.
    pub fn has(&self, task: &str) -> bool {
        (self.is_remote)(task)
    }

    /// Whether the task of a message has a remote body. A map of such a task has its body, too.
    pub fn has_body_of(&self, message: &Message) -> bool {
        let mapped = || mapped_task(&message.headers.task, &message.kwargs);
        self.has(&message.headers.task) || mapped().is_some_and(|task| self.has(task))
    }

    /// Whether the function of the task of this name decodes this content.
    pub fn decode(&self, task: &str, content_type: &str) -> bool {
        self.accept.has(content_type) && self.has(task)
    }
}

impl Default for RemoteBodies {
    /// No task has a remote body.
    fn default() -> RemoteBodies {
        RemoteBodies::new(|_| false, Accept::default())
    }
}

impl fmt::Debug for RemoteBodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bodies = f.debug_struct("RemoteBodies");
        bodies.field("accept", &self.accept).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_named_as_in_kombu() {
        let accept = Accept::new("json, pickle,application/x-signed-pickle,").unwrap();
        for accepted in [
            "application/json",
            "application/x-python-serialize",
            "application/x-signed-pickle",
        ] {
            assert!(accept.has(accepted), "{accepted}");
        }
        assert!(!accept.has("application/x-yaml"));
        let error = Accept::new("json,toml").unwrap_err();
        assert!(error.contains("toml"), "{error}");
    }

    #[test]
    fn a_content_is_left_to_remote_bodies_alone() {
        let accept = Accept::new("yaml").unwrap();
        let bodies = RemoteBodies::new(|task| task.starts_with("app."), accept);
        assert!(bodies.decode("app.a", "application/x-yaml"));
        assert!(!bodies.decode("a", "application/x-yaml"));
        assert!(!bodies.decode("app.a", "application/x-python-serialize"));
    }
}
