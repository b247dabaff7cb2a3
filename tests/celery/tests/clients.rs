//! Runs the suite of Celery clients against the service's worker, with the local AWS endpoints in place of
//! Redis. `check.py` compares what the clients see with a Celery worker on Redis.
//!
//! `cargo test -p celery-clients` tries the oldest and the newest version of Celery; versions as arguments
//! (`-- 5.4.0 5.5.3`) try these. Then the newest version runs the suite once more, with the bodies of `app.py` in
//! a Python function in place of jobs in Rust; `-- python-bodies` runs this pass alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use local_stack::celery::{self, Application, Bodies};
use local_stack::emulator::{self, Emulator};
use local_stack::invocations::Invocations;
use local_stack::process::{self, Log, Process};
use local_stack::template::Template;
use local_stack::{Error, Result, functions, project, resources, setup};

/// The queues of the suite, and the names that Celery has for them.
const QUEUES: [(&str, &str); 2] = [("celery", "celery"), ("other.queue", "other-queue")];
/// The queue of the Celery worker in `crossing.py`.
const PYTHON: (&str, &str) = ("python", "python");
/// The table of the suite.
const TABLE: &str = "celery_results";
const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
/// The name of the pass with bodies in Python, among the words of the command line and in `differences.json`.
const PYTHON_BODIES: &str = "python-bodies";
/// The newest version of Celery in `environments.py`.
const NEWEST: &str = "5.7.0";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let versions: Vec<String> = words
        .iter()
        .filter(|word| word.starts_with('5'))
        .cloned()
        .collect();
    let setup = Setup::start()?;
    println!("logs: {}", setup.scratch.display());
    if !words.iter().any(|word| word == PYTHON_BODIES) {
        setup.jobs_in_rust(&versions)?;
    }
    setup.python_bodies()
}

/// The AWS endpoints with the queues and tables of the suite.
struct Setup {
    port: u16,
    scratch: PathBuf,
    folder: PathBuf,
    runner: PathBuf,
    /// Of the worker and the function.
    log: Log,
    emulator: Emulator,
    template: Template,
}

impl Setup {
    fn start() -> Result<Self> {
        let tools = setup::run_tools()?;
        let runner = functions::build_runner()?;
        let port = project::claim_port(0, "the AWS endpoints", "try again")?;
        let scratch = project::scratch(port);
        let log = Log::create(&scratch.join("ministack.log"), false)?;
        let settings = emulator::Settings {
            program: &tools.ministack,
            runner: &runner,
            port,
            services: "cloudformation,dynamodb,sqs,sns,iam,sts,scheduler,lambda,logs",
            data: None,
            environment: &[],
        };
        let emulator = Emulator::start(&settings, &log)?;
        let template = Template::read(&project::root().join("template.yaml"))?;
        resources::create_storage(&emulator.aws, &template)?;
        let folder = project::root().join("tests/celery");
        python(&folder, port, &["resources.py"], &[])?;
        let log = Log::create(&scratch.join("worker.log"), false)?;
        Ok(Self {
            port,
            scratch,
            folder,
            runner,
            log,
            emulator,
            template,
        })
    }

    /// The suite, and workflows that cross this worker and a worker of Celery.
    fn jobs_in_rust(&self, versions: &[String]) -> Result<()> {
        let mut worker = self.worker(&[])?;
        let endpoint = self.endpoint();
        self.python(&["crossing.py", &endpoint], &[])?;
        worker.check()?;
        let mut words = vec!["check.py", endpoint.as_str(), "async-service"];
        words.extend(versions.iter().map(String::as_str));
        self.python(&words, &[])?;
        worker.check()
    }

    /// The suite, with no job in Rust.
    fn python_bodies(&self) -> Result<()> {
        let application = python_function(&self.folder, self.port)?;
        let _function = Bodies::start(application, &self.emulator.aws, &self.scratch, &self.log)?;
        let endpoints = format!("http://127.0.0.1:{}", self.port);
        let invocations = Invocations::start(0, &self.template, &endpoints, &endpoints)?;
        let lambda = format!("http://127.0.0.1:{}", invocations.port());
        let mut worker = self.worker(&[
            ("JOBS_IN_RUST", "none".to_owned()),
            ("REMOTE_JOBS", format!("*={}", celery::TARGET)),
            ("AWS_ENDPOINT_URL_LAMBDA", lambda),
        ])?;
        // A process of Python for each of many tasks at once takes its time.
        let words = ["check.py", &self.endpoint(), PYTHON_BODIES, NEWEST];
        self.python(&words, &[("SUITE_SLOWNESS", "3")])?;
        worker.check()
    }

