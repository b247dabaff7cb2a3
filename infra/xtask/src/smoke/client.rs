//! Requests to the service.

use std::time::Duration;

use local_stack::{Context, Error, Result};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::Options;

/// API Gateway answers after 30 seconds at the latest; megabytes take their time to be sent.
const TIMEOUT: Duration = Duration::from_secs(60);

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
    runtime: Runtime,
    client: reqwest::Client,
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
        let url: Url = options.url.parse().context("--url")?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
            return Err(Error::new(
                "--url: it is to begin with https:// or http://, and to end with a path",
            ));
        }
        // Fails where there is one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_here = url
            .host_str()
            .is_some_and(|host| host == "localhost" || host.starts_with("127."));
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("async-service-smoke/", env!("CARGO_PKG_VERSION")));
        let client = if is_here { client.no_proxy() } else { client };
        Ok(Client {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start a client")?,
            client: client.build().context("cannot make a client")?,
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
        let url: Option<Url> = self.base.parse().ok();
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
        let method: Method = method.parse().map_err(|cause| no_answer(&cause))?;
        let call = self.client.request(method, format!("{}{path}", self.base));
        let call = self.prove(call, caller);
        let call = headers
            .iter()
            .fold(call, |call, (name, value)| call.header(*name, *value));
        let call = match body {
            Some(body) => call.header(CONTENT_TYPE, "application/json").body(body),
            None => call,
        };
        let answered = self.runtime.block_on(async {
            let answer = call.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>((status, headers, body))
        });
        let (status, headers, body) = answered.map_err(|cause| no_answer(&cause))?;
        Ok(Answer {
            request,
            status,
            headers,
            body,
        })
    }

    /// Adds the key. Each mode of the service takes this header.
    fn prove(&self, call: RequestBuilder, caller: Caller) -> RequestBuilder {
        let key = match caller {
            Caller::Known => self.key.as_deref(),
            Caller::Nobody => None,
            Caller::Wrong => Some(WRONG_KEY),
        };
        match key {
            Some(key) => call.header(AUTHORIZATION, format!("Bearer {key}")),
            None => call,
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
