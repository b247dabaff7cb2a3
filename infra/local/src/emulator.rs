//! The local AWS endpoints: `ministack`, on loopback only.

use std::path::Path;
use std::time::Duration;

use crate::aws::Aws;
use crate::error::{Context, Error, Result};
use crate::functions;
use crate::process::{self, Log, Process};

/// The services that `ministack` loads for the stack, as in its `SERVICES` setting.
pub const SERVICES: &str = "cloudformation,dynamodb,sqs,sns,lambda,iam,sts,logs,scheduler,events";

/// The settings of the endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The `ministack` program.
    pub program: &'a Path,
    /// The program that ends `ministack` when this process ends.
    pub runner: &'a Path,
    /// The port of the endpoints.
    pub port: u16,
    /// The services to load, joined by commas.
    pub services: &'a str,
    /// A folder for the state: read at the start, written at the end. `None` to keep no state.
    pub data: Option<&'a Path>,
    /// More environment variables for `ministack` and the functions inside of it.
    pub environment: &'a [(String, String)],
}

/// Running AWS endpoints.
#[derive(Debug)]
pub struct Emulator {
    /// A client of the endpoints.
    pub aws: Aws,
    process: Process,
}

impl Emulator {
    /// Starts the endpoints and waits until they answer.
    ///
    ///
    /// # Errors
    /// When the endpoints do not start or do not answer.
    pub fn start(settings: &Settings, log: &Log) -> Result<Self> {
        let mut command = process::tether(settings.runner, settings.program);
        let endpoint = format!("http://127.0.0.1:{}", settings.port);
        functions::forget_aws(&mut command);
        command
            .envs(
                settings
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", settings.port.to_string())
            .env("SERVICES", settings.services)
            // The endpoint for functions that run inside of `ministack`.
            .env("AWS_ENDPOINT_URL", &endpoint)
            // Without these two settings `ministack` would open more ports.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("PYTHONUNBUFFERED", "1");
        match settings.data {
            Some(folder) => {
                std::fs::create_dir_all(folder)
                    .context(format_args!("cannot create {}", folder.display()))?;
                command.env("PERSIST_STATE", "1").env("STATE_DIR", folder);
            }
            None => {
                command.env("PERSIST_STATE", "0");
            }
        }
        // Writing the state of many rows takes a few seconds.
        let process = Process::start("ministack", command, log, Duration::from_secs(15))?;
        let aws = Aws::new(&endpoint, "us-east-1");
        let mut emulator = Self { aws, process };
        emulator.wait_until_healthy()?;
        Ok(emulator)
    }

    /// The process id of the runner, which is the parent of `ministack`.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Checks that the process still runs.
    ///
    /// # Errors
    /// When the process has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    fn wait_until_healthy(&mut self) -> Result<()> {
        for _ in 0..1000 {
            self.process.check()?;
            if self.aws.is_healthy() {
                return Ok(());
            }
            process::pause()?;
        }
        Err(Error::new("ministack does not answer after 30 seconds"))
    }
}
