//! Runs one function as Lambda does: serves the Runtime API to the function's process, sends one
//! event after another, and measures times.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use local_stack::http::{Request, Response, Server};
use local_stack::{Context, Error, Result, process};
use serde_json::json;

use crate::usage;

/// The longest wait for a function. A function under a profiler starts slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process may take to sleep after its request for an event.
const SETTLING: Duration = Duration::from_millis(100);

/// The remaining time in each event's deadline.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A program, its arguments and its environment.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The command line.
    pub command: Vec<String>,
    /// The whole environment, except the variables of the Runtime API.
    pub environment: Vec<(String, String)>,
    /// The function's name in its environment.
    pub name: String,
}

/// A running function; dropping it ends the process.
pub struct Function {
    child: Child,
    events: Option<Sender<Event>>,
    answers: Receiver<Answered>,
    /// The times of the function's requests for an event.
    asked: Receiver<Instant>,
    /// The number of events sent to the function.
    counter: u64,
    /// The number of handled entries of `asked`.
    seen: u64,
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

/// The result of an invocation.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The function's answer.
    pub body: Vec<u8>,
    /// The time from sending the event to the answer.
    pub elapsed: Duration,
}

/// The state that the threads of the Runtime API share.
struct Api {
    events: Mutex<Receiver<Event>>,
    answers: Mutex<Sender<Answered>>,
    asked: Mutex<Sender<Instant>>,
    name: String,
}

impl Function {
    /// Starts a program and waits for its first request for an event. Also returns the time that
    /// this took.
    ///
    /// # Errors
    /// When the program cannot be started, or ends before its first request.
    pub fn start(program: &Program) -> Result<(Function, Duration)> {
        let (events, inbox) = channel();
        let (outbox, answers) = channel();
        let (asking, asked) = channel();
        let api = Arc::new(Api {
            events: Mutex::new(inbox),
            answers: Mutex::new(outbox),
            asked: Mutex::new(asking),
            name: program.name.clone(),
        });
        let server = Server::start(0, move |request: &Request| api.answer(request))?;
        let mut command = program.command(server.port())?;
        let started = Instant::now();
        let child = command.spawn();
        let child = child.context(format_args!("cannot start {}", program.name))?;
        let mut function = Function {
            child,
            events: Some(events),
            answers,
            asked,
            counter: 0,
            seen: 1,
            _server: server,
        };
        let first = wait(&mut function.child, &function.asked, "requests no event")?;
        Ok((function, first - started))
    }

    /// Sends an event to the function and waits for the answer.
    ///
    /// # Errors
    /// When the function fails, ends, or does not answer.
    pub fn invoke(&mut self, event: &[u8]) -> Result<Answer> {
        self.counter += 1;
        let event = Event {
            id: format!("00000000-0000-4000-8000-{:012}", self.counter),
            body: event.to_vec(),
        };
        let started = Instant::now();
        if let Some(events) = &self.events {
            let gone = |_| Error::new("the function has ended");
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

    /// Waits until the process has requested the next event and sleeps. The CPU time until then
    /// belongs to the last invocation.
    ///
    /// # Errors
    /// When the process ends, or requests no event.
    pub fn settle(&mut self) -> Result<()> {
        while self.seen <= self.counter {
            wait(&mut self.child, &self.asked, "requests no event")?;
            self.seen += 1;
        }
        let until = Instant::now() + SETTLING;
        while !usage::sleeps(self.pid()) && Instant::now() < until {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Like [`Function::settle`], for a process that a profiler slows down: the process must sleep
    /// in several checks in a row.
    ///
    /// # Errors
    /// When the process ends, or does not come to rest.
    pub fn rest(&mut self) -> Result<()> {
        self.settle()?;
        let until = Instant::now() + PATIENCE;
        let mut looks = 0;
        while looks < 3 {
            std::thread::sleep(Duration::from_millis(2));
            looks = if usage::sleeps(self.pid()) {
                looks + 1
            } else {
                0
            };
            if Instant::now() > until {
                return Err(Error::new("the function does not come to rest"));
            }
        }
        Ok(())
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Waits for a value from the Runtime API's threads, or for the end of the process.
fn wait<T>(child: &mut Child, from: &Receiver<T>, what: &str) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match from.recv_timeout(Duration::from_millis(200)) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::new("the server has ended")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if process::interrupted() {
            return Err(Error::new("stopped"));
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
        // Ends the wait of the thread for the next event.
        self.events = None;
    }
}

impl Program {
    /// A function of this project, by its executable.
    #[must_use]
    pub fn function(executable: &Path, name: &str, environment: &[(String, String)]) -> Program {
        Program {
            command: vec![executable.display().to_string()],
            environment: environment.to_vec(),
            name: name.to_owned(),
        }
    }

    /// The command, with the variables that Lambda sets for every function.
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
            // On Lambda a pipe reads the output. Writing is part of the function's work, reading is
            // not.
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
        let _ = lock(&self.asked).send(Instant::now());
        let Ok(event) = lock(&self.events).recv() else {
            return Response::json(410, &json!({"errorMessage": "there are no more events"}));
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

/// The header of a trace that is not sampled, as most traces.
const TRACE: &str = "Root=1-65f1b2c3-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0";

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
