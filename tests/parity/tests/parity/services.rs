//! The two services: this service on the local stack, and the FastAPI application `app.py`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use local_stack::process::{self, Log, Process};
use local_stack::{Options, Result, Stack, functions, project};

use crate::wire::{Answer, Client, HOST, Request};

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The compared parts of an answer. Issued ids are replaced by names that both services share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub allow: Option<String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// A request and the answers of both services.
#[derive(Debug)]
pub struct Exchange {
    pub request: Request,
    pub ours: Seen,
    pub theirs: Seen,
    /// Whether FastAPI redirected, this service answered directly, and the test followed the redirect.
    pub followed: bool,
}

/// Both running services.
pub struct Services {
    ours: Side,
    theirs: Side,
    stack: Stack,
    _fastapi: Process,
}

/// A service, and the ids that the service has issued.
struct Side {
    client: Client,
    /// Each id with its number in the order of issue, which is the same for both services.
    ids: HashMap<String, usize>,
    item: Option<String>,
    user: Option<String>,
    task: Option<String>,
}

impl Services {
    pub fn start(python: &Path) -> Result<Services> {
        let stack = Stack::start(&Options {
            // Without an upstream: the upstream's users do not exist in FastAPI.
            environment: vec![("USERS_UPSTREAM_URL".to_owned(), String::new())],
            ..Options::default()
        })?;
        let port = project::claim_port(0, "FastAPI", "try again")?;
        let scratch = project::target().join("parity");
        std::fs::create_dir_all(&scratch)
            .map_err(|error| local_stack::Error::new(error.to_string()))?;
        let log = Log::create(&scratch.join("fastapi.log"), false)?;
        let fastapi = Process::start(
            "FastAPI",
            serve(&python.with_file_name("uvicorn"), port)?,
            &log,
            TIMEOUT,
        )?;
        let our_port = stack
            .url()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let mut services = Services {
            ours: Side::new(our_port.expect("a port")),
            theirs: Side::new(port),
            stack,
            _fastapi: fastapi,
        };
        services.wait_for_fastapi();
        Ok(services)
    }

    fn wait_for_fastapi(&mut self) {
        let started = Instant::now();
        while self.theirs.client.ask(&Request::new("GET", "/")).is_err() {
            assert!(started.elapsed() < TIMEOUT, "FastAPI does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn upstream_url(&self) -> String {
        self.stack.upstream_url()
    }

    /// Sends a request to both services at once.
    pub fn ask(&mut self, request: &Request) -> Exchange {
        let (ours, theirs) = std::thread::scope(|scope| {
            let ours = scope.spawn(|| self.ours.ask(request));
            let theirs = self.theirs.ask(request);
            (ours.join().expect("an answer"), theirs)
        });
        let followed = theirs.status == 307 && ours.status != 307;
        let theirs = match theirs.header("location").filter(|_| followed) {
            Some(location) => self.theirs.ask(&redirected(request, location)),
            None => theirs,
        };
        self.remember(request, &ours, &theirs);
        Exchange {
            request: request.clone(),
            ours: self.ours.seen(ours),
            theirs: self.theirs.seen(theirs),
            followed,
        }
    }

    /// As [`Services::ask`], after the task has ended in this service.
    pub fn ask_when_ended(&mut self, request: &Request) -> Exchange {
        let started = Instant::now();
        while self.ours.ask(request).body == br#"{"status":"pending"}"# {
            assert!(started.elapsed() < TIMEOUT, "the task does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.ask(request)
    }

    /// Remembers the issued ids, if both services issued an id.
    fn remember(&mut self, request: &Request, ours: &Answer, theirs: &Answer) {
        let (Some(ours), Some(theirs)) = (issued(ours), issued(theirs)) else {
            return;
        };
        self.ours.issued(request, ours);
        self.theirs.issued(request, theirs);
    }
}

/// Runs the application on a loopback port.
fn serve(uvicorn: &Path, port: u16) -> Result<Command> {
    let mut command = process::tether(&functions::build_runner()?, uvicorn);
    command
        .args(["app:app", "--log-level", "warning", "--app-dir"])
        .arg(project::root().join("tests/parity"))
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--timeout-keep-alive", "600"])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// The same request to the target of a redirect.
fn redirected(request: &Request, location: &str) -> Request {
    let target = location.strip_prefix("http://").unwrap_or(location);
    Request {
        target: target.strip_prefix(HOST).unwrap_or(target).to_owned(),
        ..request.clone()
    }
}

/// The id of a new resource in an answer.
fn issued(answer: &Answer) -> Option<String> {
    if let Some(id) = answer.header("x-item-id") {
        return Some(id.to_owned());
    }
    if let Some(location) = answer.header("location").filter(|_| answer.status < 300) {
        return location.rsplit('/').next().map(str::to_owned);
    }
    task_id(&answer.body).map(str::to_owned)
}

fn task_id(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let id = text
        .strip_prefix(r#"{"task_id":""#)?
        .strip_suffix(r#""}"#)?;
    (id.len() == 36).then_some(id)
}

impl Side {
    fn new(port: u16) -> Side {
        Side {
            client: Client::new(port),
            ids: HashMap::new(),
            item: None,
            user: None,
            task: None,
        }
    }

    fn ask(&mut self, request: &Request) -> Answer {
        let mut request = request.clone();
        for (name, id) in [
            ("{item}", &self.item),
            ("{user}", &self.user),
            ("{task}", &self.task),
        ] {
            let id = id.as_deref().unwrap_or("1");
            request.target = request.target.replace(name, id);
        }
        let answer = self.client.ask(&request);
        answer.unwrap_or_else(|error| panic!("no answer to {request}: {error}"))
    }

    fn issued(&mut self, request: &Request, id: String) {
        let number = self.ids.len();
        self.ids.insert(id.clone(), number);
        let last = match request.path() {
            path if path.starts_with("/items") => &mut self.item,
            path if path.starts_with("/users") => &mut self.user,
            _ => &mut self.task,
        };
        *last = Some(id);
    }

    fn seen(&self, answer: Answer) -> Seen {
        let header = |name| answer.header(name).map(str::to_owned);
        Seen {
            status: answer.status,
            content_type: header("content-type"),
            location: header("location").map(|location| self.named(&location)),
            allow: header("allow"),
            body: match std::str::from_utf8(&answer.body) {
                Ok(text) => self.named(text).into_bytes(),
                Err(_) => answer.body,
            },
        }
    }

    /// The text with each issued id replaced by its number. Results of jobs are left out, since the jobs
    /// differ.
    fn named(&self, text: &str) -> String {
        if task_id(text.as_bytes()).is_some() {
            return r#"{"task_id":"#.to_owned();
        }
        let completed = r#"{"status":"completed","result":"#;
        if text.starts_with(completed) {
            return completed.to_owned();
        }
        // An echoed path may have other digits beside an id, so these ids are replaced as texts.
        let mut whole = text.to_owned();
        for id in [&self.item, &self.user].into_iter().flatten() {
            whole = whole.replace(id, &format!("<id {}>", self.ids[id]));
        }
        let (mut named, mut rest) = (String::with_capacity(whole.len()), whole.as_str());
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let digits = &rest[start..];
            let length = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            named += &rest[..start];
            match self.ids.get(&digits[..length]) {
                Some(number) => named += &format!("<id {number}>"),
                None => named += &digits[..length],
            }
            rest = &digits[length..];
        }
        named + rest
    }
}
