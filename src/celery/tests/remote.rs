//! A remote body whose answers are made as Celery's tracer and the handler around it make them: what the
//! tracer would send and store comes back as calls, with fresh ids wherever Celery makes fresh ids.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::result_of;
use crate::celery::canvas::{Failed, Sender, Sent, failed_chain, on_failure, on_success};
use crate::celery::decode;
use crate::celery::ends::Ends;
use crate::celery::message::Message;
use crate::celery::remote::{RemoteBodies, answer, request};
use crate::celery::result::{Exception, Facts, Keys, Outcome, group_result, task_result};
use crate::clock::now_ms;
use crate::dynamodb::testing::CELERY_RESULTS;
use crate::json::{Json, parse_str};
use crate::tasks::format::{AnswerKind, Parts};
use crate::tasks::job::{JobError, Retry};
use crate::tasks::registry::{AnyJob, Call, Ending, Output};
use crate::tasks::retry::RetryPolicy;

/// The time between a retry and the next attempt.
const DELAY: Duration = Duration::from_secs(3);

/// The tasks whose names begin so have this body.
pub const PREFIX: &str = "remote.";

/// The content type of messages whose content the worker does not read; the content is JSON all the same.
pub const SEALED: &str = "application/x-sealed";

/// The job of the tests as a remote body. Beside the outcomes of the job, `m` moves the task on in another
/// message, `c` crashes the function at the run's first attempt, and `x` at the last attempt.
pub struct RemoteStep {
    pub ends: Ends,
    pub bodies: RemoteBodies,
}

impl AnyJob for RemoteStep {
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 1_000,
            ..RetryPolicy::default()
        }
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        Box::pin(async move { self.answer(&call) })
    }
}

impl RemoteStep {
    fn answer(&self, call: &Call) -> Result<Output, JobError> {
        let request = request(&call.task, &call.input, call.context.trace(), true).unwrap();
        let traced = Traced::of(&serde_json::from_str(request.get()).unwrap());
        let is_first = call.context.attempt == 1;
        match traced.outcome() {
            Some('t') => Err(self.retry(call, &traced)),
            Some('m') => self.moved(call, &traced),
            Some('c') if is_first => Err(JobError::transient("Crashed", "").retry_after(DELAY)),
            Some('x') => Err(JobError::permanent("Crashed", "for good")),
            Some('p') => Err(self.fail(call, &traced)),
            _ => self.succeed(call, &traced),
        }
    }

    /// Has the service check the part of an answer.
    fn check(&self, call: &Call, part: &Value, kind: AnswerKind) -> Result<Parts, JobError> {
        let part = RawValue::from_string(part.to_string()).unwrap();
        answer(&self.ends, &self.bodies, &call.task, &part, kind)
    }

    fn succeed(&self, call: &Call, traced: &Traced) -> Result<Output, JobError> {
        let value = result_of(&traced.name, &traced.before);
        let parsed = parse_str(&value.to_string()).unwrap();
        let sent = on_success(&traced.sender(), &traced.message.embed, &parsed).unwrap();
        let mut calls = self.calls_of(&sent);
        calls.push(traced.store(Outcome::Success(&value.to_string())));
        calls.extend(traced.chord());
        let part = self.check(call, &json!({ "calls": calls }), AnswerKind::Result)?;
        Ok(Output {
            calls: part.calls,
            ..value.to_string().into()
        })
    }

    fn fail(&self, call: &Call, traced: &Traced) -> JobError {
        let exception = Exception::new("builtins", "ValueError", "never");
        let failure = Outcome::Failure(&exception, None);
        let mut calls = vec![traced.store(failure)];
        calls.extend(traced.chord());
        let embed = &traced.message.embed;
        for link in failed_chain(&embed.chain) {
            calls.push(stored(&link.id, failure));
            calls.extend(chord_of(&link));
        }
        let sent = on_failure(&traced.sender(), &embed.errbacks).unwrap();
        calls.extend(self.calls_of(&sent));
        let error = JobError::permanent("ValueError", "never").with_module("builtins");
        match self.check(call, &json!({ "calls": calls }), AnswerKind::Error) {
            Ok(part) => error.with_calls(part.calls.unwrap()),
            Err(error) => error,
        }
    }

    fn retry(&self, call: &Call, traced: &Traced) -> JobError {
        let exception = Exception::new("builtins", "OSError", "again");
        let retry = traced.store(Outcome::Retry(&exception, None));
        let part = json!({"calls": [retry], "message": traced.again()});
        match self.check(call, &part, AnswerKind::Retry) {
            Ok(part) => JobError::transient("OSError", "again")
                .with_retry(Retry::Asked(DELAY))
                .with_calls(part.calls.unwrap())
                .with_next(part.next.unwrap()),
            Err(error) => error,
        }
    }

