//! The commands.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Control;
use super::request::{Request, texts};
use super::task_info::{scheduled_info, task_info};
use crate::celery::origin::RESULT;
use crate::celery::python;
use crate::celery::result::{Facts, Outcome, Revoked, task_result};
use crate::celery::store::NEVER_RAN;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::json::Json;
use crate::tasks::client::CancelOutcome;
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::ListQuery;
use crate::tasks::viewer::Viewer;

/// The most tasks of an answer, and the most ids that a question is answered for.
const MOST: usize = 100;
/// How many tasks are revoked, or read, at the same time.
const AT_ONCE: usize = 10;

/// Commands of a worker of Celery that mean nothing here, with the reason.
const UNSUPPORTED: [(&str, &str); 18] = [
    (
        "revoke_by_stamped_headers",
        "tasks are revoked by their ids alone",
    ),
    ("rate_limit", "a task has no rate limit"),
    (
        "time_limit",
        "a time limit is set with the job or with the task",
    ),
    ("enable_events", "there are no events"),
    ("disable_events", "there are no events"),
    ("heartbeat", "there are no events"),
    ("election", "there is one worker"),
    ("hello", "there is one worker"),
    ("pool_grow", "Lambda scales the worker"),
    ("pool_shrink", "Lambda scales the worker"),
    ("pool_restart", "Lambda scales the worker"),
    ("autoscale", "Lambda scales the worker"),
    ("shutdown", "Lambda scales the worker"),
    ("add_consumer", "the stack's template sets the queues"),
    ("cancel_consumer", "the stack's template sets the queues"),
    ("objgraph", "the worker is no Python process"),
    ("memsample", "the worker is no Python process"),
    ("memdump", "the worker is no Python process"),
];

/// Tasks to revoke.
#[derive(Debug, PartialEq)]
pub(super) struct Revocation {
    ids: Vec<TaskId>,
    /// Whether running tasks are stopped.
    terminate: bool,
}

impl Revocation {
    /// The tasks that a command revokes; `None` for another command.
    pub fn of(request: &Request) -> Option<Result<Revocation, String>> {
        let argument = |name| request.arguments.get(name);
        let terminate = match &*request.method {
            "terminate" => true,
            "revoke" => argument("terminate").and_then(Json::as_bool) == Some(true),
            _ => return None,
        };
        let ids = ids(argument("task_id"));
        Some(ids.map(|ids| Revocation { ids, terminate }))
    }
}

impl Control {
    /// Revokes tasks. A revocation holds for a task whose message is still to come, and is repeated
    /// without harm.
    pub(super) async fn revoke(&self, revocation: Revocation) -> Result<Json, StoreError> {
        let Revocation { ids, terminate } = revocation;
        let revoke = async |id: TaskId| {
            let outcome = match terminate {
                true => self.canceller.revoke(&id).await?,
                false => self.canceller.revoke_waiting(&id).await?,
            };
            if let CancelOutcome::Done(record) = &outcome {
                self.store_revoked(&id, record).await?;
            }
            Ok::<_, StoreError>((id, matches!(outcome, CancelOutcome::Requested(_))))
        };
        let revoked = stream::iter(ids.into_iter().map(revoke));
        let revoked: Vec<_> = revoked.buffered(AT_ONCE).try_collect().await?;
        tracing::info!(tasks = revoked.len(), terminate, "tasks are revoked");
        let stopped: Vec<&str> = revoked
            .iter()
            .filter(|(_, is_stopped)| *is_stopped)
            .map(|(id, _)| id.as_str())
            .collect();
        Ok(ok(match (terminate, &*stopped) {
            (true, []) => "terminate: tasks unknown".to_owned(),
            (true, stopped) => format!("terminate: {}", stopped.join(", ")),
            (false, _) => {
                let ids = revoked.iter().map(|(id, _)| id.as_str());
                format!("tasks {} flagged as revoked", python_set(ids))
            }
        }))
    }

    /// Stores REVOKED for a task that will not run, so that its client need not wait until its message has
    /// come. What a worker has stored stays, and a task that ignores its result has none.
    async fn store_revoked(&self, id: &TaskId, record: &TaskRecord) -> Result<(), StoreError> {
        let is_known = record.job.is_some();
        if is_known && record.effects.iter().all(|effect| effect != RESULT) {
            return Ok(());
        }
        let facts = Facts {
            id: id.as_str(),
            ..Facts::default()
        };
        let json = task_result(&facts, &Outcome::Revoked(Revoked::BeforeStart), now_ms());
        self.results.put(id.as_str(), NEVER_RAN, json).await
    }

    /// The answer to a question, or an error where there is none.
    pub(super) async fn inspect(&self, request: &Request) -> Json {
        let answer = match &*request.method {
            "ping" => Ok(ok("pong")),
            "clock" => Ok(Json::object([("clock", request.next_clock().into())])),
            "conf" | "dump_conf" => Ok(self.conf()),
            "report" => Ok(ok(self.report())),
            "registered" | "dump_tasks" => Ok(Json::array(self.jobs.iter().map(String::as_str))),
            "stats" => Ok(self.stats(request)),
            "active_queues" => Ok(self.active_queues()),
            "active" | "dump_active" => self.in_state(State::Running).await,
            "reserved" | "dump_reserved" => self.in_state(State::Pending).await,
            "scheduled" | "dump_schedule" => self.scheduled().await,
            "revoked" | "dump_revoked" => self.revoked().await,
            "query_task" => self.query_task(request).await,
            other => Ok(unsupported(other)),
        };
        answer.unwrap_or_else(|failure| {
            tracing::warn!(error = %Chain(&failure), "a question is not answered");
            error("the table of tasks does not answer")
        })
    }

