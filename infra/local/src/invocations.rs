//! Lambda's API for functions that invoke functions.
//!
//! The functions of the template run under `cargo lambda watch`, all others inside of the AWS endpoints: bodies
//! of tasks in Python, for example. A caller knows one address for both, as on AWS.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Result;
use crate::http::{Forwarder, Request, Response, Server};
use crate::template::Template;

/// The longest invocation: Lambda's maximum time-out, and some seconds for a process that starts.
const PATIENCE: Duration = Duration::from_secs(930);

/// The idle connections to the AWS endpoints.
const IDLE: usize = 32;

/// The most invocations of one function inside of the AWS endpoints at the same time. Each has a process of its
/// own, and a machine has fewer of them than Lambda.
const AT_ONCE: usize = 12;

/// How long an invocation waits for its turn before it is throttled.
const QUEUED: Duration = Duration::from_secs(2);

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
        let turns = Turns::default();
        let server = Server::start(port, move |request: &Request| {
            let name = function(&request.path);
            let sent = if ours.contains(&name) {
                watcher.forward(request)
            } else if turns.take(&name) {
                let sent = endpoints.forward(request);
                turns.give_back(&name);
                sent
            } else {
                return throttled();
            };
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

/// The invocations under way, by function.
#[derive(Debug, Default)]
struct Turns {
    under_way: Mutex<HashMap<String, usize>>,
    ended: Condvar,
}

impl Turns {
    /// Waits until one more invocation of the function may begin; `false` when none may in time.
    fn take(&self, function: &str) -> bool {
        let under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_full = |all: &mut HashMap<String, usize>| all.get(function) >= Some(&AT_ONCE);
        let waited = self.ended.wait_timeout_while(under_way, QUEUED, is_full);
        let (mut under_way, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return false;
        }
        *under_way.entry(function.to_owned()).or_default() += 1;
        true
    }

    fn give_back(&self, function: &str) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(function) {
            *count -= 1;
        }
        self.ended.notify_all();
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

/// Lambda's answer when the function has no capacity.
fn throttled() -> Response {
    let body = json!({"Type": "User", "Message": "Rate Exceeded", "Reason": "ConcurrentInvocationLimitExceeded"});
    refusal(429, "TooManyRequestsException", &body)
}

/// Lambda's answer when Lambda itself fails.
fn unavailable(cause: &str) -> Response {
    refusal(
        500,
        "ServiceException",
        &json!({"Type": "Service", "Message": cause}),
    )
}

fn refusal(status: u16, kind: &str, body: &Value) -> Response {
    let mut response = Response::json(status, body);
    response
        .headers
        .push(("x-amzn-errortype".to_owned(), kind.to_owned()));
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

    #[test]
    fn a_function_has_so_many_turns_at_once() {
        let turns = Turns::default();
        assert!((0..AT_ONCE).all(|_| turns.take("bodies")) && turns.take("other"));
        std::thread::scope(|scope| {
            let next = scope.spawn(|| turns.take("bodies"));
            turns.give_back("bodies");
            assert!(next.join().unwrap());
        });
        assert!(!turns.take("bodies"));
    }
}
