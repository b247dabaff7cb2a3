//! The service under test, and a client of it.

use std::time::{Duration, Instant};

use local_stack::deploy::{self, Deployment};
use local_stack::gateway::{Gateway, Slash};
use local_stack::keys::{self, Place};
use local_stack::{Options, Stack, project};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, Response};

use crate::calls::Recorder;
use crate::remote;

/// The lease of a task. A killed worker's task is run again after this time.
pub const LEASE: Duration = Duration::from_secs(3);
/// How long a copy of an upstream's user is served.
pub const FRESH: Duration = Duration::from_secs(2);
/// How long a revoked key may still be accepted.
pub const KEY_CACHE: Duration = Duration::from_secs(2);
/// The functions' time-out for the users' upstream, in milliseconds.
const UPSTREAM_TIMEOUT_MS: &str = "700";
/// The longest wait of a test. Only a broken service needs all of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service.
pub struct Service {
    runs: Runs,
    agent: Agent,
    /// A key with all scopes. Every request has it unless a test says otherwise.
    key: Option<String>,
}

/// The two ways to run the service on one machine.
enum Runs {
    /// Under the watcher, behind the local stack's own gateway, with recorded calls to AWS.
    Watched(Box<Stack>, Recorder),
    /// Deployed into the local AWS endpoints, which run the API and the functions.
    Deployed(Box<Deployment>),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The URL of the next page, from the header `link`.
    pub fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let url = link
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix(">; rel=\"next\""));
        Some(url.unwrap_or_else(|| panic!("{link}")).to_owned())
    }

    /// Asserts the status and the whole body.
    #[track_caller]
    pub fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

impl Service {
    /// Starts the local stack without authentication.
    pub fn start() -> local_stack::Result<Service> {
        Service::start_as("none")
    }

    /// Starts the local stack with API keys.
    pub fn start_with_keys() -> local_stack::Result<Service> {
        Service::start_as("api-key")
    }

    fn start_as(auth_mode: &str) -> local_stack::Result<Service> {
        let aws_port = project::claim_port(0, "the AWS endpoints", "try again")?;
        let recorder = Recorder::start(&format!("http://127.0.0.1:{aws_port}"))?;
        let mut environment = variables([
            ("AWS_ENDPOINT_URL", recorder.url()),
            ("LEASE_SECONDS", LEASE.as_secs().to_string()),
            ("USERS_FRESH_SECONDS", FRESH.as_secs().to_string()),
            ("USERS_UPSTREAM_TIMEOUT_MS", UPSTREAM_TIMEOUT_MS.to_owned()),
            // Lambda sets this variable because the template asks for logs in JSON.
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
            // In the template, the value is the stack's name.
            ("METRICS_NAMESPACE", "e2e".to_owned()),
        ]);
        environment.extend(variables(remote::variables()));
        let stack = Stack::start(&Options {
            aws_port,
            slash: slash()?,
            environment,
            allow_hosts: vec![remote::url_body()],
            auth_mode: auth_mode.to_owned(),
            key_cache_seconds: KEY_CACHE.as_secs(),
            ..Options::default()
        })?;
        let key = stack.key().map(str::to_owned);
        let runs = Runs::Watched(Box::new(stack), recorder);
        Ok(Service::new(runs, key))
    }

    /// Deploys the template with the functions of a real deployment.
    pub fn deploy() -> local_stack::Result<Service> {
        let deployment = Deployment::start(&deploy::Options {
            release: true,
            slash: slash()?,
            parameters: variables([
                ("LeaseSeconds", LEASE.as_secs().to_string()),
                ("UsersFreshSeconds", FRESH.as_secs().to_string()),
                ("UsersUpstreamTimeoutMs", UPSTREAM_TIMEOUT_MS.to_owned()),
                ("KeyCacheSeconds", KEY_CACHE.as_secs().to_string()),
            ]),
            ..deploy::Options::default()
        })?;
        let place = Place::Local(deployment.aws_endpoint());
        let key = keys::create(&place, "tester", "read,write,admin", &[])?;
        Ok(Service::new(
            Runs::Deployed(Box::new(deployment)),
            Some(key),
        ))
    }

