//! A client of Celery for tests and measurements: a Python program with the newest Celery, over the local
//! queues and the local table of results.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::project;
use crate::template::STACK;

/// The version of Celery.
const VERSION: &str = "5.7.0";
/// The region of the local endpoints.
const REGION: &str = "us-east-1";

/// Where a client sends its tasks, and where it finds the results.
#[derive(Debug, Clone)]
pub struct Broker {
    /// `broker_url`.
    pub url: String,
    /// `result_backend`.
    pub results: String,
    /// `broker_transport_options` as JSON.
    pub options: String,
    /// The endpoint of AWS, for a broker there.
    pub endpoint: Option<String>,
}

impl Broker {
    /// The stack's queue of Celery and its table of results, at this endpoint of AWS.
    #[must_use]
    pub fn sqs(endpoint: &str) -> Broker {
        let url = format!("{endpoint}/000000000000/{STACK}-celery");
        let options = json!({"region": REGION, "predefined_queues": {"celery": {"url": url}}});
        Broker {
            url: "sqs://".to_owned(),
            results: format!("dynamodb://@{REGION}/{STACK}-celery-results?ttl_seconds=86400"),
            options: options.to_string(),
            endpoint: Some(endpoint.to_owned()),
        }
    }
}

/// The command of a client. The variables `BROKER_URL`, `RESULT_BACKEND` and `TRANSPORT_OPTIONS` have the
/// settings, and the client ends with this process. Its environment is one of the suite of Celery's
/// clients, which is made if it is missing.
///
/// # Errors
/// When the environment cannot be made.
pub fn client(runner: &Path, program: &Path, broker: &Broker) -> Result<Command> {
    let mut command = process::tether(runner, &python()?);
    command
        .arg(program)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BROKER_URL", &broker.url)
        .env("RESULT_BACKEND", &broker.results)
        .env("TRANSPORT_OPTIONS", &broker.options)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", REGION)
        .env_remove("AWS_ENDPOINT_URL")
        .envs(broker.endpoint.iter().map(|url| ("AWS_ENDPOINT_URL", url)));
    Ok(command)
}

/// The Python with the newest Celery and its clients of SQS and DynamoDB.
///
/// # Errors
/// When the environment cannot be made.
pub fn python() -> Result<PathBuf> {
    let mut command = Command::new("python3");
    command
        .arg(project::root().join("tests/celery/environments.py"))
        .arg(VERSION)
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run python3")?;
    let path = String::from_utf8_lossy(&output.stdout);
    match path.lines().next() {
        Some(path) if output.status.success() => Ok(path.into()),
        _ => Err(Error::new("the environment of Celery cannot be made")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_celery_is_predefined() {
        let broker = Broker::sqs("http://127.0.0.1:1");
        let options: serde_json::Value = serde_json::from_str(&broker.options).unwrap();
        let url = &options["predefined_queues"]["celery"]["url"];
        assert_eq!(url, "http://127.0.0.1:1/000000000000/async-service-celery");
        assert!(broker.results.contains("/async-service-celery-results?"));
    }
}
