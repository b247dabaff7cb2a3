//! The local AWS endpoints: `ministack`, on loopback only.

use std::path::Path;
use std::time::Duration;

use crate::aws::Aws;
use crate::error::{Context, Error, Result};
use crate::functions;
use crate::process::{self, Log, Process};

/// What it loads for the stack; the names are those of its `SERVICES` setting.
pub const SERVICES: &str = "cloudformation,dynamodb,sqs,lambda,iam,sts,logs,scheduler";

/// How the endpoints are to run.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The `ministack` program.
    pub program: &'a Path,
    /// The program that ties it to our life.
    pub runner: &'a Path,
    /// Its port.
    pub port: u16,
    /// What it loads.
    pub services: &'a str,
    /// A folder that state is read from, and written to when it stops.
    pub data: Option<&'a Path>,
    /// Variables that functions inside of it get besides their own.
    pub environment: &'a [(String, String)],
}

/// Running AWS endpoints.
#[derive(Debug)]
pub struct Emulator {
    /// Calls them.
    pub aws: Aws,
    process: Process,
}

impl Emulator {
    /// Starts the endpoints and waits until they answer.
    ///
    /// # Errors
    /// When they don't come up.
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
            // What functions inside of it call.
            .env("AWS_ENDPOINT_URL", &endpoint)
            // Both would open further ports.
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
        // Writing the state of many rows takes a while.
        let process = Process::start("ministack", command, log, Duration::from_secs(15))?;
        let aws = Aws::new(&endpoint, "us-east-1");
        let mut emulator = Self { aws, process };
        emulator.wait_until_healthy()?;
        Ok(emulator)
    }

    /// The process that all of it runs below.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// An error if it has ended by itself.
    ///
    /// # Errors
    /// When it has ended.
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
