//! The worker as which the whole stack answers: what is known of it without asking any process.

use std::time::Instant;

use super::task_info::{scheduled_info, task_info};
use crate::dynamodb::StoreError;
use crate::json::{Json, Object};
use crate::tasks::client::Reader;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::{ListQuery, TaskFilter};
use crate::tasks::viewer::Viewer;

/// The most tasks of an answer.
pub(super) const MOST: usize = 100;

/// The worker. Its answers have the form of those of a worker of Celery.
#[derive(Debug, Clone)]
pub struct VirtualWorker {
    /// The worker's name, as `celery@host`.
    pub hostname: String,
    /// The names of the jobs, in order.
    pub jobs: Vec<String>,
    /// The names in Celery of the queues that the worker receives from. The first is the default queue.
    pub queues: Vec<String>,
    /// Reads the tasks.
    pub reader: Reader,
    started: Instant,
}

/// Which tasks a list has.
pub struct Listed<'a> {
    /// Whose tasks.
    pub viewer: &'a Viewer,
    /// Whether a task is one of the worker's.
    pub is_own: &'a dyn Fn(&TaskRecord) -> bool,
}

impl Listed<'_> {
    /// The tasks of everybody, on every worker.
    pub(super) const ALL: Listed<'static> = Listed {
        viewer: &Viewer::Everyone,
        is_own: &|_| true,
    };
}

impl VirtualWorker {
    /// The worker with this name, these jobs and these queues.
    pub fn new(
        hostname: String,
        mut jobs: Vec<String>,
        queues: Vec<String>,
        reader: Reader,
    ) -> VirtualWorker {
        jobs.sort_unstable();
        VirtualWorker {
            hostname,
            jobs,
            queues,
            reader,
            started: Instant::now(),
        }
    }

    /// The names of the jobs.
    pub fn registered(&self) -> Json {
        Json::array(self.jobs.iter().map(String::as_str))
    }

    /// A sentence about the worker.
    pub fn report(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "async-service {version} on AWS Lambda: one worker, {}",
            self.hostname
        )
    }

    /// The settings of Celery that hold for the worker.
    pub fn conf(&self) -> Json {
        let queue = self.queues.first().cloned();
        Json::object([
            ("broker_url", Json::from("sqs://")),
            ("accept_content", Json::array(["json"])),
            ("task_serializer", "json".into()),
            ("result_serializer", "json".into()),
            ("task_default_queue", queue.into()),
            ("task_acks_late", true.into()),
            ("enable_utc", true.into()),
            ("timezone", "UTC".into()),
        ])
    }

    /// What is known of the worker, with the logical clock. Lambda starts and ends its processes, so the numbers of a
    /// process are those of the one that answers, and tasks are counted by the metrics of the stack.
    pub fn stats(&self, clock: i64) -> Json {
        let broker = Json::object([
            ("transport", Json::from("sqs")),
            ("virtual_host", "/".into()),
        ]);
        let pool = Json::object([("implementation", Json::from("AWS Lambda"))]);
        Json::object([
            ("total", Json::Object(Object::new())),
            ("pid", i64::from(std::process::id()).into()),
            ("clock", clock.to_string().into()),
            ("uptime", seconds_since(self.started).into()),
            ("pool", pool),
            ("broker", broker),
        ])
    }

    /// The queues that the worker receives from, as kombu describes a queue.
    pub fn active_queues(&self) -> Json {
        Json::array(self.queues.iter().map(|name| {
            let name = Json::from(&**name);
            let exchange = Json::object([
                ("name", name.clone()),
                ("type", "direct".into()),
                ("durable", true.into()),
                ("auto_delete", false.into()),
            ]);
            Json::object([
                ("name", name.clone()),
                ("exchange", exchange),
                ("routing_key", name),
                ("durable", true.into()),
                ("exclusive", false.into()),
                ("auto_delete", false.into()),
                ("no_ack", false.into()),
            ])
        }))
    }

    /// The tasks that run.
    ///
    /// # Errors
    /// When the table does not answer, as for the lists below.
    pub async fn active(&self, listed: &Listed<'_>) -> Result<Json, StoreError> {
        self.in_state(State::Running, listed).await
    }

    /// The tasks that wait for a worker.
    pub async fn reserved(&self, listed: &Listed<'_>) -> Result<Json, StoreError> {
        self.in_state(State::Pending, listed).await
    }

    /// The tasks that wait for their time: for their first attempt, or for the next.
    pub async fn scheduled(&self, listed: &Listed<'_>) -> Result<Json, StoreError> {
        let mut tasks = self.list(State::Scheduled, listed).await?;
        tasks.extend(self.list(State::Retrying, listed).await?);
        tasks.truncate(MOST);
        let info = |task: &TaskRecord| scheduled_info(task, &self.hostname);
        Ok(Json::array(tasks.iter().map(info)))
    }

    /// The ids of the tasks that were revoked.
    pub async fn revoked(&self, listed: &Listed<'_>) -> Result<Json, StoreError> {
        let tasks = self.list(State::Cancelled, listed).await?;
        Ok(Json::array(tasks.iter().map(|task| task.id.as_str())))
    }

    async fn in_state(&self, state: State, listed: &Listed<'_>) -> Result<Json, StoreError> {
        let tasks = self.list(state, listed).await?;
        let info = |task: &TaskRecord| task_info(task, &self.hostname);
        Ok(Json::array(tasks.iter().map(info)))
    }

    /// The newest tasks in a state.
    async fn list(&self, state: State, listed: &Listed<'_>) -> Result<Vec<TaskRecord>, StoreError> {
        let query = ListQuery {
            filter: TaskFilter {
                state: Some(state),
                ..TaskFilter::default()
            },
            limit: MOST,
            ..ListQuery::default()
        };
        let (mut tasks, _) = self.reader.list(listed.viewer, &query).await?;
        tasks.retain(|task| (listed.is_own)(task));
        Ok(tasks)
    }
}

fn seconds_since(start: Instant) -> i64 {
    i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX)
}
