//! Requests to the service.

use std::time::Duration;

use local_stack::{Context, Error, Result};
use serde_json::Value;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use ureq::http::{Request, Uri};

use super::Options;

/// API Gateway answers after 30 seconds at the latest; megabytes take their time to be sent.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes of an answer that are read: more than API Gateway hands on.
const MOST: u64 = 20 * 1024 * 1024;

/// How much of an answer is shown.
const SHOWN: usize = 200;

/// A key that nobody has.
const WRONG_KEY: &str = "as_0000000000000000_smoke";

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Who has the key, if there is one.
    Known,
    /// Somebody without a key.
    Nobody,
    /// Somebody with a key that was never made.
    Wrong,
}

/// A client of one service. It follows no redirects.
pub struct Client {
    agent: Agent,
    /// Without a slash at the end.
    base: String,
    key: Option<String>,
}

/// An answer, or why there is none.
pub type Asked = std::result::Result<Answer, String>;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The method and the path that it answers.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// When the address is none of a service, or certificates can't be read.
    pub fn new(options: &Options) -> Result<Client> {
        let url: Uri = options.url.parse().context("--url")?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.query().is_some() {
            return Err(Error::new(
                "--url: it is to begin with https:// or http://, and to end with a path",
            ));
        }
        let host = url.host().unwrap_or_default();
        let is_local = host == "localhost" || host.starts_with("127.");
        let agent = Agent::config_builder()
            .http_status_as_error(false)
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

    /// Whether the service is to ask for a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The path in front of the service's own.
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

    /// Makes a request; a body is sent as JSON.
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

    /// The key of a caller. Each mode of the service takes keys in `Authorization`.
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
            false => Err(format!("{}, and not {status}", self.told())),
        }
    }

    pub fn json(&self) -> std::result::Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| format!("{}: no JSON", self.told()))
    }

    /// A text in the JSON of the answer.
    pub fn text(&self, name: &str) -> std::result::Result<String, String> {
        let text = self.json()?[name].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("{}: without {name}", self.told()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer in one line.
    pub fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        // Whatever a server sends, the terminal is given text alone.
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

/// An error with its causes, without those that only repeat.
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
