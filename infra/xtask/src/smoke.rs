//! `cargo xtask smoke`: tries a running service from outside, wherever it is.

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

/// What to try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the service is, with what stands in front of its paths.
    pub url: String,
    /// A key or token with the scopes `read` and `write`; none where everybody gets in.
    pub key: Option<String>,
    /// An origin whose pages may call the service; none where CORS is not configured.
    pub origin: Option<String>,
}

/// What is not as it should be, a line each.
type Findings = Vec<String>;

/// What has to be tried, and how.
struct Service {
    client: Client,
    /// `openapi.json` of this project.
    document: Value,
    origin: Option<String>,
}

/// How many findings of one check are printed.
const TOLD: usize = 8;

type Check = (&'static str, fn(&Service) -> Findings);

/// The checks, in their order.
const CHECKS: [Check; 12] = [
    ("the document is openapi.json", pages::document),
    (
        "every route answers, with a slash at its end and without",
        routes::both_forms,
    ),
    ("nobody gets in without a key", routes::refusals),
    (
        "an item, from its creation to its deletion",
        documents::item,
    ),
    ("a user, from its creation to its deletion", documents::user),
    ("a task runs to its end", tasks::runs),
    ("a task waits for its delay", tasks::waits),
    (
        "a task with a long delay is cancelled, and runs again",
        tasks::is_cancelled,
    ),
    ("a large input and a large result", tasks::carries_much),
    (
        "an input that is too large is refused",
        tasks::refuses_too_much,
    ),
    ("pages of the documentation", pages::documentation),
    ("pages of another origin (CORS)", pages::cross_origin),
];

/// Runs all checks, and prints what is not as it should be.
///
/// # Errors
/// When there is no service, or something is not as it should be.
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
        .map_err(|cause| Error::new(format!("there is no service at {}: {cause}", options.url)))?;
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
            "{count} of {} checks of {} failed: the lines above say how",
            CHECKS.len(),
            options.url
        ))),
    }
}

/// Whether a check failed.
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

/// Prints, where `print!` would panic if nobody reads on.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).context("cannot print")
}

/// The findings of steps of which each needs the one before: the first that fails is the only one.
fn first(steps: impl FnOnce() -> std::result::Result<(), String>) -> Findings {
    steps().err().into_iter().collect()
}

#[cfg(test)]
mod tests;
