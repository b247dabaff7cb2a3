//! What stands between the functions and the AWS endpoints: it passes calls on, or does not.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use local_stack::Result;
use local_stack::http::{Body, Request, Response, Server};
use serde_json::json;
use ureq::Agent;

use crate::call::Call;
use crate::fault::{self, Fault};
use crate::observer::Observer;

/// Connections to the endpoints that are kept: as many as there may be calls at once.
const CONNECTIONS: usize = 128;

/// A running proxy; dropping it ends it.
pub struct Proxy {
    server: Server,
    passage: Arc<Passage>,
}

struct Passage {
    endpoint: String,
    agent: Agent,
    seed: u64,
    stormy: AtomicBool,
    /// Calls whose every try fails.
    doomed: Mutex<HashSet<String>>,
    observer: Observer,
}

impl Proxy {
    /// Passes calls on to `endpoint`, at first all of them. The same seed gives the n-th call of an
    /// operation the same fate.
    pub fn start(endpoint: String, seed: u64) -> Result<Proxy> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections(CONNECTIONS)
            .max_idle_connections_per_host(CONNECTIONS)
            .build();
        let passage = Arc::new(Passage {
            endpoint,
            agent: agent.into(),
            seed,
            stormy: AtomicBool::new(false),
            doomed: Mutex::default(),
            observer: Observer::new(),
        });
        let serving = Arc::clone(&passage);
        let server = Server::start(0, move |request: &Request| serving.answer(request))?;
        Ok(Proxy { server, passage })
    }

    /// Where calls go.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// What it saw.
    pub fn observer(&self) -> &Observer {
        &self.passage.observer
    }

    /// Faults begin or end.
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
        match fault {
            Fault::Throttled => throttled(&call),
            Fault::Failed => failed(500, "InternalServerError"),
            Fault::Unavailable => failed(503, "ServiceUnavailable"),
            Fault::Reset => nothing(),
            Fault::LostAnswer => {
                self.pass(request, &call);
                nothing()
            }
            Fault::HalfAnswer => {
                let answer = self.pass(request, &call);
                Response {
                    body: Body::Broken,
                    ..answer
                }
            }
            Fault::Silence => {
                thread::sleep(fault::TOO_LONG);
                nothing()
            }
            Fault::LateAnswer => {
                let answer = self.pass(request, &call);
                thread::sleep(fault::TOO_LONG);
                answer
            }
            Fault::Delayed => {
                let answer = self.pass(request, &call);
                thread::sleep(fault::delay(self.seed, &call.operation, number));
                answer
            }
            Fault::Repeated => {
                let first = self.pass(request, &call);
                self.pass(request, &call);
                first
            }
            Fault::RepeatedLast => {
                self.pass(request, &call);
                self.pass(request, &call)
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
        fault::decide(seed, operation, number, is_doomed)
    }

    /// Passes a call on, and notes what the endpoints say.
    fn pass(&self, request: &Request, call: &Call) -> Response {
        match self.forward(request) {
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

    fn forward(&self, request: &Request) -> std::result::Result<Response, ureq::Error> {
        let url = format!("{}{}", self.endpoint, request.path);
        let own = request.headers.iter().filter(|(name, _)| !is_framing(name));
        let post = own.fold(self.agent.post(url), |post, (name, value)| {
            post.header(name, value)
        });
        let mut answer = post.send(&request.body[..])?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?;
        let text = |value: &ureq::http::HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers = answer.headers().iter();
        let headers = headers
            .filter(|(name, _)| !is_framing(name.as_str()))
            .filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        Ok(Response {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body: Body::Whole(body),
        })
    }
}

/// Headers that belong to one connection, and not to the call.
fn is_framing(name: &str) -> bool {
    let framing = ["connection", "content-length", "host", "transfer-encoding"];
    framing.contains(&name)
}

fn nothing() -> Response {
    Response {
        status: 200,
        headers: Vec::new(),
        body: Body::Nothing,
    }
}

/// A refusal in the words of the service that was called.
fn throttled(call: &Call) -> Response {
    match call.is_table {
        true => failed(400, "ProvisionedThroughputExceededException"),
        false => failed(400, "ThrottlingException"),
    }
}

fn failed(status: u16, kind: &str) -> Response {
    let body = json!({"__type": kind, "message": "a fault that was put in"});
    let mut answer = Response::new(status, "application/x-amz-json-1.0", body.to_string());
    let kind = ("x-amzn-errortype".to_owned(), kind.to_owned());
    answer.headers.push(kind);
    answer
}