    fn worker(&self, more: &[(&str, String)]) -> Result<Process> {
        let worker = Path::new(env!("CARGO_BIN_EXE_celery-worker"));
        let mut command = process::tether(&self.runner, worker);
        command.envs(environment(self.port)?);
        command.envs(more.iter().map(|(name, value)| (name, value)));
        Process::start("worker", command, &self.log, Duration::from_secs(5))
    }

    fn python(&self, words: &[&str], more: &[(&str, &str)]) -> Result<()> {
        python(&self.folder, self.port, words, more)
    }

    fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

/// The application of the suite, with the packages of the newest client.
fn python_function(folder: &Path, port: u16) -> Result<celery::Prepared> {
    let mut command = Command::new("python3");
    command
        .current_dir(folder)
        .args(["-B", "environments.py", NEWEST]);
    let said = command
        .output()
        .map_err(|error| Error::new(format!("python3: {error}")))?;
    let interpreter = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let application = Application {
        folder: folder.to_owned(),
        app: Some("app:app".to_owned()),
        python: Some(interpreter.into()),
        ..Application::default()
    };
    let mut prepared = application.prepare(port)?;
    // By the names of SQS, as kombu looks for them.
    let queues = QUEUES.iter().chain([&PYTHON]).map(|(_, queue)| {
        let url = format!("http://127.0.0.1:{port}/{ACCOUNT}/{queue}");
        format!(r#""{queue}": {{"url": "{url}"}}"#)
    });
    let queues = queues.collect::<Vec<_>>().join(", ");
    let options = format!(r#"{{"region": "{REGION}", "predefined_queues": {{{queues}}}}}"#);
    let backend = format!("dynamodb://@{REGION}/{TABLE}");
    let urls = ["CELERY_BROKER_URL", "BROKER_URL"].map(|name| (name, "sqs://"));
    let backends = ["CELERY_RESULT_BACKEND", "RESULT_BACKEND"].map(|name| (name, backend.as_str()));
    let more = [
        ("TRANSPORT_OPTIONS", options.as_str()),
        ("SERVED_QUEUES", "celery,other-queue"),
    ];
    let variables = urls.into_iter().chain(backends).chain(more);
    prepared.variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Ok(prepared)
}

/// Runs a program of the suite with its arguments, and with the variables of the AWS endpoints and more.
fn python(folder: &Path, port: u16, words: &[&str], more: &[(&str, &str)]) -> Result<()> {
    let mut command = Command::new("python3");
    command.current_dir(folder).envs(aws(port));
    command.envs(more.iter().copied());
    match command.arg("-B").args(words).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(format!("{}: {status}", words[0]))),
        Err(error) => Err(Error::new(format!("python3: {error}"))),
    }
}

fn aws(port: u16) -> Vec<(String, String)> {
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The worker's variables: those of the local stack, with the suite's table and queues.
fn environment(port: u16) -> Result<Vec<(String, String)>> {
    let url = |queue: &str| format!("http://127.0.0.1:{port}/{ACCOUNT}/{queue}");
    let arn = |queue: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
    let path: PathBuf = project::root().join("infra/local/env");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
    let text = text.replace(":4566", &format!(":{port}"));
    let mut variables = functions::parse_env(&text);
    variables.extend(aws(port));
    let pair = |(name, queue)| format!("{name}={}", url(queue));
    let received_from = QUEUES.map(pair).join(",");
    let queues = format!("{received_from},{}", pair(PYTHON));
    let own = ["async-service-tasks", "async-service-tasks-high"];
    let received = QUEUES.iter().map(|(_, queue)| *queue).chain(own);
    let received: Vec<_> = received
        .map(|queue| format!("{} {}", url(queue), arn(queue)))
        .collect();
    variables.extend(
        [
            ("CELERY_RESULTS_TABLE", TABLE.to_owned()),
            ("CELERY_QUEUES", queues),
            ("CELERY_OWN_QUEUES", received_from),
            ("CONTROL_QUEUE", url("control")),
            // A terminated task stops within a third of the lease.
            ("LEASE_SECONDS", "6".to_owned()),
            ("CELERY_TRACK_STARTED", "true".to_owned()),
            ("CELERY_RESULT_EXTENDED", "true".to_owned()),
            ("QUEUES", received.join(",")),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(variables)
}
