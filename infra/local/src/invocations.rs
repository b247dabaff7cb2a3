//! Lambda's API for functions that invoke functions.
//!
//! The functions of the template run under `cargo lambda watch`, all others inside of the AWS endpoints: bodies
//! of tasks in Python, for example. A caller knows one address for both, as on AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::error::Result;
use crate::http::{Forwarder, Request, Response, Server};
use crate::template::Template;

/// The longest invocation: Lambda's maximum time-out, and some seconds for a process that starts.
const PATIENCE: Duration = Duration::from_secs(930);

/// The idle connections to the AWS endpoints.
const IDLE: usize = 32;

/// A running API; dropping it stops the server.
#[derive(Debug)]
pub struct Invocations {
    server: Server,
}

impl Invocations {
    /// Serves on `port`. Invocations of the template's functions go to `functions_url`, the address of the
    /// watcher, all others to `aws_url`.
    ///
    /// # Errors
    /// When the server cannot listen on the port.
    pub fn start(
        port: u16,
        template: &Template,
        functions_url: &str,
        aws_url: &str,
    ) -> Result<Self> {
        let ours: BTreeSet<String> = template
            .binaries()
            .values()
            .map(ToString::to_string)
            .collect();
        // As in the gateway: reused connections to the watcher are slow.
        let watcher = Forwarder::with(functions_url, PATIENCE, 0);
        let endpoints = Forwarder::with(aws_url, PATIENCE, IDLE);
        let server = Server::start(port, move |request: &Request| {
            let forwarder = match ours.contains(&function(&request.path)) {
                true => &watcher,
                false => &endpoints,
            };
            let sent = forwarder.forward(request);
            sent.unwrap_or_else(|cause| unavailable(&cause.to_string()))
        })?;
        Ok(Self { server })
    }

    /// The port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

/// The name of the invoked function, which the path has as a name or as an ARN, with or without a qualifier.
fn function(path: &str) -> String {
    let given = path.split('/').nth(3).unwrap_or_default();
    let given = percent_encoding::percent_decode_str(given).decode_utf8_lossy();
    let parts: Vec<&str> = given.split(':').collect();
    let name = match parts[..] {
        ["arn", _, "lambda", _, _, "function", name, ..] | [name, ..] => name,
        [] => "",
    };
    name.to_owned()
}

/// Lambda's answer when Lambda itself fails.
fn unavailable(cause: &str) -> Response {
    let mut response = Response::json(500, &json!({"Type": "Service", "Message": cause}));
    let kind = ("x-amzn-errortype".to_owned(), "ServiceException".to_owned());
    response.headers.push(kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_reads_names_arns_and_qualifiers() {
        let name = |given: &str| function(&format!("/2015-03-31/functions/{given}/invocations"));
        assert_eq!(name("bodies"), "bodies");
        assert_eq!(name("bodies:live"), "bodies");
        let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Abodies";
        assert_eq!(name(arn), "bodies");
        assert_eq!(name(&format!("{arn}%3Alive")), "bodies");
        assert_eq!(function("/"), "");
    }
}
