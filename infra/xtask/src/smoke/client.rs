//! A client of the service.

use std::time::Duration;

use local_stack::{Context, Error, Result};
use serde_json::Value;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use ureq::http::{Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::Options;

/// The time limit of a request: API Gateway's 30 seconds, and the time to send some megabytes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum size of an answer's body, above API Gateway's limit.
const MOST: u64 = 20 * 1024 * 1024;

/// How many characters of an answer are printed.
const SHOWN: usize = 200;

/// A key that does not exist.
const WRONG_KEY: &str = "as_0000000000000000_smoke";

/// The caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The caller with the key of the options, if there is one.
    Known,
    /// A caller without a key.
    Nobody,
    /// A caller with a key that does not exist.
    Wrong,
}

/// A client of one service. The client follows no redirects.
pub struct Client {
    agent: Agent,
    /// The address without a trailing slash.
    base: String,
    key: Option<String>,
}

/// An answer, or the reason why there is none.
pub type Asked = std::result::Result<Answer, String>;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The method and the path of the request.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// When the address is invalid, or certificates can't be read.
    pub fn new(options: &Options) -> Result<Client> {
        let url: Uri = options.url.parse().context("--url")?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.query().is_some() {
            return Err(Error::new(
                "--url takes an address with https:// or http:// and without a query",
            ));
        }
        let host = url.host().unwrap_or_default();
        let is_local = host == "localhost" || host.starts_with("127.");
        // As a browser on this machine does: a company's own authority may stand behind a domain.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls.build())
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("async-service-smoke/", env!("CARGO_PKG_VERSION")));
        let agent = if is_local { agent.proxy(None) } else { agent };
        Ok(Client {
            agent: agent.build().new_agent(),
            base: options.url.trim_end_matches('/').to_owned(),
            key: options.key.clone(),
        })
    }

    /// Whether the service should require a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The prefix of the service's paths.
    pub fn prefix(&self) -> String {
        let url: Option<Uri> = self.base.parse().ok();
        url.map_or_else(String::new, |url| {
            url.path().trim_end_matches('/').to_owned()
        })
    }

    pub fn get(&self, path: &str, caller: Caller) -> Asked {
        self.send("GET", path, caller, &[], None)
    }

    pub fn delete(&self, path: &str) -> Asked {
        self.send("DELETE", path, Caller::Known, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Asked {
        self.send("POST", path, Caller::Known, &[], Some(body.to_string()))
    }

    pub fn put(&self, path: &str, body: &Value) -> Asked {
        self.send("PUT", path, Caller::Known, &[], Some(body.to_string()))
    }

    /// Sends a request; the content type of a body is JSON.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        caller: Caller,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Asked {
        let request = format!("{method} {path}");
        let no_answer =
            |cause: &dyn std::error::Error| format!("{request}: no answer: {}", chain(cause));
        let mut call = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        if let Some(key) = self.key_of(caller) {
            call = call.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let answered = match body {
            Some(body) => {
                let call = call.header(CONTENT_TYPE, "application/json").body(body);
                self.agent.run(call.map_err(|cause| no_answer(&cause))?)
            }
            None => {
                let call = call.body(());
                self.agent.run(call.map_err(|cause| no_answer(&cause))?)
            }
        };
        let mut answer = answered.map_err(|cause| no_answer(&cause))?;
        let body = answer.body_mut().with_config().limit(MOST).read_to_vec();
        Ok(Answer {
            body: body.map_err(|cause| no_answer(&cause))?,
            request,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
        })
    }

    /// The key of a caller. Every `AuthMode` accepts keys in `Authorization`.
    fn key_of(&self, caller: Caller) -> Option<&str> {
        match caller {
            Caller::Known => self.key.as_deref(),
            Caller::Nobody => None,
            Caller::Wrong => Some(WRONG_KEY),
        }
    }
}

impl Answer {
    /// The answer if it has this status.
    pub fn expect(self, status: u16) -> Asked {
        match self.status == status {
            true => Ok(self),
            false => Err(format!("{}, expected {status}", self.told())),
        }
    }

    pub fn json(&self) -> std::result::Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| format!("{}: not JSON", self.told()))
    }

    /// A string in the JSON of the answer.
    pub fn text(&self, name: &str) -> std::result::Result<String, String> {
        let text = self.json()?[name].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("{}: {name} is missing", self.told()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer in one line.
    pub fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        // The terminal gets no control characters of an answer.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = body.chars().take(SHOWN).map(plain).collect();
        let more = if shown.len() < body.len() { " …" } else { "" };
        let to = self.header(LOCATION.as_str());
        let to = to.map_or_else(String::new, |to| format!(" to {to}"));
        format!("{}: {}{to} {}{more}", self.request, self.status, shown)
            .trim_end()
            .to_owned()
    }
}

/// An error with its causes, without causes that repeat an earlier text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let mut told: Vec<String> = Vec::new();
    for cause in causes.map(ToString::to_string) {
        if told.iter().all(|before| !before.contains(&cause)) {
            told.push(cause);
        }
    }
    told.join(": ")
}