    fn moved(&self, call: &Call, traced: &Traced) -> Result<Output, JobError> {
        let again = traced.again();
        let body = json!({
            "body": again["body"],
            "content-type": again["content_type"],
            "headers": again["headers"],
            "properties": {"body_encoding": again["body_encoding"]},
        });
        let send = json!({"send": {"queue_url": "http://other/celery", "body": body.to_string()}});
        let part = self.check(call, &json!({ "calls": [send] }), AnswerKind::Moved)?;
        Ok(Output {
            json: RawValue::NULL.to_owned(),
            calls: part.calls,
            ending: Ending::Moved,
        })
    }

    /// The calls that Celery would make for what a task's end sends.
    fn calls_of(&self, sent: &Sent) -> Vec<Value> {
        let mut calls = Vec::new();
        for chord in &sent.chords {
            let group = group_result(&chord.group, &chord.members);
            calls.push(item(
                "store",
                Keys::default().group(&chord.group),
                Some(&group),
            ));
            calls.push(item("counter", Keys::default().chord(&chord.group), None));
        }
        for message in &sent.messages {
            let url = self.ends.outbox.url(message).unwrap();
            let body = sealed(&message.body);
            calls.push(json!({"send": {"queue_url": url, "body": body}}));
        }
        calls
    }
}

fn item(kind: &str, id: String, result: Option<&str>) -> Value {
    let result = result.map(|result| STANDARD.encode(result));
    json!({kind: {"table": CELERY_RESULTS, "id": id, "result": result, "timestamp": 1.5}})
}

fn stored(id: &str, outcome: Outcome) -> Value {
    let facts = Facts {
        id,
        ..Facts::default()
    };
    let result = task_result(&facts, &outcome, now_ms());
    item("store", Keys::default().task(id), Some(&result))
}

fn chord_of(link: &Failed) -> Option<Value> {
    let body: Value = serde_json::from_str(&link.chord.as_ref()?.to_string()).unwrap();
    Some(json!({"chord": {"group": link.group.as_ref()?, "body": body}}))
}

/// The message of a remote task as another serializer writes the message, for each second task.
pub fn sealed(body: &str) -> String {
    let message = decode(body).unwrap();
    let is_sealed = Uuid::new_v5(&Uuid::nil(), message.headers.id.as_bytes())
        .as_u128()
        .is_multiple_of(2);
    if !message.headers.task.starts_with(PREFIX) || !is_sealed {
        return body.to_owned();
    }
    let envelope = STANDARD.decode(body).unwrap();
    let mut envelope: Value = serde_json::from_slice(&envelope).unwrap();
    envelope["content-type"] = SEALED.into();
    envelope.to_string()
}

/// A message in the hands of the tracer.
struct Traced {
    request: Value,
    message: Message,
    before: Value,
    name: String,
    outcomes: String,
    seed: String,
}

impl Traced {
    fn of(request: &Value) -> Traced {
        let envelope = json!({
            "body": request["body"],
            "headers": request["headers"],
            "properties": {"body_encoding": request["body_encoding"]},
        });
        let message = decode(&envelope.to_string()).unwrap();
        let args = Json::from(message.args.clone()).to_string();
        let (before, name, outcomes) = serde_json::from_str(&args).unwrap();
        Traced {
            request: request.clone(),
            message,
            before,
            name,
            outcomes,
            seed: Uuid::new_v4().to_string(),
        }
    }

    /// What happens at this retry.
    fn outcome(&self) -> Option<char> {
        let retries = self.message.headers.retries as usize;
        let chars = || self.outcomes.chars();
        let last = chars().last().filter(|last| *last == 'p');
        chars().nth(retries).or(last)
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            id: &self.message.headers.id,
            root_id: self.message.headers.root_id.as_deref(),
            seed: &self.seed,
            now: now_ms(),
            default_queue: "celery",
            origin: "tracer",
            trace: None,
        }
    }

    fn store(&self, outcome: Outcome) -> Value {
        stored(&self.message.headers.id, outcome)
    }

    /// The count of the task in its chord. The worker knows the body of a message that the worker has read.
    fn chord(&self) -> Option<Value> {
        let body = self.message.embed.chord.as_ref()?;
        let group = self.message.headers.group.as_ref()?;
        let body: Value = serde_json::from_str(&body.to_string()).unwrap();
        let is_sealed = self.request["body_encoding"].is_string();
        Some(match is_sealed {
            true => json!({"chord": {"group": group, "body": body}}),
            false => json!({"chord": true}),
        })
    }

    /// The message of the next retry.
    fn again(&self) -> Value {
        let mut message = self.request.clone();
        message["headers"]["retries"] = (self.message.headers.retries + 1).into();
        message
    }
}
