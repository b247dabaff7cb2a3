//! The peers: programs that this service is compared with, and how they are started.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_stack::celery_client::{self, Broker};
use local_stack::process::{self, Log, Process};
use local_stack::{Context, Error, Result, functions, project, setup};
use serde_json::Value;

use crate::runtime::Program;

/// The longest wait for a program's first answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Variables that make numeric Python packages slow in some environments.
const FORGOTTEN: [&str; 2] = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"];

/// The paths of the peers' programs.
#[derive(Debug, Clone)]
pub struct Peers {
    /// The Python with all packages of the FastAPI service.
    pub python: PathBuf,
    /// `node`, if it is installed.
    pub node: Option<PathBuf>,
    /// `redis-server`, if it is installed.
    pub redis: Option<PathBuf>,
    /// The folder of the bare functions' executables.
    pub bare: PathBuf,
    /// The program that ends a peer when this process ends.
    runner: PathBuf,
    /// A folder for logs.
    scratch: PathBuf,
}

/// A running server; dropping it stops the server.
#[derive(Debug)]
pub struct Served {
    process: Process,
    /// The port on loopback.
    pub port: u16,
}

/// The output of a program that measures itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Wall time.
    pub wall: Duration,
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// The peak memory in bytes.
    pub peak: u64,
    /// The number of records or URLs.
    pub count: u64,
}

impl Peers {
    /// Finds the programs, and installs missing Python packages.
    ///
    /// # Errors
    /// When Python is missing, or a package cannot be installed.
    pub fn find(bare: &Path) -> Result<Peers> {
        Ok(Peers {
            python: setup::bench_peers()?,
            node: on_path("node"),
            redis: on_path("redis-server"),
            bare: bare.to_owned(),
            runner: functions::build_runner()?,
            scratch: project::target().join("bench"),
        })
    }

