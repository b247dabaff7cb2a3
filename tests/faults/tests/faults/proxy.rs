//! The proxy between the functions and the AWS endpoints, which forwards calls or injects faults.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use local_stack::Result;
use local_stack::http::{Body, Forwarder, Request, Response, Server};
use serde_json::{Value, json};

use crate::call::{About, Call, Called, Conflict};
use crate::fault::{self, Fault};
use crate::observer::Observer;

/// A running proxy; dropping it stops the proxy.
pub struct Proxy {
    server: Server,
    passage: Arc<Passage>,
}

struct Passage {
    forwarder: Forwarder,
    /// The way to the functions that functions invoke.
    functions: OnceLock<Forwarder>,
    seed: u64,
    stormy: AtomicBool,
    /// Calls of which every try fails.
    doomed: Mutex<HashSet<String>>,
    observer: Observer,
}

impl Proxy {
    /// Starts a proxy in front of `endpoint`, at first without faults. For the same seed, the n-th
    /// call of an operation has the same fault.
    pub fn start(endpoint: &str, seed: u64) -> Result<Proxy> {
        let passage = Arc::new(Passage {
            forwarder: Forwarder::new(endpoint),
            functions: OnceLock::new(),
            seed,
            stormy: AtomicBool::new(false),
            doomed: Mutex::default(),
            observer: Observer::new(),
        });
        let serving = Arc::clone(&passage);
        let server = Server::start(0, move |request: &Request| serving.answer(request))?;
        Ok(Proxy { server, passage })
    }

    /// The address for AWS calls.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Sends invocations of functions to this address.
    pub fn invoke_at(&self, address: &str) {
        let _ = self.passage.functions.set(Forwarder::new(address));
    }

    /// The observations of the proxy.
    pub fn observer(&self) -> &Observer {
        &self.passage.observer
    }

    /// Turns faults on or off.
    pub fn set_stormy(&self, stormy: bool) {
        self.passage.stormy.store(stormy, Ordering::SeqCst);
    }
}

impl Passage {
    fn answer(&self, request: &Request) -> Response {
        let call = Call::read(request);
        let number = self.observer.received(&call);
        let Some(fault) = self.decide(&call, number) else {
            return self.pass(request, &call);
        };
        self.observer.injected(&call, fault);
        self.inject(fault, request, &call, number)
    }

    fn inject(&self, fault: Fault, request: &Request, call: &Call, number: u64) -> Response {
        match fault {
            Fault::Throttled => throttled(call),
            Fault::Conflict => conflict(call),
            Fault::Failed => failed(500, "InternalServerError"),
            Fault::Unavailable => failed(503, "ServiceUnavailable"),
            Fault::Reset => nothing(),
            Fault::LostAnswer => {
                self.pass(request, call);
                nothing()
            }
            Fault::HalfAnswer => Response {
                body: Body::Broken,
                ..self.pass(request, call)
            },
            Fault::Silence => {
                thread::sleep(fault::TOO_LONG);
                nothing()
            }
            Fault::LateAnswer => {
                let answer = self.pass(request, call);
                thread::sleep(fault::TOO_LONG);
                answer
            }
            Fault::Delayed => {
                let answer = self.pass(request, call);
                thread::sleep(fault::delay(self.seed, &call.operation, number));
                answer
            }
            Fault::Repeated => {
                let first = self.pass(request, call);
                self.pass(request, call);
                first
            }
            Fault::RepeatedLast => {
                self.pass(request, call);
                self.pass(request, call)
            }
        }
    }

    fn decide(&self, call: &Call, number: u64) -> Option<Fault> {
        if !self.stormy.load(Ordering::SeqCst) {
            return None;
        }
        let (seed, operation) = (self.seed, call.operation.as_str());
        let mut doomed = self.doomed.lock().unwrap_or_else(PoisonError::into_inner);
        if call.is_first && fault::is_doomed(seed, operation, number) {
            doomed.insert(call.invocation.clone());
        }
        let is_doomed = doomed.contains(&call.invocation);
        match fault::decide(seed, operation, number, is_doomed) {
            Some(Fault::Conflict) if call.conflict().is_none() => Some(Fault::Throttled),
            // A repeated call stands for a retry, and nobody retries a call that adds to numbers.
            Some(Fault::Repeated | Fault::RepeatedLast) if matches!(call.about, About::Numbers) => {
                Some(Fault::Delayed)
            }
            decided => decided,
        }
    }

    /// Forwards a call, and records the endpoints' answer.
    fn pass(&self, request: &Request, call: &Call) -> Response {
        let forwarder = match call.service {
            Called::Lambda => self.functions.get().unwrap_or(&self.forwarder),
            _ => &self.forwarder,
        };
        match forwarder.forward(request) {
            Ok(answer) => {
                self.observer.answered(call, answer.status);
                answer
            }
            Err(error) => {
                println!("the endpoints did not answer {}: {error}", call.operation);
                self.observer.answered(call, 0);
                nothing()
            }
        }
    }
}

fn nothing() -> Response {
    Response {
        status: 200,
        headers: Vec::new(),
        body: Body::Nothing,
    }
}

/// A throttling error of the called service.
fn throttled(call: &Call) -> Response {
    match call.service {
        Called::DynamoDb => failed(400, "ProvisionedThroughputExceededException"),
        Called::Sqs => failed(400, "ThrottlingException"),
        Called::Scheduler => failed(429, "ThrottlingException"),
        Called::Lambda => failed(429, "TooManyRequestsException"),
    }
}

/// A refusal because a transaction is changing a row of the call.
fn conflict(call: &Call) -> Response {
    if call.conflict() == Some(Conflict::OfWrite) {
        return failed(400, "TransactionConflictException");
    }
    let reasons = json!([{"Code": "TransactionConflict"}, {"Code": "None"}]);
    let body = json!({"CancellationReasons": reasons});
    refusal(400, "TransactionCanceledException", body)
}

fn failed(status: u16, kind: &str) -> Response {
    refusal(status, kind, json!({}))
}

/// An error of this kind, with these members beside its message.
fn refusal(status: u16, kind: &str, mut body: Value) -> Response {
    body["__type"] = kind.into();
    body["message"] = "an injected fault".into();
    let mut answer = Response::new(status, "application/x-amz-json-1.0", body.to_string());
    let kind = ("x-amzn-errortype".to_owned(), kind.to_owned());
    answer.headers.push(kind);
    answer
}
