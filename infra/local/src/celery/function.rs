//! The Python function in the AWS endpoints.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::settings::Settings;
use super::{Prepared, beat};
use crate::aws::{Aws, expect};
use crate::error::{Context, Error, Result};
use crate::template::STACK;
use crate::{project, resources};

/// The name of the function.
pub const NAME: &str = "async-service-celery-bodies";

/// The alias that is invoked. A new version of the code gets processes of its own, and those of the version before
/// finish what they do.
const ALIAS: &str = "live";

/// What the worker invokes.
pub const TARGET: &str = "async-service-celery-bodies:live";

/// Lambda's maximum time-out in seconds.
const TIMEOUT: u64 = 900;

/// The function of an application.
#[derive(Debug, Clone)]
pub(super) struct Function {
    variables: Value,
    /// Whether the scheduler's function has the same code.
    has_beat: bool,
}

impl Function {
    /// The function of the application. Its processes write their output into the file `output`.
    pub(super) fn new(prepared: &Prepared, output: &Path) -> Result<Self> {
        let (root, infra) = (&prepared.found.root, project::root().join("infra"));
        let folders: [PathBuf; 4] = [
            infra.join("local").join("celery"),
            root.clone(),
            infra.join("python").join("src"),
            prepared.packages.clone(),
        ];
        let path = std::env::join_paths(&folders).context("a folder's name has a colon")?;
        let port = prepared.queues.first().map_or(0, super::Queue::port);
        let settings = Settings::new(port, &prepared.queues, prepared.found.own_results);
        let mut variables = json!({
            "CELERY_APP": prepared.found.app,
            "CELERY_LOG_LEVEL": "INFO",
            "LOCAL_APPLICATION": root,
            "LOCAL_LOG": output,
            "LOCAL_PACKAGES": prepared.packages,
            "LOCAL_TRANSPORT_OPTIONS": settings.transport_options.to_string(),
            "BEAT_TABLE": format!("{STACK}-celery-results"),
            "PYTHONPATH": path.to_string_lossy(),
            // A body's file may change twice within a second, which compiled files do not notice.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        });
        for (name, value) in settings.variables() {
            variables[name] = json!(value);
        }
        for (name, value) in &prepared.variables {
            variables[name] = json!(value);
        }
        Ok(Self {
            variables,
            has_beat: prepared.beat,
        })
    }

    /// Creates the function, in place of one that a kept state has.
    pub(super) fn create(&self, aws: &Aws) -> Result<()> {
        aws.lambda_delete(&path(""))?;
        let created = self.create_as(aws, NAME, "local_function.handler", TIMEOUT)?;
        let alias = json!({"Name": ALIAS, "FunctionVersion": version(&created)?});
        expect(
            "the function's alias",
            aws.lambda_post(&path("/aliases"), &alias)?,
        )?;
        Ok(())
    }

    /// Creates a function with the application's code and this handler. Returns Lambda's answer.
    pub(super) fn create_as(
        &self,
        aws: &Aws,
        name: &str,
        handler: &str,
        timeout: u64,
    ) -> Result<String> {
        let body = json!({
            "FunctionName": name,
            "Runtime": "python3.11",
            "Handler": handler,
            "Role": "arn:aws:iam::000000000000:role/local",
            "Code": {"ZipFile": resources::EMPTY_ZIP},
            "Timeout": timeout,
            "MemorySize": 1024,
            "Environment": {"Variables": self.variables},
            "Publish": true,
        });
        let created = aws.lambda_post("/2015-03-31/functions", &body)?;
        expect("the function of the application", created)
    }

    /// Publishes a new version, whose processes read the application's files again. Returns its number.
    pub(super) fn publish(&self, aws: &Aws) -> Result<String> {
        if self.has_beat {
            beat::renew(aws)?;
        }
        let code = json!({"ZipFile": resources::EMPTY_ZIP, "Publish": true});
        let published = expect("a new version", aws.lambda_put(&path("/code"), &code)?)?;
        let version = version(&published)?;
        let alias = json!({"FunctionVersion": version});
        expect(
            "the function's alias",
            aws.lambda_put(&path(&format!("/aliases/{ALIAS}")), &alias)?,
        )?;
        // The version before may still run bodies; the one before that version has had its time.
        if let Some(old) = version
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_sub(2))
        {
            aws.lambda_delete(&path(&format!("?Qualifier={old}")))?;
        }
        Ok(version)
    }
}

fn path(rest: &str) -> String {
    format!("/2015-03-31/functions/{NAME}{rest}")
}

fn version(answer: &str) -> Result<String> {
    let answer: Value = serde_json::from_str(answer).context("the answer of Lambda")?;
    let version = answer["Version"].as_str().map(str::to_owned);
    version.ok_or_else(|| Error::new("the answer of Lambda has no version"))
}
