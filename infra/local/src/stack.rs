//! The local stack.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::celery::{Application, Bodies, Prepared};
use crate::emulator::{self, Emulator};
use crate::error::Result;
use crate::functions::{self, Settings};
use crate::gateway::{Gateway, Slash};
use crate::invocations::Invocations;
use crate::keys::{self, Place};
use crate::process::{self, Log, Process};
use crate::setup::{self, Tools};
use crate::template::Template;
use crate::upstream::Upstream;
use crate::{project, resources};

mod auth;
mod celery;
mod environment;

/// The default port of the service.
pub const HTTP_PORT: u16 = 9000;
/// The default port of the AWS endpoints.
pub const AWS_PORT: u16 = 4566;
/// The default port of the demo upstream.
pub const UPSTREAM_PORT: u16 = 9100;

/// The `AuthMode` without authentication.
const OPEN: &str = "none";

/// The destination of the functions' log lines, besides the file of [`Stack::logs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logs {
    /// Only the file.
    #[default]
    File,
    /// Also the terminal.
    Terminal,
}

/// The settings of a stack. The defaults are for tests: free ports, no output, no reload.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of the service, 0 for any free one.
    pub http_port: u16,
    /// The port of the AWS endpoints, 0 for any free one.
    pub aws_port: u16,
    /// The port of the demo upstream, 0 for any free one.
    pub upstream_port: u16,
    /// A folder in which rows and messages are kept between runs.
    pub data: Option<PathBuf>,
    /// Whether the functions are built with optimizations.
    pub release: bool,
    /// Whether a changed source file reloads the functions.
    pub reload: bool,
    /// The maximum number of processes of each function.
    pub concurrency: usize,
    /// The delay of the demo upstream's answers.
    pub delay: Duration,
    /// Variables for the functions, which override those of `infra/local/env`.
    pub environment: Vec<(String, String)>,
    /// How callers authenticate: the template's `AuthMode`, except `jwt`, which only API Gateway
    /// itself supports. With a value other than `none`, the stack has a key; see [`Stack::key`].
    pub auth_mode: String,
    /// How long a revoked key may still be accepted: the template's `KeyCacheSeconds`.
    pub key_cache_seconds: u64,
    /// Servers on this machine, as `host:port`, that the functions may fetch from, besides the demo
    /// upstream.
    pub allow_hosts: Vec<String>,
    /// How the gateway handles trailing slashes.
    pub slash: Slash,
    /// A Celery application whose task bodies run in a Python function.
    pub celery: Option<Application>,
    /// The destination of the functions' log lines.
    pub logs: Logs,
    /// Whether each step is printed on the terminal.
    pub progress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            http_port: 0,
            aws_port: 0,
            upstream_port: 0,
            data: None,
            release: false,
            reload: false,
            concurrency: 1,
            delay: Duration::ZERO,
            environment: Vec::new(),
            auth_mode: OPEN.to_owned(),
            key_cache_seconds: 60,
            allow_hosts: Vec::new(),
            slash: Slash::default(),
            celery: None,
            logs: Logs::File,
            progress: false,
        }
    }
}

/// A running stack. Dropping it stops everything that it has started.
#[derive(Debug)]
pub struct Stack {
    template: Template,
    ports: Ports,
    log_file: PathBuf,
    key: Option<String>,
    bodies: Option<Bodies>,
    // Fields are dropped in this order: callers before the services that they call.
    _gateway: Gateway,
    watcher: Process,
    invocations: Invocations,
    emulator: Emulator,
    upstream: Upstream,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    /// The watcher's port, on which functions are invoked.
    functions: u16,
    /// The port on which functions invoke functions.
    invocations: u16,
    aws: u16,
    upstream: u16,
}

