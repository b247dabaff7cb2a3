//! Forwards requests to another server, like a proxy.

use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderValue;

use super::{Body, Request, Response};

/// The maximum number of idle connections: the number of concurrent requests.
const CONNECTIONS: usize = 128;

/// Headers that belong to a connection and are not forwarded.
const FRAMING: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// A client that forwards requests to one server.
#[derive(Debug)]
pub struct Forwarder {
    endpoint: String,
    agent: Agent,
}

impl Forwarder {
    /// Forwards to `endpoint`, such as `http://127.0.0.1:4566`, and waits a minute for an answer.
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self::with(endpoint, Duration::from_secs(60), CONNECTIONS)
    }

    /// Forwards to `endpoint`. `timeout` is of a whole request, `idle` the number of connections that are kept
    /// open for later requests.
    #[must_use]
    pub fn with(endpoint: &str, timeout: Duration, idle: usize) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .build();
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            agent: agent.into(),
        }
    }

    /// Forwards a request with its method, path, query, headers and body, and returns the answer.
    ///
    /// # Errors
    /// When the other server does not answer.
    pub fn forward(&self, request: &Request) -> Result<Response, ureq::Error> {
        let query = match request.query.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let call = ureq::http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}{}{query}", self.endpoint, request.path));
        let headers = request.headers.iter().filter(|(name, _)| is_own(name));
        let call = headers.fold(call, |call, (name, value)| call.header(name, value));
        let mut answer = match request.body.is_empty() {
            true => self.agent.run(call.body(())?),
            false => self.agent.run(call.body(&request.body[..])?),
        }?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?;
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter();
        Ok(Response {
            status: answer.status().as_u16(),
            headers: headers
                .filter(|(name, _)| is_own(name.as_str()))
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: Body::Whole(body),
        })
    }
}

fn is_own(name: &str) -> bool {
    !FRAMING.contains(&name)
}
