//! The commands.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Control;
use super::request::{Request, texts};
use super::task_info::task_info;
use super::worker::{Listed, MOST};
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
use crate::tasks::viewer::Viewer;

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
        let (worker, all) = (&self.worker, &Listed::ALL);
        let answer = match &*request.method {
            "ping" => Ok(ok("pong")),
            "clock" => Ok(Json::object([("clock", request.next_clock().into())])),
            "conf" | "dump_conf" => Ok(worker.conf()),
            "report" => Ok(ok(worker.report())),
            "registered" | "dump_tasks" => Ok(worker.registered()),
            "stats" => Ok(worker.stats(request.next_clock())),
            "active_queues" => Ok(worker.active_queues()),
            "active" | "dump_active" => worker.active(all).await,
            "reserved" | "dump_reserved" => worker.reserved(all).await,
            "scheduled" | "dump_schedule" => worker.scheduled(all).await,
            "revoked" | "dump_revoked" => worker.revoked(all).await,
            "query_task" => self.query_task(request).await,
            other => Ok(unsupported(other)),
        };
        answer.unwrap_or_else(|failure| {
            tracing::warn!(error = %Chain(&failure), "a question is not answered");
            error("the table of tasks does not answer")
        })
    }

    /// What is known of tasks by their ids. A task that has ended is unknown, as to a worker of Celery.
    async fn query_task(&self, request: &Request) -> Result<Json, StoreError> {
        let ids = match ids(request.arguments.get("ids")) {
            Ok(ids) if ids.len() <= MOST => ids,
            Ok(_) => return Ok(error(format!("there are more than {MOST} ids"))),
            Err(reason) => return Ok(error(reason)),
        };
        let worker = &self.worker;
        let find = async |id: TaskId| worker.reader.find(&Viewer::Everyone, &id).await;
        let found = stream::iter(ids.into_iter().map(find)).buffered(AT_ONCE);
        let found: Vec<_> = found.try_collect().await?;
        let known = found.iter().flatten().filter_map(|task| {
            let state = match task.state {
                State::Running => "active",
                State::Pending => "reserved",
                State::Scheduled | State::Retrying => "scheduled",
                _ => return None,
            };
            let info = Json::array([state.into(), task_info(task, &worker.hostname)]);
            Some((task.id.as_str(), info))
        });
        Ok(Json::object(known))
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
