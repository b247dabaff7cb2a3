//! Runs one function, as Lambda does: it serves the Runtime API to the function's process, hands it
//! one event after the other, and takes the times.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use local_stack::http::{Request, Response, Server};
use local_stack::{Context, Error, Result};
use serde_json::json;

use crate::usage;

/// How long a function is waited for. Under a profiler one starts slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a function is told of the time that it has.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A program and what it is started with.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The command line.
    pub command: Vec<String>,
    /// Its whole environment, but for what the Runtime API needs.
    pub environment: Vec<(String, String)>,
    /// The name that it is told to have.
    pub name: String,
}

/// A running function; dropping it ends it.
pub struct Function {
    child: Child,
    events: Option<Sender<Event>>,
    answers: Receiver<Answered>,
    counter: u64,
    api: Arc<Api>,
    _server: Server,
}

struct Event {
    id: String,
    body: Vec<u8>,
}

struct Answered {
    at: Instant,
    failed: bool,
    body: Vec<u8>,
}

/// What an invocation came to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the function answered.
    pub body: Vec<u8>,
    /// From the hand-over of the event to the answer.
    pub elapsed: Duration,
}

/// What the threads of the Runtime API share.
struct Api {
    events: Mutex<Receiver<Event>>,
    answers: Mutex<Sender<Answered>>,
    ready: Mutex<Option<Sender<Instant>>>,
    /// How often the function has asked for an event.
    asked: AtomicU64,
    name: String,
}

impl Function {
    /// Starts a program, and waits until it asks for its first event; how long that took.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it asks.
    pub fn start(program: &Program) -> Result<(Function, Duration)> {
        let (events, inbox) = channel();
        let (outbox, answers) = channel();
        let (ready, asked) = channel();
        let api = Arc::new(Api {
            events: Mutex::new(inbox),
            answers: Mutex::new(outbox),
            ready: Mutex::new(Some(ready)),
            asked: AtomicU64::new(0),
            name: program.name.clone(),
        });
        let serving = Arc::clone(&api);
        let server = Server::start(0, move |request: &Request| serving.answer(request))?;
        let mut command = program.command(server.port())?;
        let started = Instant::now();
        let child = command.spawn();
        let child = child.context(format_args!("cannot start {}", program.name))?;
        let mut function = Function {
            child,
            events: Some(events),
            answers,
            counter: 0,
            api,
            _server: server,
        };
        let first = function.wait(&asked, "asks for nothing")?;
        Ok((function, first - started))
    }

    /// Hands the function an event and waits for its answer.
    ///
    /// # Errors
    /// When it fails, ends, or does not answer.
    pub fn invoke(&mut self, event: &[u8]) -> Result<Answer> {
        self.counter += 1;
        let event = Event {
            id: format!("00000000-0000-4000-8000-{:012}", self.counter),
            body: event.to_vec(),
        };
        let started = Instant::now();
        if let Some(events) = &self.events {
            let gone = |_| Error::new("the function is gone");
            events.send(event).map_err(gone)?;
        }
        let answers = &self.answers;
        let answered = wait(&mut self.child, answers, "does not answer")?;
        if answered.failed {
            let text = String::from_utf8_lossy(&answered.body).into_owned();
            return Err(Error::new(format!("the function failed: {text}")));
        }
        Ok(Answer {
            body: answered.body,
            elapsed: answered.at - started,
        })
    }

    /// Waits until it has asked for its next event and all its threads sleep: what an invocation
    /// costs is over then.
    ///
    /// # Errors
    /// When it ends, or does not come to rest.
    pub fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let mut looks = 0;
        while looks < 3 {
            thread::sleep(Duration::from_millis(2));
            let asked = self.api.asked.load(Ordering::SeqCst) > self.counter;
            let rests = asked && usage::sleeps(self.pid())?;
            looks = if rests { looks + 1 } else { 0 };
            if Instant::now() > until {
                return Err(Error::new("the function does not come to rest"));
            }
        }
        Ok(())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait<T>(&mut self, from: &Receiver<T>, what: &str) -> Result<T> {
        wait(&mut self.child, from, what)
    }
}

/// Waits for something from a process' connection, or for the end of the process.
fn wait<T>(child: &mut Child, from: &Receiver<T>, what: &str) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match from.recv_timeout(Duration::from_millis(200)) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::new("the server is gone")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Error::new(format!("the function has ended ({status})")));
        }
        if Instant::now() > until {
            return Err(Error::new(format!("the function {what}")));
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Lets the thread go that waits for the next event.
        self.events = None;
    }
}

impl Program {
    /// A function of this project, from its executable.
    #[must_use]
    pub fn function(executable: &Path, name: &str, environment: &[(String, String)]) -> Program {
        Program {
            command: vec![executable.display().to_string()],
            environment: environment.to_vec(),
            name: name.to_owned(),
        }
    }

    /// The command, with what Lambda sets for every function.
    fn command(&self, port: u16) -> Result<Command> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| Error::new("no command"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[1]measured")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            // Lambda reads a pipe; what is written is part of the work, who reads it is not.
            .stdout(Stdio::null());
        Ok(command)
    }
}

impl Api {
    fn answer(&self, request: &Request) -> Response {
        let path = request.path.strip_prefix("/2018-06-01/runtime/");
        let path: Vec<&str> = path.unwrap_or_default().split('/').collect();
        match path[..] {
            ["invocation", "next"] => self.next(),
            ["invocation", _, end @ ("response" | "error")] => self.answered(end, &request.body),
            ["init", "error"] => self.answered("error", &request.body),
            _ => Response::json(404, &json!({"errorMessage": "no such path"})),
        }
    }

    fn next(&self) -> Response {
        let asked = Instant::now();
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(ready) = lock(&self.ready).take() {
            let _ = ready.send(asked);
        }
        let Ok(event) = lock(&self.events).recv() else {
            return Response::json(410, &json!({"errorMessage": "it is over"}));
        };
        let deadline = SystemTime::now() + TIMEOUT;
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut response = Response::new(200, "application/json", event.body);
        let arn = format!(
            "arn:aws:lambda:us-east-1:000000000000:function:{}",
            self.name
        );
        for (name, value) in [
            ("lambda-runtime-aws-request-id", event.id),
            (
                "lambda-runtime-deadline-ms",
                deadline.as_millis().to_string(),
            ),
            ("lambda-runtime-invoked-function-arn", arn),
            ("lambda-runtime-trace-id", TRACE.to_owned()),
        ] {
            response.headers.push((name.to_owned(), value));
        }
        response
    }

    fn answered(&self, end: &str, body: &[u8]) -> Response {
        let answered = Answered {
            at: Instant::now(),
            failed: end == "error",
            body: body.to_vec(),
        };
        let _ = lock(&self.answers).send(answered);
        Response::json(202, &json!({"status": "OK"}))
    }
}

/// A trace that is not sampled, as most are.
const TRACE: &str = "Root=1-65f1b2c3-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0";

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
