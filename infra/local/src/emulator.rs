//! The local AWS endpoints: `ministack`, on loopback only.

use std::path::Path;
use std::time::Duration;

use crate::aws::Aws;
use crate::error::{Context, Error, Result};
use crate::process::{self, Log, Process};

/// What it loads; the names are those of its `SERVICES` setting.
const SERVICES: &str = "cloudformation,dynamodb,sqs,lambda,iam,sts,logs";

/// Running AWS endpoints.
#[derive(Debug)]
pub struct Emulator {
    /// Calls them.
    pub aws: Aws,
    process: Process,
}

impl Emulator {
    /// Starts the endpoints on `port` and waits until they answer. With `data`
    /// their state is read from that folder, and written there when they stop.
    ///
    /// # Errors
    /// When they don't come up.
    pub fn start(
        program: &Path,
        runner: &Path,
        port: u16,
        data: Option<&Path>,
        log: &Log,
    ) -> Result<Self> {
        let mut command = process::tether(runner, program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", SERVICES)
            // Both would open further ports.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("PYTHONUNBUFFERED", "1");
        match data {
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
        let aws = Aws::new(&format!("http://127.0.0.1:{port}"), "us-east-1");
        let mut emulator = Self { aws, process };
        emulator.wait_until_healthy()?;
        Ok(emulator)
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