    /// Deploys again with a changed parameter that changes a variable of all functions.
    pub fn deploy_again(&self, parameter: &str, value: &str) -> local_stack::Result<()> {
        let Runs::Deployed(deployment) = &self.runs else {
            panic!("the service is not deployed");
        };
        deploy::update(&deploy::Options {
            aws_port: deployment.port(),
            release: true,
            slash: slash()?,
            parameters: variables([(parameter, value.to_owned())]),
            ..deploy::Options::default()
        })
        .map(drop)
    }

    fn new(runs: Runs, key: Option<String>) -> Service {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .build();
        Service {
            runs,
            agent: agent.into(),
            key,
        }
    }

    /// The recorder of the functions' calls to AWS.
    pub fn recorder(&self) -> &Recorder {
        match &self.runs {
            Runs::Watched(_, recorder) => recorder,
            Runs::Deployed(_) => panic!("a deployment's calls are not recorded"),
        }
    }

    fn upstream_url(&self) -> String {
        match &self.runs {
            Runs::Watched(stack, _) => stack.upstream_url(),
            Runs::Deployed(deployment) => deployment.upstream_url(),
        }
    }

    pub fn aws_endpoint(&self) -> String {
        match &self.runs {
            Runs::Watched(stack, _) => stack.aws_endpoint(),
            Runs::Deployed(deployment) => deployment.aws_endpoint(),
        }
    }

    /// The address of the service. For a deployed service, this is the form of the address that
    /// keeps the slash of `/items/` and that resolves on every machine.
    pub fn url(&self) -> String {
        match &self.runs {
            Runs::Watched(stack, _) => stack.url(),
            Runs::Deployed(deployment) => format!("{}/$default", deployment.url_by_address()),
        }
    }

    /// Resets the upstream's faults and counters.
    pub fn calm(&self) {
        self.control(&json!({"users": "ok", "delay_ms": 0}));
        // A delayed request is still counted as in progress.
        self.eventually("the upstream is idle", || {
            (self.stats()["active"] == 0).then_some(())
        });
        self.ask(Request::delete(format!("{}/stats", self.upstream_url())).body(vec![]));
    }

