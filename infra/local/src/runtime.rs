//! Runs one function like Lambda, between the function and `cargo lambda watch`.
//!
//! The watcher never restarts a function that has died, never answers the invocation during which
//! the function died, and sends no usable deadline. So cargo runs each function through this
//! runner. The runner forwards the runtime API, sets the deadline from the template's time-out,
//! kills a function that exceeds it, answers for a function that has died, and restarts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use ureq::Agent;

use crate::error::{Context, Error, Result};
use crate::http::{Request, Response, Server};
use crate::process;

/// The variable with the time-out of each function in seconds: `fetch=29,worker=300`.
pub const TIMEOUTS: &str = "LOCAL_STACK_TIMEOUTS";

/// The variable with the folder of files that name the current invocation of each function.
pub const SCRATCH: &str = "LOCAL_STACK_SCRATCH";

/// Lambda's maximum time-out, for a function that is not in the template.
const LONGEST: u64 = 900;

const PREFIX: &str = "/2018-06-01/runtime/";
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
const DEADLINE: &str = "lambda-runtime-deadline-ms";

/// An invocation from the runtime API.
#[derive(Debug)]
struct Event {
    id: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The function's current invocation.
#[derive(Debug)]
struct Current {
    id: String,
    deadline: Instant,
}

#[derive(Debug, Default)]
struct Life {
    /// The number of started processes, so that a process that has died gets no invocation.
    generation: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Runtime {
    name: String,
    api: String,
    timeout: Duration,
    agent: Agent,
    life: Mutex<Life>,
    /// An invocation that was fetched for a process that has died since. The lock also ensures that
    /// only one invocation is fetched at a time.
    held: Mutex<Option<Event>>,
    asked: AtomicBool,
    memory: Option<PathBuf>,
}

/// Runs the function `program` until the parent process, the watcher, ends.
///
/// # Errors
/// When the function can't be started at all.
pub fn run(program: &Path) -> Result<()> {
    let runtime = Arc::new(Runtime::from_environment(program));
    runtime.answer_for_predecessor();
    let serving = Arc::clone(&runtime);
    let server = Server::start(0, move |request: &Request| serving.answer(request))?;
    let parent = nix::unistd::getppid();
    loop {
        let started = Instant::now();
        let mut child = runtime.spawn(program, server.port())?;
        let Some(end) = runtime.wait(&mut child, parent) else {
            return Ok(());
        };
        runtime.bury(&end);
        if started.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Runtime {
    fn from_environment(program: &Path) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let file = program
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or(file);
        let timeouts = variable(TIMEOUTS).unwrap_or_default();
        let instance = variable("AWS_LAMBDA_INSTANCE_ID").unwrap_or_default();
        let api = variable("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
        let api = api.trim_start_matches("http://");
        Self {
            timeout: Duration::from_secs(timeout_of(&name, &timeouts)),
            memory: variable(SCRATCH).map(|folder| Path::new(&folder).join(instance)),
            api: format!("http://{api}"),
            agent: Agent::config_builder()
                .http_status_as_error(false)
                // As in the gateway: reused connections are slow.
                .max_idle_connections(0)
                .build()
                .new_agent(),
            life: Mutex::default(),
            held: Mutex::default(),
            asked: AtomicBool::new(false),
            name,
        }
    }

    fn spawn(&self, program: &Path, port: u16) -> Result<Child> {
        self.asked.store(false, Ordering::SeqCst);
        let own = std::env::current_exe().context("cannot find the runner")?;
        let mut child = process::tether(&own, program)
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
            // The watcher sets this variable, and the Lambda runtime logs a warning about it.
            .env_remove("AWS_LAMBDA_MAX_CONCURRENCY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(format_args!("cannot start {}", self.name))?;
        if let Some(out) = child.stdout.take() {
            self.label(out);
        }
        if let Some(err) = child.stderr.take() {
            self.label(err);
        }
        Ok(child)
    }

    /// Copies output, with the function's name in front of each line.
    fn label(&self, from: impl Read + Send + 'static) {
        let name = self.name.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut line = format!("{name} | ").into_bytes();
            let label = line.len();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let _ = std::io::stdout().lock().write_all(&line);
                line.truncate(label);
            }
        });
    }

    /// Waits for the end of the function, and returns its description; `None` when the watcher has
    /// ended, and the function with it.
    fn wait(&self, child: &mut Child, parent: nix::unistd::Pid) -> Option<String> {
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(describe(status));
            }
            if nix::unistd::getppid() != parent {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            if self.is_late() {
                let _ = child.kill();
                let _ = child.wait();
                return Some(format!(
                    "Task timed out after {}.00 seconds",
                    self.timeout.as_secs()
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_late(&self) -> bool {
        self.life()
            .current
            .as_ref()
            .is_some_and(|current| current.deadline <= Instant::now())
    }

    /// Answers the current invocation of a function that has ended. If the function ended before
    /// its first request for an invocation, answers the next invocation.
    fn bury(&self, end: &str) {
        let lost = {
            let mut life = self.life();
            life.generation += 1;
            life.current.take()
        };
        println!("{} | {end}", self.name);
        if let Some(lost) = lost {
            self.fail(&lost.id, end);
        } else if !self.asked.load(Ordering::SeqCst) {
            let event = lock(&self.held).take().map_or_else(|| self.poll(), Ok);
            if let Ok(event) = event {
                self.fail(&event.id, end);
            }
        }
        self.forget();
    }

    /// When the watcher reloads a function, it also kills this runner. The next runner answers the
    /// invocation that was in progress.
    fn answer_for_predecessor(&self) {
        let id = self
            .memory
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.fail(&id, "the function was restarted with its changed code");
            self.forget();
        }
    }

    fn forget(&self) {
        if let Some(path) = &self.memory {
            let _ = std::fs::remove_file(path);
        }
    }

    fn fail(&self, id: &str, reason: &str) {
        let body = json!({"errorType": "Runtime.ExitError", "errorMessage":
            format!("RequestId: {id} Error: {reason}")});
        let url = format!("{}{PREFIX}invocation/{id}/error", self.api);
        let _ = self
            .agent
            .post(url)
            .header("content-type", "application/json")
            .send(body.to_string());
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
        let outcome = match path.split('/').collect::<Vec<_>>()[..] {
            ["invocation", "next"] => Ok(self.next()),
            ["invocation", id, "response" | "error"] => {
                let sent = self.forward(request);
                self.finish(id);
                sent
            }
            // The watcher would fail an invocation of another function.
            ["init", "error"] => Ok(Response::json(202, &json!({"status": "OK"}))),
            _ => self.forward(request),
        };
        outcome.unwrap_or_else(|cause| Response::new(500, "text/plain", cause.to_string()))
    }

    fn next(&self) -> Response {
        let born = self.life().generation;
        self.asked.store(true, Ordering::SeqCst);
        let mut held = lock(&self.held);
        let event = held
            .take()
            .unwrap_or_else(|| self.poll_until_there_is_one());
        let mut life = self.life();
        if life.generation != born {
            *held = Some(event);
            return Response::new(410, "text/plain", "a newer process has replaced this one");
        }
        life.current = Some(Current {
            id: event.id.clone(),
            deadline: Instant::now() + self.timeout,
        });
        if let Some(path) = &self.memory {
            let _ = std::fs::write(path, &event.id);
        }
        let mut response = Response::new(200, "application/json", event.body);
        response.headers.extend(event.headers);
        response
            .headers
            .push((DEADLINE.to_owned(), deadline(self.timeout)));
        response
    }

    /// A stopping watcher closes connections before it ends its functions, and the Lambda runtime
    /// panics without an invocation. So the function waits here until it is killed.
    fn poll_until_there_is_one(&self) -> Event {
        loop {
            match self.poll() {
                Ok(event) => return event,
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Waits for the next invocation, without a time limit.
    fn poll(&self) -> Result<Event> {
        let url = format!("{}{PREFIX}invocation/next", self.api);
        let mut answer = self
            .agent
            .get(url)
            .call()
            .context("the watcher does not answer")?;
        let headers = runtime_headers(&answer);
        let id = headers.iter().find(|(name, _)| name == REQUEST_ID);
        let id = id.map(|(_, value)| value.clone()).unwrap_or_default();
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec();
        let body = body.context("the answer of the watcher was cut off")?;
        if id.is_empty() {
            return Err(Error::new("the watcher's answer has no invocation"));
        }
        Ok(Event { id, headers, body })
    }

    fn finish(&self, id: &str) {
        let mut life = self.life();
        if life
            .current
            .as_ref()
            .is_some_and(|current| current.id == id)
        {
            life.current = None;
            self.forget();
        }
    }

    fn forward(&self, request: &Request) -> Result<Response> {
        let url = format!("{}{}", self.api, request.path);
        let own =
            |(name, _): &&(String, String)| name.starts_with("lambda-") || name == "content-type";
        let headers = request.headers.iter().filter(own);
        let sent = if request.method == "GET" {
            headers
                .fold(self.agent.get(url), |call, (k, v)| call.header(k, v))
                .call()
        } else {
            let call = headers.fold(self.agent.post(url), |call, (k, v)| call.header(k, v));
            call.send(&request.body[..])
        };
        let mut answer = sent.context("the watcher does not answer")?;
        let headers = runtime_headers(&answer);
        let body = answer
            .body_mut()
            .read_to_vec()
            .context("the answer of the watcher was cut off")?;
        let mut response = Response::new(answer.status().as_u16(), "application/json", body);
        response.headers.extend(headers);
        Ok(response)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.life)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The headers of the runtime API, without the watcher's deadline.
fn runtime_headers(answer: &ureq::http::Response<ureq::Body>) -> Vec<(String, String)> {
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("lambda-") && name.as_str() != DEADLINE);
    let text =
        |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn deadline(timeout: Duration) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (now + timeout).as_millis().to_string()
}

fn timeout_of(function: &str, timeouts: &str) -> u64 {
    let entry = timeouts
        .split(',')
        .filter_map(|entry| entry.split_once('='))
        .find(|(name, _)| *name == function);
    entry
        .and_then(|(_, seconds)| seconds.parse().ok())
        .unwrap_or(LONGEST)
}

fn describe(status: ExitStatus) -> String {
    format!("Runtime exited with error: {status}")
}

#[cfg(test)]
mod tests;
