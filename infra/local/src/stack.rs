//! The whole local stack, started and stopped as one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::emulator::{self, Emulator};
use crate::error::Result;
use crate::functions::{self, Settings};
use crate::gateway::{Gateway, Slash};
use crate::keys::{self, Place};
use crate::process::{self, Log, Process};
use crate::setup::{self, Tools};
use crate::template::Template;
use crate::upstream::Upstream;
use crate::{project, resources};

mod auth;
mod environment;

/// The default port of HTTP requests.
pub const HTTP_PORT: u16 = 9000;
/// The default port of the AWS endpoints.
pub const AWS_PORT: u16 = 4566;
/// The default port of the demo upstream.
pub const UPSTREAM_PORT: u16 = 9100;

/// The `AuthMode` without keys.
const OPEN: &str = "none";

/// Where the functions' lines go. A file has them in any case; see
/// [`Stack::logs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logs {
    /// Into the file only.
    #[default]
    File,
    /// On the terminal too.
    Terminal,
}

/// What kind of stack to start. The default is for tests: free ports, nothing
/// printed, no reload.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of HTTP requests, 0 for a free one.
    pub http_port: u16,
    /// The port of the AWS endpoints, 0 for a free one.
    pub aws_port: u16,
    /// The port of the demo upstream, 0 for a free one.
    pub upstream_port: u16,
    /// A folder that keeps rows and messages from one stack to the next.
    pub data: Option<PathBuf>,
    /// Whether the functions are optimized.
    pub release: bool,
    /// Whether a changed source file reloads the functions.
    pub reload: bool,
    /// How many processes each function may have.
    pub concurrency: usize,
    /// How long the demo upstream waits before each answer.
    pub delay: Duration,
    /// Variables for the functions, besides those of `infra/local/env` or
    /// instead of them.
    pub environment: Vec<(String, String)>,
    /// How callers prove who they are: the template's `AuthMode`, but for
    /// `jwt`, which only API Gateway itself does. Other than `none`, the stack
    /// has a key; see [`Stack::key`].
    pub auth_mode: String,
    /// How long a revoked key may still be taken: the template's
    /// `KeyCacheSeconds`.
    pub key_cache_seconds: u64,
    /// Servers on this machine, as `host:port`, that the functions may fetch
    /// from besides the demo upstream.
    pub allow_hosts: Vec<String>,
    /// What the gateway makes of a slash at the end of a path.
    pub slash: Slash,
    /// Where the functions' lines go.
    pub logs: Logs,
    /// Whether each step is told on the terminal.
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
            logs: Logs::File,
            progress: false,
        }
    }
}

/// A running stack; dropping it stops what it started, and nothing else.
#[derive(Debug)]
pub struct Stack {
    template: Template,
    ports: Ports,
    log_file: PathBuf,
    key: Option<String>,
    // Dropped in this order: what invokes and is invoked before what it needs.
    _gateway: Gateway,
    watcher: Process,
    emulator: Emulator,
    upstream: Upstream,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    /// Where the functions are invoked: the watcher's own port.
    functions: u16,
    aws: u16,
    upstream: u16,
}

impl Stack {
    /// Starts everything and returns when requests are answered.
    ///
    /// # Errors
    /// With one line for a person when something is missing, in use, or does
    /// not come up. What had been started by then is stopped.
    pub fn start(options: &Options) -> Result<Self> {
        let steps = Steps {
            told: options.progress,
        };
        let ports = steps.run("ports are free", || Ports::claim(options))?;
        let template = Template::read(&project::root().join("template.yaml"))?;
        let tools = steps.run("tools", setup::run_tools)?;
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
            // State that was kept by a killed stack may still have a mapping.
            resources::disconnect(&emulator.aws, &template)?;
            resources::create_storage(&emulator.aws, &template)
        })?;
        let log_file = scratch.join("functions.log");
        let watcher = steps.run("functions run under cargo lambda watch", || {
            let log = Log::create(&log_file, options.logs == Logs::Terminal)?;
            watch(options, ports, &tools, &runner, &template, &log)
        })?;
        let functions_url = format!("http://127.0.0.1:{}", ports.functions);
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
        let stack = Self {
            template,
            ports,
            log_file,
            key,
            _gateway: gateway,
            watcher,
            emulator,
            upstream,
        };
        steps.run("queue and worker connected", || {
            resources::connect(&stack.emulator.aws, &stack.template, &functions_url)
        })?;
        Ok(stack)
    }

    /// Where HTTP requests go, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }

    /// A key with all scopes, made at the start; none where everybody gets in.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Where AWS calls go.
    #[must_use]
    pub fn aws_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.aws)
    }

    /// Where the demo upstream is.
    #[must_use]
    pub fn upstream_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port())
    }

    /// The processes of a function; none before its first invocation.
    #[must_use]
    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        process::descendants(self.watcher.id(), function)
    }

    /// All lines that the functions and the watcher have written so far, each
    /// function's with its name in front.
    #[must_use]
    pub fn logs(&self) -> String {
        let bytes = std::fs::read(&self.log_file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// An error if a part of the stack has ended by itself.
    ///
    /// # Errors
    /// With the name of that part.
    pub fn check(&mut self) -> Result<()> {
        self.watcher.check()?;
        self.emulator.check()
    }

    /// Stops everything; the same as dropping it.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // First, so that no message is handed to functions that are going.
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
    log: &Log,
) -> Result<Process> {
    let mut environment = environment::read(ports, &options.all_variables())?;
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

/// Tells each step when it is done, and how long it took.
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
