//! A Celery application whose task bodies run in a Python function of the local AWS endpoints.
//!
//! [`Application::prepare`] installs the application's packages and finds the application; [`Bodies::start`] creates
//! its queues and its function, and has a changed file start new processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use crate::aws::{Aws, expect};
use crate::error::{Error, Result};
use crate::process::Log;
use crate::resources;
use crate::template::{STACK, Template};

mod beat;
mod find;
mod function;
mod packages;
mod reload;
pub mod settings;

use packages::Packages;

pub use beat::NAME as BEAT;
pub use find::Found;
pub use function::{NAME, TARGET};
pub use settings::Queue;

/// The queue of Celery that `template.yaml` has.
pub const QUEUE: &str = "celery";

/// The queue for messages that cannot be processed, in `template.yaml`.
const UNDELIVERED: &str = "undelivered";

/// The application, as the caller names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// The folder of the application.
    pub folder: PathBuf,
    /// The application as `MODULE:APP`; `None` to look for it.
    pub app: Option<String>,
    /// The names of queues, besides those that the application's settings name.
    pub queues: Vec<String>,
    /// The interpreter of an environment that has the application's packages; `None` to install them.
    pub python: Option<PathBuf>,
    /// Whether the application's own scheduler ticks in a function.
    pub beat: bool,
}

/// An application that is installed and found.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What is known of the application.
    pub found: Found,
    /// Its queues, the first of which is `template.yaml`'s.
    pub queues: Vec<Queue>,
    /// The interpreter of the environment with its packages.
    pub python: PathBuf,
    /// Variables of the function, which come before those for the local stack.
    pub variables: Vec<(String, String)>,
    /// Whether its own scheduler ticks in a function.
    pub beat: bool,
    /// The folder with its packages.
    packages: PathBuf,
}

/// The running function of an application. Dropping it stops the reload; the function ends with the endpoints.
#[derive(Debug)]
pub struct Bodies {
    prepared: Prepared,
    _reload: reload::Reload,
}

impl Application {
    /// Installs the application's packages, unless they are installed, and finds the application.
    ///
    /// # Errors
    /// When a package cannot be installed, or no application is found; the message says what to do.
    pub fn prepare(&self, aws_port: u16) -> Result<Prepared> {
        if !self.folder.is_dir() {
            let folder = self.folder.display();
            return Err(Error::new(format!(
                "{folder} is no folder: --celery takes the application's folder"
            )));
        }
        let packages = match &self.python {
            Some(python) => Packages::of(python)?,
            None => packages::ready(&self.folder)?,
        };
        let found = find::find(&packages, &self.folder, self.app.as_deref())?;
        let mut queues = vec![Queue::new(QUEUE, aws_port)];
        for name in found.queues.iter().chain(&self.queues) {
            if queues.iter().all(|queue| queue.name != *name) {
                queues.push(Queue::new(name, aws_port));
            }
        }
        Ok(Prepared {
            found,
            queues,
            python: packages.python,
            variables: Vec::new(),
            beat: self.beat,
            packages: packages.site,
        })
    }
}

impl Prepared {
    /// The variables of the worker for this application.
    #[must_use]
    pub fn worker_variables(&self) -> Vec<(String, String)> {
        let queues: Vec<String> = self
            .queues
            .iter()
            .map(|queue| format!("{}={}", queue.name, queue.url("127.0.0.1")))
            .collect();
        let queues = queues.join(",");
        [
            ("REMOTE_JOBS", format!("*={TARGET}")),
            ("CELERY_QUEUES", queues.clone()),
            ("CELERY_OWN_QUEUES", queues),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// One line about the application.
    #[must_use]
    pub fn summary(&self) -> String {
        let Found {
            app,
            celery,
            tasks,
            own_results,
            ..
        } = &self.found;
        let queues: Vec<&str> = self
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect();
        let count = tasks.len();
        let beat = if self.beat {
            ", with its own scheduler"
        } else {
            ""
        };
        let results = match own_results {
            true => "none, or where the application's own setting says",
            false => "in DynamoDB",
        };
        let advice = match count {
            0 => {
                ". It imports no module with tasks: name the application that the worker was started with, \
                 by --celery-app"
            }
            _ => "",
        };
        format!(
            "{app}, {count} tasks, Celery {celery}, queues: {}{beat}, results: {results}{advice}",
            queues.join(", ")
        )
    }
}

impl Bodies {
    /// Creates the function and the queues. `log` gets the output of the bodies.
    ///
    /// # Errors
    /// When the endpoints refuse a call, or a file cannot be written.
    pub fn start(prepared: Prepared, aws: &Aws, scratch: &Path, log: &Log) -> Result<Self> {
        for queue in &prepared.queues[1..] {
            create_queue(aws, queue)?;
        }
        let output = scratch.join("bodies.log");
        let stop = Arc::new(AtomicBool::new(false));
        log.follow("bodies", &output, Arc::clone(&stop))?;
        let function = function::Function::new(&prepared, &output)?;
        function.create(aws)?;
        beat::remove(aws)?;
        if prepared.beat {
            beat::create(aws, &function)?;
        }
        let root = &prepared.found.root;
        let reload = reload::Reload::start(function, aws.clone(), log.clone(), root, stop);
        Ok(Self {
            prepared,
            _reload: reload,
        })
    }

    /// The application.
    #[must_use]
    pub fn application(&self) -> &Prepared {
        &self.prepared
    }

    /// Has the worker receive from the application's further queues, after [`resources::connect`].
    ///
    /// # Errors
    /// When the endpoints refuse a call.
    pub fn connect(&self, aws: &Aws, template: &Template) -> Result<()> {
        let own = json!({"Fn::GetAtt": ["CeleryQueue", "Arn"]});
        let consumers = template.queue_consumers();
        let consumer = consumers
            .iter()
            .find(|consumer| consumer.mapping.get("EventSourceArn") == Some(&own));
        let consumer =
            consumer.ok_or_else(|| Error::new("template.yaml has no consumer of CeleryQueue"))?;
        for queue in &self.prepared.queues[1..] {
            resources::create_mapping(aws, consumer, &queue.arn())?;
        }
        Ok(())
    }
}

/// Creates a queue with the attributes of the template's own. A repeated call finds the queue.
fn create_queue(aws: &Aws, queue: &Queue) -> Result<()> {
    let undelivered = settings::arn(&format!("{STACK}-{UNDELIVERED}"));
    let redrive = json!({"deadLetterTargetArn": undelivered, "maxReceiveCount": 1000});
    let attributes: Value = json!({
        "VisibilityTimeout": "960",
        "MessageRetentionPeriod": "1209600",
        "RedrivePolicy": redrive.to_string(),
    });
    let body = json!({"QueueName": queue.physical, "Attributes": attributes});
    let answer = aws.sqs("CreateQueue", &body)?;
    expect(&format!("the queue {}", queue.name), answer)?;
    Ok(())
}
