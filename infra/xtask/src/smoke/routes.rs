//! All routes of the OpenAPI document, with and without a trailing slash.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::{Answer, Asked, Caller};
use super::{Findings, Service};

/// An id that no item and no user has, because ids are derived from the time of creation.
const NO_NUMBER: &str = "9007199254740991";

/// An id that no task has.
const NO_TASK: &str = "00000000-0000-4000-8000-000000000000";

/// Answers to requests without a route, from this service and from API Gateway.
const NO_ROUTE: [&str; 4] = [
    r#"{"detail":"Not Found"}"#,
    r#"{"detail":"Method Not Allowed"}"#,
    r#"{"message":"Not Found"}"#,
    r#"{"message":"Missing Authentication Token"}"#,
];

/// Routes that serve the document itself, and that the document does not contain.
const OF_THE_DOCUMENT: [&str; 3] = ["/openapi.json", "/docs", "/redoc"];

/// A request that changes nothing, and that only the route's own function answers in this way.
#[derive(Debug, PartialEq)]
pub(super) struct Probe {
    method: String,
    /// The path without a trailing slash.
    path: String,
    body: Option<&'static str>,
    /// Whether the operation needs a key.
    secured: bool,
    /// The operation's statuses in the document.
    statuses: BTreeSet<u16>,
}

pub fn both_forms(service: &Service) -> Findings {
    let probes = probes(&service.document);
    probes
        .iter()
        .flat_map(|probe| answers(service, probe))
        .collect()
}

pub fn refusals(service: &Service) -> Findings {
    if !service.client.has_key() {
        // Without a key, `both_forms` finds routes that require one.
        return Findings::new();
    }
    let mut findings = Findings::new();
    for probe in probes(&service.document)
        .iter()
        .filter(|probe| probe.secured)
    {
        for path in probe.forms() {
            for (caller, who) in [
                (Caller::Nobody, "without a key"),
                (Caller::Wrong, "with a wrong key"),
            ] {
                match probe.ask(service, &path, caller) {
                    Ok(answer) if answer.status == 401 => {}
                    Ok(answer) => findings.push(format!("{who}: {}, expected 401", answer.told())),
                    Err(cause) => findings.push(cause),
                }
            }
        }
    }
    findings
}

/// The failures of one route's answers.
fn answers(service: &Service, probe: &Probe) -> Findings {
    let mut findings = Findings::new();
    let mut statuses = Vec::new();
    for path in probe.forms() {
        match probe.ask(service, &path, Caller::Known) {
            Ok(answer) => {
                statuses.push(answer.status);
                findings.extend(probe.wrong_with(&answer, service.client.has_key()));
            }
            Err(cause) => findings.push(cause),
        }
    }
    let is_page = OF_THE_DOCUMENT.contains(&&*probe.path);
    if findings.is_empty() && !is_page && statuses.windows(2).any(|pair| pair[0] != pair[1]) {
        findings.push(format!(
            "{} {}: {} without a slash, {} with one",
            probe.method, probe.path, statuses[0], statuses[1]
        ));
    }
    findings
}

impl Probe {
    fn forms(&self) -> Vec<String> {
        match self.path.as_str() {
            "" => vec!["/".to_owned()],
            path => vec![path.to_owned(), format!("{path}/")],
        }
    }

    fn ask(&self, service: &Service, path: &str, caller: Caller) -> Asked {
        let body = self.body.map(str::to_owned);
        service.client.send(&self.method, path, caller, &[], body)
    }

    fn wrong_with(&self, answer: &Answer, has_key: bool) -> Option<String> {
        let told = answer.told();
        let body = String::from_utf8_lossy(&answer.body).replace(": ", ":");
        match answer.status {
            401 if !has_key => Some(format!("{told}: pass a key with --key")),
            401 => Some(format!("{told}: the key is not accepted")),
            403 => Some(format!("{told}: the key needs the scopes read and write")),
            // As in FastAPI. Browsers follow.
            307 if OF_THE_DOCUMENT.contains(&&*self.path) => None,
            300..=399 => Some(format!(
                "{told}: a redirect, which many clients do not follow"
            )),
            _ if NO_ROUTE.contains(&body.as_str()) => {
                Some(format!("{told}: the route does not exist"))
            }
            status if status >= 500 || !self.statuses.contains(&status) => Some(told),
            _ => None,
        }
    }
}

/// One request for each operation of the document.
pub(super) fn probes(document: &Value) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let statuses = operation["responses"].as_object().into_iter().flatten();
            probes.push(Probe {
                method: method.to_uppercase(),
                path: filled(path, operation).trim_end_matches('/').to_owned(),
                // Not JSON, so the function refuses the body before any effect.
                body: operation["requestBody"].is_object().then_some("["),
                secured: operation["security"]
                    .as_array()
                    .is_some_and(|needed| !needed.is_empty()),
                statuses: statuses
                    .filter_map(|(status, _)| status.parse().ok())
                    .collect(),
            });
        }
    }
    probes.extend(OF_THE_DOCUMENT.map(|path| Probe {
        method: "GET".to_owned(),
        path: path.to_owned(),
        body: None,
        secured: false,
        statuses: [200].into(),
    }));
    probes
}

/// A path with ids that do not exist for its parameters.
fn filled(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let of_the_path = parameters.filter(|parameter| parameter["in"] == "path");
    of_the_path.fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = match parameter["schema"]["type"] == "integer" {
            true => NO_NUMBER,
            false => NO_TASK,
        };
        path.replace(&format!("{{{name}}}"), value)
    })
}
