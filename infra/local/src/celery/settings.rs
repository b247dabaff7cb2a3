//! The settings of a Celery application whose worker is the local stack.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Context, Result};
use crate::template::STACK;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

/// The host of the endpoints in a client's settings: clients before Celery 5.5 take every other host for a region.
const HOST: &str = "localhost";

/// The exchange of Celery's commands to workers, and the topic of `template.yaml` behind the exchange.
const EXCHANGE: &str = "celery.pidbox";
const TOPIC: &str = "celery-pidbox";

/// A queue of Celery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The name that Celery knows.
    pub name: String,
    /// The name in SQS.
    pub(super) physical: String,
    port: u16,
}

impl Queue {
    /// The queue of this name in endpoints with this port.
    #[must_use]
    pub fn new(name: &str, port: u16) -> Self {
        let text = canonical(name);
        let physical = match name {
            super::QUEUE => format!("{STACK}-{name}"),
            // Apart from the template's own queues, one of which is called `tasks`.
            _ => format!("{STACK}-celery-{text}"),
        };
        Self {
            name: name.to_owned(),
            physical,
            port,
        }
    }

    /// The URL of the queue at this host.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/{ACCOUNT}/{}", self.port, self.physical)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The ARN of the queue.
    #[must_use]
    pub fn arn(&self) -> String {
        arn(&self.physical)
    }
}

/// A queue's name as kombu writes it for SQS, also to look it up in `predefined_queues`.
fn canonical(name: &str) -> String {
    let character = |c: char| match c {
        '.' => '-',
        c if c.is_ascii_punctuation() && c != '-' => '_',
        c => c,
    };
    name.chars().map(character).collect()
}

/// The ARN of the queue with this name in SQS.
pub(super) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// The settings, by the name of the variable that has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `broker_url`.
    pub broker_url: String,
    /// `result_backend`; `None` for an application that keeps its results elsewhere.
    pub result_backend: Option<String>,
    /// `broker_transport_options`.
    pub transport_options: Value,
}

impl Settings {
    /// The settings for the endpoints at this port, with these queues. `own_results`: whether the application
    /// keeps its results elsewhere.
    #[must_use]
    pub fn new(port: u16, queues: &[Queue], own_results: bool) -> Self {
        let keys = |queue: &Queue| json!({"url": queue.url(HOST), "access_key_id": "test", "secret_access_key": "test"});
        let queues: Map<String, Value> = queues
            .iter()
            .map(|queue| (canonical(&queue.name), keys(queue)))
            .collect();
        Self {
            broker_url: format!("sqs://test:test@{HOST}:{port}"),
            result_backend: (!own_results).then(|| {
                format!(
                    "dynamodb://test:test@{HOST}:{port}/{STACK}-celery-results?ttl_seconds=86400"
                )
            }),
            // As the output `CelerySettings`. Versions of kombu before 5.7 leave the exchange out.
            transport_options: json!({
                "region": REGION,
                "predefined_queues": queues,
                "supports_fanout": true,
                "predefined_exchanges": exchanges(),
            }),
        }
    }

    /// The settings as lines of Python.
    #[must_use]
    pub fn python(&self) -> String {
        let queues = self.transport_options["predefined_queues"].as_object();
        let queue = |(name, keys): (&String, &Value)| format!("            \"{name}\": {keys},\n");
        let queues: String = queues.into_iter().flatten().map(queue).collect();
        let results = self.result_backend.as_ref();
        let results = results.map(|url| format!("  result_backend = \"{url}\"\n"));
        format!(
            "  broker_url = \"{}\"\n{}  broker_transport_options = {{\n      \
             \"region\": \"{REGION}\",\n      \"predefined_queues\": {{\n{queues}      }},\n      \
             \"supports_fanout\": True,\n      \"predefined_exchanges\": {},\n  }}\n",
            self.broker_url,
            results.unwrap_or_default(),
            self.transport_options["predefined_exchanges"]
        )
    }

    /// The settings as variables of the environment. Celery itself reads the first two; the third is for the
    /// application's own code.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("CELERY_BROKER_URL", self.broker_url.clone())];
        variables.extend(
            self.result_backend
                .clone()
                .map(|url| ("CELERY_RESULT_BACKEND", url)),
        );
        variables.push((
            "CELERY_BROKER_TRANSPORT_OPTIONS",
            self.transport_options.to_string(),
        ));
        variables
    }

    /// Writes a file for a shell to source.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let lines = self.variables().into_iter();
        let lines = lines.map(|(name, value)| format!("export {name}={}\n", quoted(&value)));
        std::fs::write(path, lines.collect::<String>())
            .context(format_args!("cannot write {}", path.display()))
    }
}

/// The exchange through which `revoke` reaches the stack.
fn exchanges() -> Value {
    let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-{TOPIC}");
    json!({EXCHANGE: {"arn": arn}})
}

/// A value as one word of a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_names_of_their_own_in_sqs() {
        assert_eq!(Queue::new("celery", 1).physical, "async-service-celery");
        assert_eq!(
            Queue::new("tasks", 1).physical,
            "async-service-celery-tasks"
        );
        let queue = Queue::new("low.priority", 4566);
        assert_eq!(
            queue.arn(),
            "arn:aws:sqs:us-east-1:000000000000:async-service-celery-low-priority"
        );
        let url = "http://localhost:4566/000000000000/async-service-celery-low-priority";
        assert_eq!(queue.url("localhost"), url);
    }

    #[test]
    fn a_client_of_the_settings_can_revoke() {
        let path = crate::project::root().join("template.yaml");
        let template = crate::template::Template::read(&path).unwrap();
        let topic = &template.root()["Resources"]["CeleryControlTopic"]["Properties"]["TopicName"];
        let topic = topic.as_str().or(topic["Fn::Sub"].as_str()).unwrap();
        let topic = topic.replace("${AWS::StackName}", STACK);
        let settings = Settings::new(4566, &[Queue::new("celery", 4566)], false);
        let arn = format!("arn:aws:sns:us-east-1:000000000000:{topic}");
        assert_eq!(
            settings.transport_options["predefined_exchanges"]["celery.pidbox"]["arn"],
            arn
        );
        assert!(settings.python().contains(&arn));
    }

    #[test]
    fn a_value_is_one_word_of_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