impl Stack {
    /// Starts all parts and returns when the service answers.
    ///
    /// # Errors
    /// One line for people when a tool is missing, a port is in use, or a part does not start.
    /// Parts that were started before are stopped.
    // One step after the other, each with the parts of the steps before.
    pub fn start(options: &Options) -> Result<Self> {
        let steps = Steps {
            told: options.progress,
        };
        let ports = steps.run("ports are free", || Ports::claim(options))?;
        let template = Template::read(&project::root().join("template.yaml"))?;
        let tools = steps.run("tools", setup::run_tools)?;
        let application = options.celery.as_ref();
        let application = application
            .map(|application| steps.run("Celery application", || application.prepare(ports.aws)));
        let application = application.transpose()?;
        let runner = steps.run("functions built", || {
            functions::build(options.release)?;
            functions::build_runner()
        })?;
        let scratch = project::scratch(ports.http);
        let upstream = steps.run("demo upstream", || {
            Upstream::start(ports.upstream, options.delay)
        })?;
        let emulator = steps.run("AWS endpoints", || {
            let log = Log::create(&scratch.join("ministack.log"), false)?;
            let settings = emulator::Settings {
                program: &tools.ministack,
                runner: &runner,
                port: ports.aws,
                services: emulator::SERVICES,
                data: options.data.as_deref(),
                environment: &[],
            };
            Emulator::start(&settings, &log)
        })?;
        steps.run("tables and queues of template.yaml", || {
            // A killed stack may have left a mapping in its kept state.
            resources::disconnect(&emulator.aws, &template)?;
            resources::create_storage(&emulator.aws, &template)
        })?;
        let functions_url = format!("http://127.0.0.1:{}", ports.functions);
        let invocations = Invocations::start(
            ports.invocations,
            &template,
            &functions_url,
            &format!("http://127.0.0.1:{}", ports.aws),
        )?;
        let log_file = scratch.join("functions.log");
        let (watcher, log) = steps.run("functions run under cargo lambda watch", || {
            let log = Log::create(&log_file, options.logs == Logs::Terminal)?;
            let watcher = watch(
                options,
                ports,
                &tools,
                &runner,
                &template,
                application.as_ref(),
                &log,
            )?;
            Ok((watcher, log))
        })?;
        let gateway = steps.run("HTTP API of template.yaml", || {
            auth::gateway(ports.http, &functions_url, &template, options)
        })?;
        let key = match options.auth_mode.as_str() {
            OPEN => None,
            _ => Some(steps.run("API key", || {
                let place = Place::Local(format!("http://127.0.0.1:{}", ports.aws));
                keys::create(&place, "local", "read,write,admin", &[])
            })?),
        };
        let bodies = application.map(|application| {
            steps.run("Python function of the application", || {
                Bodies::start(application, &emulator.aws, &scratch, &log)
            })
        });
        let stack = Self {
            bodies: bodies.transpose()?,
            template,
            ports,
            log_file,
            key,
            _gateway: gateway,
            watcher,
            invocations,
            emulator,
            upstream,
        };
        steps.run("queue and worker connected", || {
            resources::connect(&stack.emulator.aws, &stack.template, &functions_url)?;
            let bodies = stack.bodies.as_ref();
            bodies.map_or(Ok(()), |bodies| {
                bodies.connect(&stack.emulator.aws, &stack.template)
            })
        })?;
        Ok(stack)
    }

    /// The address of the service, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }

    /// A key with all scopes, created at the start; `None` without authentication.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The address of the AWS endpoints.
    #[must_use]
    pub fn aws_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.aws)
    }

    /// The address on which functions invoke functions.
    #[must_use]
    pub fn invocations_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.invocations.port())
    }

    /// A folder for small files of this stack.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        project::scratch(self.ports.http)
    }

    /// The address of the demo upstream.
    #[must_use]
    pub fn upstream_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port())
    }

    /// The process ids of a function; empty before its first invocation.
    #[must_use]
    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        process::descendants(self.watcher.id(), function)
    }

    /// All lines that the functions and the watcher have written so far. Lines of a function start
    /// with its name.
    #[must_use]
    pub fn logs(&self) -> String {
        let bytes = std::fs::read(&self.log_file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Checks that all parts still run.
    ///
    /// # Errors
    /// When a part has ended by itself; the message has its name.
    pub fn check(&mut self) -> Result<()> {
        self.watcher.check()?;
        self.emulator.check()
    }

    /// Stops everything, like dropping the stack.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The mappings are deleted first, so that no message is sent to functions that are about to
        // end.
        let _ = resources::disconnect(&self.emulator.aws, &self.template);
    }
}

impl Ports {
    fn claim(options: &Options) -> Result<Self> {
        Ok(Self {
            http: project::claim_port(
                options.http_port,
                "HTTP requests",
                "choose another with --port",
            )?,
            functions: project::claim_port(0, "the functions", "try again")?,
            invocations: project::claim_port(0, "functions that invoke functions", "try again")?,
            aws: project::claim_port(
                options.aws_port,
                "the AWS endpoints",
                "choose another with --aws-port",
            )?,
            upstream: project::claim_port(
                options.upstream_port,
                "the demo upstream",
                "choose another with --upstream-port",
            )?,
        })
    }
}

fn watch(
    options: &Options,
    ports: Ports,
    tools: &Tools,
    runner: &Path,
    template: &Template,
    application: Option<&Prepared>,
    log: &Log,
) -> Result<Process> {
    let given = options.all_variables();
    let of_stack = [
        (
            "FUNCTIONS".to_owned(),
            template.invoked_by_default().join(","),
        ),
        (
            "AWS_ENDPOINT_URL_LAMBDA".to_owned(),
            format!("http://127.0.0.1:{}", ports.invocations),
        ),
    ];
    let of_application = application.map(Prepared::worker_variables);
    let mut variables = of_application.unwrap_or_default();
    variables.extend(of_stack);
    // The options' variables come before all others.
    variables.retain(|(name, _)| given.iter().all(|(other, _)| other != name));
    variables.extend(given);
    let mut environment = environment::read(ports, &variables)?;
    environment::open(&mut environment, &options.allow_hosts);
    let settings = Settings {
        cargo_lambda: &tools.cargo_lambda,
        runner,
        port: ports.functions,
        environment: &environment,
        release: options.release,
        reload: options.reload,
        concurrency: options.concurrency,
        scratch: &project::scratch(ports.http),
    };
    functions::start(&settings, template, log)
}

/// Prints each step when it is done, with its duration.
pub(crate) struct Steps {
    pub(crate) told: bool,
}

impl Steps {
    pub(crate) fn run<T>(&self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = step();
        if self.told && result.is_ok() {
            println!("✓ {name} ({:.1} s)", started.elapsed().as_secs_f64());
        }
        result
    }
}