    /// Starts an empty Redis; `None` when Redis is not installed.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub fn redis(&self) -> Result<Option<Served>> {
        let Some(program) = &self.redis else {
            return Ok(None);
        };
        let port = project::claim_port(0, "Redis", "try again")?;
        let mut command = process::tether(&self.runner, program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.scratch);
        let mut served = self.serve("redis", command, port)?;
        served
            .wait(|port| ask(port, b"PING\r\n").is_some_and(|said| said.starts_with(b"+PONG")))?;
        Ok(Some(served))
    }

    /// Starts the FastAPI service on uvicorn. Also returns the time from its start to its first
    /// answer.
    ///
    /// # Errors
    /// When the service does not answer.
    pub fn service(&self, redis: u16, upstream: &str) -> Result<(Served, Duration)> {
        let port = project::claim_port(0, "FastAPI", "try again")?;
        let mut command = self.python();
        command
            .args(["-m", "uvicorn", "service:app", "--host", "127.0.0.1"])
            .args(["--port", &port.to_string(), "--loop", "uvloop"])
            .args(["--http", "httptools", "--no-access-log"])
            .args(["--log-level", "warning"])
            .env("REDIS_URL", redis_url(redis))
            .env("USERS_UPSTREAM_URL", upstream);
        let started = Instant::now();
        let mut served = self.serve("uvicorn", command, port)?;
        let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
        served.wait(|port| {
            ask(port, request).is_some_and(|said| said.starts_with(b"HTTP/1.1 200"))
        })?;
        Ok((served, started.elapsed()))
    }

    /// Starts a Celery worker with one process for tasks. Also returns the time until the worker
    /// reports that it is ready. The worker reports this only with the log level `INFO`; with other
    /// levels it may not be ready yet.
    ///
    /// # Errors
    /// When the worker does not start.
    pub fn celery(&self, redis: u16, log_level: &str) -> Result<(Process, Duration)> {
        let words = [
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ];
        let pool = ["--pool", "prefork", "--concurrency", "1"];
        self.celery_with(redis, log_level, &[&pool[..], &words].concat())
    }

    /// Starts a Celery worker with these options. As [`Peers::celery`].
    ///
    /// # Errors
    /// When the worker does not start.
    pub fn celery_with(
        &self,
        redis: u16,
        log_level: &str,
        options: &[&str],
    ) -> Result<(Process, Duration)> {
        let mut command = self.python();
        command
            .args(["-m", "celery", "--app", "tasks", "worker"])
            .args(options)
            .args(["--loglevel", log_level])
            .env("REDIS_URL", redis_url(redis));
        let path = self.scratch.join("celery.log");
        let log = Log::create(&path, false)?;
        let started = Instant::now();
        let mut worker = Process::start("celery", command, &log, Duration::from_secs(5))?;
        let is_ready = || match log_level {
            "INFO" => std::fs::read_to_string(&path).is_ok_and(|said| said.contains(" ready.")),
            _ => !crate::usage::family(worker.id()).is_empty(),
        };
        until(started + PATIENCE, "celery is not ready", is_ready)?;
        worker.check()?;
        Ok((worker, started.elapsed()))
    }

    /// The program of a Celery producer, which obeys the lines of its standard input.
    ///
    /// # Errors
    /// When its environment cannot be made.
    pub fn producer(&self, broker: &Broker) -> Result<Command> {
        celery_client::client(&self.runner, &folder().join("producer.py"), broker)
    }

    /// The FastAPI service as a Lambda function.
    #[must_use]
    pub fn mangum(&self, upstream: &str) -> Program {
        let python = self.python.display().to_string();
        let words = [python.as_str(), "-m", "awslambdaric", "mangum_loop.handler"];
        let environment = [
            ("PYTHONPATH", folder().display().to_string()),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
            ("USERS_UPSTREAM_URL", upstream.to_owned()),
        ];
        Program {
            command: words.map(str::to_owned).into(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            name: "mangum".to_owned(),
        }
    }

    /// A handler of the Celery application in `bodies.py`, which sends and stores at this endpoint of AWS.
    #[must_use]
    pub fn bodies(&self, handler: &str, broker: &Broker) -> Program {
        let python = self.python.display().to_string();
        let words = [python.as_str(), "-m", "awslambdaric", handler];
        let handler_code = project::root().join("infra/python/src");
        let path = format!("{}:{}", folder().display(), handler_code.display());
        let endpoint = broker.endpoint.clone().unwrap_or_default();
        let environment = [
            ("PYTHONPATH", path.as_str()),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("CELERY_APP", "bodies:app"),
            ("BROKER_URL", &broker.url),
            ("RESULT_BACKEND", &broker.results),
            ("TRANSPORT_OPTIONS", &broker.options),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Program {
            command: words.map(str::to_owned).into(),
            environment: environment.into(),
            name: "bodies".to_owned(),
        }
    }

    /// The function in Node.js, if Node.js is installed.
    #[must_use]
    pub fn node(&self) -> Option<Program> {
        let node = self.node.as_ref()?;
        let words = [node.clone(), folder().join("loop.mjs")];
        Some(Program {
            command: words.map(|word| word.display().to_string()).into(),
            environment: Vec::new(),
            name: "node".to_owned(),
        })
    }

    /// The path of a bare function's executable: `bare_lambda_http` or `bare_loop`.
    #[must_use]
    pub fn bare(&self, name: &str) -> PathBuf {
        self.bare.join(name)
    }

    /// Runs a Python program that measures itself, and reads its output. `counted` is the program's
    /// name for its count.
    ///
    /// # Errors
    /// When the program fails, or its output has another form.
    pub fn measured(&self, arguments: &[&str], counted: &str) -> Result<Measured> {
        let mut command = self.python();
        let (script, rest) = arguments.split_first().unwrap_or((&"", &[]));
        command.arg(folder().join(script)).args(rest);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn();
        let mut child = child.context(format_args!("cannot start {script}"))?;
        let ended = loop {
            if let Some(status) = child.try_wait().context("cannot wait for a program")? {
                break status;
            }
            if let Err(error) = process::pause() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        // One line, which fits into the pipe's buffer.
        let mut said = String::new();
        if let Some(mut out) = child.stdout.take() {
            out.read_to_string(&mut said)
                .context("cannot read from a program")?;
        }
        let parsed = serde_json::from_str(&said).ok();
        let measured = parsed.and_then(|value| Measured::read(&value, counted));
        measured
            .filter(|_| ended.success())
            .ok_or_else(|| Error::new(format!("{} failed: {said}", arguments.join(" "))))
    }

    /// A Python command with the peers' modules on its path.
    fn python(&self) -> Command {
        let mut command = process::tether(&self.runner, &self.python);
        command
            .env("PYTHONPATH", folder())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        for name in FORGOTTEN {
            command.env_remove(name);
        }
        command
    }

    fn serve(&self, name: &str, command: Command, port: u16) -> Result<Served> {
        let log = Log::create(&self.scratch.join(format!("{name}.log")), false)?;
        let process = Process::start(name, command, &log, Duration::from_secs(5))?;
        Ok(Served { process, port })
    }
}

impl Served {
    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn wait(&mut self, answers: impl Fn(u16) -> bool) -> Result<()> {
        let port = self.port;
        let process = &mut self.process;
        let end = Instant::now() + PATIENCE;
        until(end, "a server does not answer", || answers(port))?;
        process.check()
    }
}

impl Measured {
    fn read(value: &Value, counted: &str) -> Option<Measured> {
        let seconds = |name: &str| Duration::try_from_secs_f64(value[name].as_f64()?).ok();
        Some(Measured {
            wall: seconds("seconds")?,
            cpu: seconds("cpu_seconds")?,
            peak: value["max_rss_kb"].as_u64()? * 1024,
            count: value[counted].as_u64()?,
        })
    }
}

/// The folder of the Python and Node.js programs.
fn folder() -> PathBuf {
    project::root().join("tests/bench/peers")
}

/// The URL of Redis at a port.
#[must_use]
pub fn redis_url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}

/// The path of a program in PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The start of a loopback server's response to a request: the bytes of one read.
fn ask(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = vec![0; 512];
    let length = stream.read(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

/// Checks a condition every two milliseconds.
fn until(end: Instant, otherwise: &str, is_so: impl Fn() -> bool) -> Result<()> {
    while !is_so() {
        if process::interrupted() {
            return Err(Error::new("stopped"));
        }
        if Instant::now() > end {
            return Err(Error::new(otherwise));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_output_of_a_measured_program_is_parsed() {
        let said = json!({"seconds": 1.5, "cpu_seconds": 0.25, "max_rss_kb": 2, "ok": 7});
        let measured = Measured::read(&said, "ok").unwrap();
        assert_eq!(measured.wall, Duration::from_millis(1500));
        assert_eq!((measured.peak, measured.count), (2048, 7));
        assert_eq!(Measured::read(&said, "rows"), None);
    }
}