    pub fn control(&self, wanted: &Value) {
        let url = format!("{}/control", self.upstream_url());
        let answer = self.ask(Request::post(url).body(wanted.to_string().into_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The upstream's counters since the start of the test.
    pub fn stats(&self) -> Value {
        let url = format!("{}/stats", self.upstream_url());
        self.ask(Request::get(url).body(vec![])).json()
    }

    /// How many requests the upstream had for a path.
    pub fn asked(&self, path: &str) -> u64 {
        self.stats()["paths"][path].as_u64().unwrap_or(0)
    }

    pub fn upstream(&self, path: &str) -> String {
        format!("{}{path}", self.upstream_url())
    }

    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        match &self.runs {
            Runs::Watched(stack, _) => stack.pids_of(function),
            Runs::Deployed(deployment) => deployment.pids_of(function),
        }
    }

    /// All log lines of the functions, each with the name of its function or log stream in front.
    pub fn logs(&self) -> String {
        match &self.runs {
            Runs::Watched(stack, _) => stack.logs(),
            Runs::Deployed(deployment) => deployment.logs().expect("logs"),
        }
    }

    pub fn last_lines(&self, count: usize) -> String {
        let logs = self.logs();
        let lines: Vec<&str> = logs.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.method("GET", path, None, b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.method("DELETE", path, None, b"")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.method("POST", path, Some("application/json"), body.as_bytes())
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.method("PUT", path, Some("application/json"), body.as_bytes())
    }

    /// Posts JSON with additional headers.
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = self.request(path).method("POST");
        let request = request.header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        self.ask(request.body(body.as_bytes().to_vec()))
    }

    pub fn method(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let mut request = self.request(path).method(method);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        self.ask(request.body(body.to_vec()))
    }

    /// A request with only these headers, without the key of other requests.
    pub fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = self.request_to(path).method(method);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        self.ask(request.body(body.as_bytes().to_vec()))
    }

    /// A second gateway in front of the local stack's functions, which caches the authorizer's
    /// answers.
    pub fn gateway_that_keeps_answers(&self) -> Gateway {
        let Runs::Watched(stack, _) = &self.runs else {
            panic!("only the local stack can start another gateway");
        };
        let options = Options {
            slash: slash().expect("a way"),
            auth_mode: "api-key-cached".to_owned(),
            key_cache_seconds: KEY_CACHE.as_secs(),
            ..Options::default()
        };
        stack.another_gateway(&options).expect("a gateway")
    }

    /// The key of requests, if the service requires keys.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Creates a key.
    pub fn new_key(&self, name: &str, scopes: &str) -> String {
        keys::create(&self.place(), name, scopes, &[]).expect("a key")
    }

    /// Runs `cargo xtask keys` and returns its output.
    pub fn keys(&self, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        keys::output(&self.place(), &words).expect("the program for keys")
    }

    fn place(&self) -> Place {
        Place::Local(self.aws_endpoint())
    }

    fn request(&self, path: &str) -> ureq::http::request::Builder {
        let request = self.request_to(path);
        // Requests to the upstream have no key.
        match &self.key {
            Some(key) if !path.starts_with(&self.upstream_url()) => {
                request.header("x-api-key", key)
            }
            _ => request,
        }
    }

    /// A request to the service, or to another server if `path` is a whole URL.
    fn request_to(&self, path: &str) -> ureq::http::request::Builder {
        let own = self.url();
        // A deployed service does not know the prefix of its paths, so its links do not have the
        // prefix.
        let path = match &self.runs {
            Runs::Watched(..) => path.strip_prefix(&own).unwrap_or(path),
            Runs::Deployed(_) => path.strip_prefix(&self.aws_endpoint()).unwrap_or(path),
        };
        if path.starts_with("http:") {
            return Request::builder().uri(path);
        }
        Request::builder().uri(format!("{own}{path}"))
    }

    pub fn ask(&self, request: ureq::http::Result<Request<Vec<u8>>>) -> Answer {
        let response = self
            .agent
            .run(request.expect("a request"))
            .expect("an answer");
        let (parts, mut body) = Response::into_parts(response);
        let body = body.read_to_string().expect("a text");
        Answer {
            status: parts.status.as_u16(),
            body,
            headers: parts.headers,
        }
    }

    /// Submits data to `/process/` and returns the task's id.
    pub fn process(&self, data: &str) -> String {
        let answer = self.post("/process/", data);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["task_id"]
            .as_str()
            .expect("a task id")
            .to_owned()
    }

    /// Waits for a task's result.
    pub fn result(&self, task_id: &str) -> Value {
        self.eventually(&format!("task {task_id} ends"), || {
            let result = self.get(&format!("/result/{task_id}"));
            let ended = result.status == 200 && result.json()["status"] != "pending";
            ended.then(|| result.json())
        })
    }

    /// Repeats `attempt` until it returns a value.
    #[track_caller]
    pub fn eventually<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = attempt() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "timed out: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How the gateway handles trailing slashes: `E2E_SLASH`.
pub fn slash() -> local_stack::Result<Slash> {
    match std::env::var("E2E_SLASH") {
        Ok(way) => way
            .parse()
            .map_err(|error| local_stack::Error::new(format!("E2E_SLASH: {error}"))),
        Err(_) => Ok(Slash::default()),
    }
}

fn variables<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}
