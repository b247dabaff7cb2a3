//! A job whose body runs elsewhere, at one worker.

use futures_util::future::BoxFuture;

use super::*;
use crate::tasks::format::{Computed, Decoded, EffectError, Entered, Format, Incoming, Plan};
use crate::tasks::job::Retry;
use crate::tasks::record::End;
use crate::tasks::registry::{AnyJob, Call, Output};
use crate::tasks::task::Origin;

type Body = fn(Call) -> BoxFuture<'static, Result<Output, JobError>>;

/// A remote job with this body.
struct Remote(Body);

impl AnyJob for Remote {
    fn is_remote(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        (self.0)(call)
    }
}

fn with(body: Body) -> Fixture {
    let mut fixture = fixture(LEASE);
    let jobs = std::mem::take(&mut fixture.worker.jobs);
    fixture.worker.jobs = jobs.with_pattern("remote.*", Arc::new(Remote(body)));
    fixture
}

#[tokio::test]
async fn a_job_of_the_name_comes_before_a_pattern() {
    let mut fixture = with(|_| Box::pin(async { Ok("1".to_owned().into()) }));
    let jobs = std::mem::take(&mut fixture.worker.jobs);
    let all = Remote(|_| Box::pin(async { Ok("2".to_owned().into()) }));
    fixture.worker.jobs = jobs.with_pattern("*", Arc::new(all));
    for (job, result) in [("echo", "\"a\""), ("remote.x", "1"), ("other", "2")] {
        let (id, body) = task(job, json!("a"));
        assert!(fixture.run(&[("m", body)], LEASE).await.is_empty());
        let record = fixture.worker.tasks.get(&id).await.unwrap().unwrap();
        assert_eq!(record.result.unwrap().get(), result, "{job}");
    }
}

/// The deadline and the limit of a call, as its result.
fn times(call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
    let left = call.deadline.saturating_sub(now_ms());
    let limit = call.limit.map(|limit| limit.as_secs());
    Box::pin(async move { Ok(json!([left, limit]).to_string().into()) })
}

#[tokio::test]
async fn a_call_has_the_earlier_of_two_times_as_its_deadline() {
    let fixture = with(times);
    for (limit, worker, most) in [
        (None, 100, 95_000),
        (Some(7), 100, 7_000),
        (Some(90), 40, 36_000),
    ] {
        let id = TaskId::from(Uuid::new_v4());
        let mut task = Task::new(id.clone(), "remote.x", RawValue::NULL.to_owned(), now_ms());
        task.options.time_limit = limit;
        let body = wire::encode(&task).unwrap();
        let time = Duration::from_secs(worker);
        assert!(fixture.run(&[("m", body)], time).await.is_empty());
        let record = fixture.worker.tasks.get(&id).await.unwrap().unwrap();
        let (left, seen): (u64, Option<u64>) =
            serde_json::from_str(record.result.unwrap().get()).unwrap();
        assert!(left <= most && left + 5_000 > most, "{left} of {most}");
        assert_eq!(seen, limit);
    }
}

#[tokio::test]
async fn a_wait_spends_no_attempt_and_a_rejected_message_is_dead_lettered() {
    let fixture = with(|call| {
        let error = match call.input.get() {
            "\"wait\"" => {
                let error = JobError::transient("Throttled", "later");
                error.with_retry(Retry::Wait(Duration::from_secs(3)))
            }
            _ => JobError::permanent("Rejected", "spam").rejected(),
        };
        Box::pin(async { Err(error) })
    });
    let (id, body) = task("remote.x", json!("wait"));
    assert_eq!(fixture.run(&[("m", body)], LEASE).await, ["m"]);
    let record = fixture.worker.tasks.get(&id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt), (State::Retrying, 0));
    assert_eq!(record.error.unwrap().kind, "Throttled");
    assert!(record.attempts.is_empty());
    // Longer the longer the run has waited.
    let seconds = fixture.calls.visibility_timeout("receipt-m").unwrap();
    assert!((3..60).contains(&seconds), "{seconds}");

    let (id, body) = task("remote.x", json!("reject"));
    assert!(fixture.run(&[("r", body.clone())], LEASE).await.is_empty());
    assert_eq!(
        fixture.ended(&id).await,
        (State::Failed, Some("Rejected".to_owned()))
    );
    let sent = fixture.calls.of("SendMessage").remove(0);
    assert_eq!(
        (&sent["QueueUrl"], &sent["MessageBody"]),
        (&json!("http://sqs/dead"), &json!(body))
    );
    assert_eq!(sent["MessageAttributes"]["reason"]["StringValue"], "spam");
}

/// A format that notes what it is told.
#[derive(Clone, Default)]
struct Testing(Arc<Mutex<Vec<String>>>);

impl Format for Testing {
    fn name(&self) -> &'static str {
        "test"
    }

    fn decode(&self, message: &Incoming<'_>) -> Option<Decoded> {
        let input = message.body.strip_prefix("test:")?.to_owned();
        let input = RawValue::from_string(input).unwrap();
        let mut task = Task::new(
            TaskId::parse("a/1").unwrap(),
            "remote.x",
            input,
            message.now,
        );
        let effects = vec!["result".to_owned()];
        task.origin = Some(Origin::new("test", effects, RawValue::NULL.to_owned()));
        Some(Decoded::Task(Box::new(task)))
    }

    fn input(&self, _: &Task, _: &dyn AnyJob, _: Box<RawValue>) -> Result<Box<RawValue>, JobError> {
        Err(JobError::permanent(
            "Converted",
            "a remote job gets the input as it is",
        ))
    }

    fn plan(&self, _: &Task, end: &End) -> Result<Plan, JobError> {
        assert!(end.calls.is_some());
        Ok(Plan::Computed(Box::new("computed".to_owned())))
    }

    fn perform<'a>(
        &'a self,
        _: &'a Task,
        end: &'a End,
        computed: Option<Computed>,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        let computed = computed.and_then(|computed| computed.downcast::<String>().ok());
        assert_eq!(*computed.expect("what the plan has computed"), "computed");
        let calls = end.calls.as_ref().map(|calls| calls.get());
        self.0
            .lock()
            .unwrap()
            .push(format!("{} {calls:?}", end.state));
        Box::pin(std::future::ready(Ok(())))
    }

    fn entered<'a>(&'a self, _: &'a Task, entered: Entered<'a>) -> BoxFuture<'a, ()> {
        if let Entered::Retrying { calls, .. } = entered {
            let calls = calls.map(RawValue::get);
            self.0.lock().unwrap().push(format!("retrying {calls:?}"));
        }
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_format_gets_the_calls_of_an_answer() {
    let format = Testing::default();
    let mut fixture = with(|call| {
        let calls = RawValue::from_string(format!("[{}]", call.input)).unwrap();
        let answer = match call.context.attempt {
            1 => {
                let asked = JobError::transient("Asked", "again").with_calls(calls);
                Err(asked.with_retry(Retry::Asked(Duration::ZERO)))
            }
            _ => Ok(Output {
                calls: Some(calls),
                ..Output::from("1".to_owned())
            }),
        };
        Box::pin(async { answer })
    });
    fixture.worker.formats = vec![Arc::new(format.clone())];
    let body = "test:7".to_owned();
    assert_eq!(fixture.run(&[("m", body.clone())], LEASE).await, ["m"]);
    assert!(fixture.run(&[("m", body)], LEASE).await.is_empty());
    let noted = format.0.lock().unwrap().clone();
    assert_eq!(
        noted,
        [r#"retrying Some("[7]")"#, r#"completed Some("[7]")"#]
    );
}