    fn report(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "async-service {version} on AWS Lambda: one worker, {}",
            self.hostname
        )
    }

    /// The settings of Celery that hold for the worker.
    fn conf(&self) -> Json {
        let queue = self.replies.queues().first().cloned();
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

    /// What is known of the worker. Lambda starts and ends its processes, so the numbers of a process are
    /// those of the one that answers, and tasks are counted by the metrics of the stack.
    fn stats(&self, request: &Request) -> Json {
        let broker = Json::object([
            ("transport", Json::from("sqs")),
            ("virtual_host", "/".into()),
        ]);
        let pool = Json::object([("implementation", Json::from("AWS Lambda"))]);
        Json::object([
            ("total", Json::Object(crate::json::Object::new())),
            ("pid", i64::from(std::process::id()).into()),
            ("clock", request.next_clock().to_string().into()),
            ("uptime", seconds_since(self.started).into()),
            ("pool", pool),
            ("broker", broker),
        ])
    }

    /// The queues that the worker receives from, as kombu describes a queue.
    fn active_queues(&self) -> Json {
        Json::array(self.replies.queues().iter().map(|name| {
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

    async fn in_state(&self, state: State) -> Result<Json, StoreError> {
        let tasks = self.list(state).await?;
        let info = |task: &TaskRecord| task_info(task, &self.hostname);
        Ok(Json::array(tasks.iter().map(info)))
    }

    /// The tasks that wait for their time: for their first attempt, or for the next.
    async fn scheduled(&self) -> Result<Json, StoreError> {
        let mut tasks = self.list(State::Scheduled).await?;
        tasks.extend(self.list(State::Retrying).await?);
        tasks.truncate(MOST);
        let info = |task: &TaskRecord| scheduled_info(task, &self.hostname);
        Ok(Json::array(tasks.iter().map(info)))
    }

    async fn revoked(&self) -> Result<Json, StoreError> {
        let tasks = self.list(State::Cancelled).await?;
        Ok(Json::array(tasks.iter().map(|task| task.id.as_str())))
    }

    /// What is known of tasks by their ids. A task that has ended is unknown, as to a worker of Celery.
    async fn query_task(&self, request: &Request) -> Result<Json, StoreError> {
        let ids = match ids(request.arguments.get("ids")) {
            Ok(ids) if ids.len() <= MOST => ids,
            Ok(_) => return Ok(error(format!("there are more than {MOST} ids"))),
            Err(reason) => return Ok(error(reason)),
        };
        let find = async |id: TaskId| self.reader.find(&Viewer::Everyone, &id).await;
        let found = stream::iter(ids.into_iter().map(find)).buffered(AT_ONCE);
        let found: Vec<_> = found.try_collect().await?;
        let known = found.iter().flatten().filter_map(|task| {
            let state = match task.state {
                State::Running => "active",
                State::Pending => "reserved",
                State::Scheduled | State::Retrying => "scheduled",
                _ => return None,
            };
            let info = Json::array([state.into(), task_info(task, &self.hostname)]);
            Some((task.id.as_str(), info))
        });
        Ok(Json::object(known))
    }

    /// The newest tasks in a state.
    async fn list(&self, state: State) -> Result<Vec<TaskRecord>, StoreError> {
        let query = ListQuery {
            state: Some(state),
            limit: MOST,
            ..ListQuery::default()
        };
        let (tasks, _) = self.reader.list(&Viewer::Everyone, &query).await?;
        Ok(tasks)
    }
}

/// One id or a list of ids.
fn ids(value: Option<&Json>) -> Result<Vec<TaskId>, String> {
    let texts = match value {
        Some(Json::String(one)) => Some(vec![one.clone()]),
        Some(many) => texts(many),
        None => None,
    };
    let texts = texts.ok_or("the ids are no list of texts")?;
    let ids: Option<Vec<TaskId>> = texts.iter().map(|id| TaskId::parse(id)).collect();
    ids.ok_or_else(|| "an id is empty or too long".to_owned())
}

pub(super) fn ok(value: impl Into<Json>) -> Json {
    Json::object([("ok", value.into())])
}

pub(super) fn error(reason: impl Into<String>) -> Json {
    Json::object([("error", Json::from(reason.into()))])
}

/// The answer to a command that this worker does not have: in our words for one of Celery's, and as a
/// worker of Celery says it for any other.
fn unsupported(method: &str) -> Json {
    let mut known = UNSUPPORTED.iter();
    error(match known.find(|(name, _)| *name == method) {
        Some((name, why)) => format!("{name} is not supported: {why}"),
        None => format!("KeyError({})", python::text(method)),
    })
}

/// A set as Python writes it.
fn python_set<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(python::text).collect();
    match &*texts {
        [] => "set()".to_owned(),
        texts => format!("{{{}}}", texts.join(", ")),
    }
}

fn seconds_since(start: std::time::Instant) -> i64 {
    i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX)
}
