//! Finds the application in its folder, as `celery -A` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::packages::Packages;
use crate::error::{Context, Error, Result};
use crate::{functions, project};

/// What is known of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The application as `MODULE:APP`.
    pub app: String,
    /// The folder that its modules are imported from.
    pub root: PathBuf,
    /// The version of Celery.
    pub celery: String,
    /// The names of its tasks.
    pub tasks: Vec<String>,
    /// The names of the queues that its settings name.
    pub queues: Vec<String>,
    /// Whether the application keeps its results where only Celery knows, so that its own setting must stay.
    pub own_results: bool,
}

/// Imports the application in the environment with its packages.
///
/// # Errors
/// When there is no application, or more than one; the message says how to choose.
pub(super) fn find(packages: &Packages, folder: &Path, app: Option<&str>) -> Result<Found> {
    let folder_of_answers = project::target().join("local-stack");
    std::fs::create_dir_all(&folder_of_answers).context("cannot create a folder")?;
    let answer = folder_of_answers.join(format!("application-{}.json", std::process::id()));
    let _ = std::fs::remove_file(&answer);
    let mut command = Command::new(&packages.python);
    functions::forget_aws(&mut command);
    command
        .arg("-B")
        .arg(project::root().join("infra/local/celery/find_application.py"))
        .args([folder, &answer])
        .args(app)
        .current_dir(folder)
        // Some applications cannot be imported without this variable, which the function gets later.
        .env("CELERY_BROKER_URL", "memory://");
    let output = command.output().context("cannot run Python")?;
    let text = std::fs::read_to_string(&answer).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = said.lines().rev().find(|line| !line.trim().is_empty());
        Error::new(format!(
            "the application cannot be imported: {}",
            line.unwrap_or("no reason given")
        ))
    })?;
    let _ = std::fs::remove_file(&answer);
    let answer: Value =
        serde_json::from_str(&text).context("the description of the application")?;
    match answer["error"].as_str() {
        Some(problem) => Err(Error::new(problem)),
        None => Ok(described(&answer)),
    }
}

fn described(answer: &Value) -> Found {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let names = answer[name].as_array().into_iter().flatten();
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    Found {
        app: text("app"),
        root: text("root").into(),
        celery: text("celery"),
        tasks: list("tasks"),
        queues: list("queues"),
        own_results: answer["own_results"] == true,
    }
}
