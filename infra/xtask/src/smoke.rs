//! `cargo xtask smoke`: tests a running service over HTTP, local or on AWS.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use local_stack::{Context, Error, Result, process, project};
use serde_json::Value;

mod client;
mod documents;
mod pages;
mod routes;
mod tasks;

use client::{Caller, Client};

/// The service to test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The service's address, with the prefix of its paths.
    pub url: String,
    /// A key or token with the scopes `read` and `write`; `None` if the service requires no key.
    pub key: Option<String>,
    /// An origin whose pages may call the service; `None` if CORS is not configured.
    pub origin: Option<String>,
}

/// Failures of a check, one line for each.
type Findings = Vec<String>;

/// The tested service.
struct Service {
    client: Client,
    /// `openapi.json` of this project.
    document: Value,
    origin: Option<String>,
}

/// The maximum number of printed failures of a check.
const TOLD: usize = 8;

type Check = (&'static str, fn(&Service) -> Findings);

/// The checks, in their order.
const CHECKS: [Check; 12] = [
    ("the document is openapi.json", pages::document),
    (
        "every route answers, with and without a trailing slash",
        routes::both_forms,
    ),
    ("requests without a key are refused", routes::refusals),
    (
        "an item is created, read, replaced and deleted",
        documents::item,
    ),
    (
        "a user is created, read, replaced and deleted",
        documents::user,
    ),
    ("a task completes", tasks::runs),
    ("a task waits for its delay", tasks::waits),
    (
        "a task with a long delay is cancelled, and retried",
        tasks::is_cancelled,
    ),
    (
        "a task has a large input and a large result",
        tasks::carries_much,
    ),
    (
        "an input above the limit is refused",
        tasks::refuses_too_much,
    ),
    ("the pages of the documentation load", pages::documentation),
    (
        "only configured origins are allowed (CORS)",
        pages::cross_origin,
    ),
];

/// Runs all checks, and prints their failures.
///
/// # Errors
/// When the service does not answer, or a check fails.
pub fn run(options: &Options) -> Result<()> {
    let path = project::root().join("openapi.json");
    let document = std::fs::read(&path).context(format_args!("cannot read {}", path.display()))?;
    let service = Service {
        client: Client::new(options)?,
        document: serde_json::from_slice(&document).context("openapi.json")?,
        origin: options.origin.clone(),
    };
    let greeting = service.client.get("/", Caller::Known);
    greeting
        .map_err(|cause| Error::new(format!("no service answers at {}: {cause}", options.url)))?;
    let failed = CHECKS
        .iter()
        .map(|check| try_one(&service, check))
        .collect::<Result<Vec<bool>>>()?;
    match failed.iter().filter(|failed| **failed).count() {
        0 => {
            let count = CHECKS.len();
            print(&format!("\nall {count} checks of {} passed\n", options.url))
        }
        count => Err(Error::new(format!(
            "{count} of {} checks of {} failed: see the lines above",
            CHECKS.len(),
            options.url
        ))),
    }
}

/// Runs a check, and returns whether it failed.
fn try_one(service: &Service, (name, check): &Check) -> Result<bool> {
    if process::interrupted() {
        return Err(Error::new("stopped"));
    }
    let started = Instant::now();
    let findings = check(service);
    let mark = if findings.is_empty() { "✓" } else { "✗" };
    let mut told = format!("{mark} {name} ({:.1} s)\n", started.elapsed().as_secs_f64());
    for finding in findings.iter().take(TOLD) {
        let _ = writeln!(told, "    {finding}");
    }
    if findings.len() > TOLD {
        let _ = writeln!(told, "    … and {} more like these", findings.len() - TOLD);
    }
    print(&told)?;
    Ok(!findings.is_empty())
}

/// Prints a text. Returns an error where `print!` would panic, such as for a closed pipe.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).context("cannot print")
}

/// The first failure of steps that depend on each other.
fn first(steps: impl FnOnce() -> std::result::Result<(), String>) -> Findings {
    steps().err().into_iter().collect()
}

#[cfg(test)]
mod tests;
