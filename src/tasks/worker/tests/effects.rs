//! Messages of another format, at one worker.

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use futures_util::future::BoxFuture;

use super::*;
use crate::dynamodb::ConditionalPut;
use crate::dynamodb::row::text;
use crate::tasks::format::{Computed, Decoded, EffectError, Entered, Format, Incoming, Plan};
use crate::tasks::record::{End, TaskError};
use crate::tasks::registry::AnyJob;
use crate::tasks::task::Origin;

/// A format whose messages are `test:`, the name of a job, a colon and the job's input. It performs effects
/// as it was told to, and keeps what it was called for.
#[derive(Clone, Default)]
struct Testing {
    fails: Option<fn() -> EffectError>,
    calls: Arc<Mutex<Vec<String>>>,
    options: crate::tasks::task::Options,
    /// What the format plans for an end.
    plans: Plans,
}

#[derive(Clone, Copy, Default)]
enum Plans {
    #[default]
    Open,
    Nothing,
    /// A put into this table.
    Put(&'static str),
}

impl Testing {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

fn id() -> TaskId {
    TaskId::parse("a/1").unwrap()
}

impl Format for Testing {
    fn name(&self) -> &'static str {
        "test"
    }

    fn decode(&self, message: &Incoming<'_>) -> Option<Decoded> {
        let text = message.body.strip_prefix("test:")?;
        let Some((job, input)) = text.split_once(':') else {
            return Some(Decoded::Malformed("no job".to_owned()));
        };
        let input = RawValue::from_string(input.to_owned()).unwrap();
        let mut task = Task::new(id(), job, input, message.now);
        task.options = self.options.clone();
        let effects = vec!["result".to_owned()];
        task.origin = Some(Origin::new("test", effects, RawValue::NULL.to_owned()));
        let task = Box::new(task);
        Some(match job {
            "refused" => {
                let error = TaskError::new("Refused", "not this task");
                Decoded::Refused { task, error }
            }
            _ => Decoded::Task(task),
        })
    }

    fn input(
        &self,
        _: &Task,
        _: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError> {
        match input.get() {
            "-1" => Err(JobError::permanent("InvalidInput", "negative")),
            _ => Ok(input),
        }
    }

    fn plan(&self, _: &Task, end: &End) -> Result<Plan, JobError> {
        Ok(match self.plans {
            Plans::Open => Plan::Open,
            Plans::Nothing => Plan::Nothing,
            Plans::Put(table) => Plan::Put(put(table, end)),
        })
    }

    fn perform<'a>(
        &'a self,
        _: &'a Task,
        end: &'a End,
        _: Option<Computed>,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        let kind = end.error.as_ref().map(|error| error.kind.as_str());
        let result = end.result.as_ref().map(|json| json.get().len());
        self.note(format!("{} {kind:?} {result:?}", end.state));
        let failure = self.fails.map_or(Ok(()), |fails| Err(fails()));
        Box::pin(std::future::ready(failure))
    }

    fn entered<'a>(&'a self, _: &'a Task, entered: Entered<'a>) -> BoxFuture<'a, ()> {
        self.note(match entered {
            Entered::Progress { attempt, .. } => format!("progress {attempt}"),
            Entered::Running { attempt, .. } => format!("running {attempt}"),
            Entered::Retrying { attempt, error, .. } => {
                format!("retrying {attempt} {}", error.kind)
            }
        });
        Box::pin(std::future::ready(()))
    }
}

/// A put of an end's state, unless a row is there.
fn put(table: &str, end: &End) -> ConditionalPut {
    let row = [("id", ROW), ("state", end.state.as_str())];
    ConditionalPut {
        table: table.to_owned(),
        row: row
            .map(|(name, value)| (name.to_owned(), text(value)))
            .into(),
        condition: "attribute_not_exists(#id)",
        names: [("#id".to_owned(), "id".to_owned())].into(),
        values: Default::default(),
    }
}

/// The key of the row.
const ROW: &str = "row";

fn with(format: &Testing) -> Fixture {
    let mut fixture = fixture(LEASE);
    fixture.worker.formats = vec![Arc::new(format.clone())];
    fixture
}

async fn run(fixture: &Fixture, body: &str) -> Vec<String> {
    fixture.run(&[("m", body.to_owned())], LEASE).await
}

async fn is_done(fixture: &Fixture) -> bool {
    let record = fixture.worker.tasks.get(&id()).await.unwrap().unwrap();
    record.are_effects_done
}

#[tokio::test]
async fn every_end_has_its_effects() {
    let large = format!("{}", 600_000);
    let ends = [
        (
            "echo:7".to_owned(),
            vec!["running 1", "completed None Some(1)"],
        ),
        (
            format!("large:{large}"),
            vec!["running 1", "completed None Some(600002)"],
        ),
        (
            "echo:-1".to_owned(),
            vec!["running 1", "failed Some(\"InvalidInput\") None"],
        ),
        (
            "nope:7".to_owned(),
            vec!["failed Some(\"UnknownJob\") None"],
        ),
        (
            "refused:7".to_owned(),
            vec!["failed Some(\"Refused\") None"],
        ),
    ];
    for (body, calls) in ends {
        let format = Testing::default();
        let fixture = with(&format);
        let body = format!("test:{body}");
        for _ in 0..2 {
            assert!(run(&fixture, &body).await.is_empty(), "{body}");
            assert_eq!(format.calls(), calls, "{body}");
            assert!(is_done(&fixture).await);
        }
    }
}

#[tokio::test]
async fn a_format_is_told_that_another_attempt_follows() {
    let format = Testing::default();
    let fixture = with(&format);
    assert_eq!(run(&fixture, "test:fails:\"transient\"").await, ["m"]);
    assert_eq!(format.calls(), ["running 1", "retrying 1 Busy"]);
}

#[tokio::test]
async fn effects_that_fail_are_left_for_another_delivery() {
    let failing = Testing {
        fails: Some(|| EffectError::Transient("busy".into())),
        ..Testing::default()
    };
    let mut fixture = with(&failing);
    assert_eq!(run(&fixture, "test:large:600000").await, ["m"]);
    assert!(!is_done(&fixture).await);
    let timeout = fixture.calls.visibility_timeout("receipt-m");
    assert!(timeout.is_some_and(|timeout| timeout <= 2), "{timeout:?}");
    let format = Testing::default();
    fixture.worker.formats = vec![Arc::new(format.clone())];
    assert!(run(&fixture, "test:large:600000").await.is_empty());
    // The large result was read from its chunks.
    assert_eq!(format.calls(), ["completed None Some(600002)"]);
    assert!(is_done(&fixture).await);
}

#[tokio::test]
async fn effects_that_fail_for_good_are_dead_lettered() {
    let failing = Testing {
        fails: Some(|| EffectError::Permanent("no such table".to_owned())),
        ..Testing::default()
    };
    let fixture = with(&failing);
    assert!(run(&fixture, "test:echo:7").await.is_empty());
    let dead = fixture.calls.of("SendMessage");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["MessageBody"], "test:echo:7");
    let reason = dead[0]["MessageAttributes"]["reason"]["StringValue"].as_str();
    assert!(reason.unwrap().ends_with("no such table"));
    assert!(is_done(&fixture).await);
    assert_eq!(fixture.ended(&id()).await.0, State::Completed);
}

#[tokio::test]
async fn an_expired_task_has_effects() {
    let mut format = Testing::default();
    format.options.expires = Some(now_ms() - 1);
    let fixture = with(&format);
    assert!(run(&fixture, "test:echo:7").await.is_empty());
    assert_eq!(format.calls(), ["expired None None"]);
    assert!(is_done(&fixture).await);
}

#[tokio::test]
async fn a_task_that_waits_in_its_queue_has_a_record() {
    let mut format = Testing::default();
    format.options.eta = Some(now_ms() + 60_000);
    let fixture = with(&format);
    for _ in 0..2 {
        assert_eq!(run(&fixture, "test:echo:7").await, ["m"]);
        let record = fixture.worker.tasks.get(&id()).await.unwrap().unwrap();
        assert_eq!(record.state, State::Scheduled);
    }
    assert!(format.calls().is_empty());
}

#[tokio::test]
async fn a_message_without_an_id_is_dead_lettered_with_the_formats_reason() {
    let fixture = with(&Testing::default());
    assert!(run(&fixture, "test:x").await.is_empty());
    let dead = fixture.calls.of("SendMessage");
    let reason = &dead[0]["MessageAttributes"]["reason"]["StringValue"];
    assert_eq!(reason, "no job");
}

#[tokio::test]
async fn the_handler_of_undelivered_messages_performs_effects() {
    let format = Testing::default();
    let fixture = with(&format);
    let handler = DeadLetterHandler {
        tasks: fixture.worker.tasks.clone(),
        dead_letters: fixture.worker.dead_letters.clone(),
        formats: fixture.worker.formats.clone(),
    };
    let delivery = Delivery {
        id: "m".to_owned(),
        body: "test:echo:7".to_owned(),
        ..Delivery::default()
    };
    assert!(handler.run_batch(vec![delivery]).await.is_empty());
    assert_eq!(format.calls(), ["failed Some(\"DeadLettered\") None"]);
    assert!(is_done(&fixture).await);
}

#[tokio::test]
async fn a_task_of_another_format_with_effects_makes_one_call_more() {
    let format = Testing::default();
    let fixture = with(&format);
    run(&fixture, "test:echo:7").await;
    let calls = ["UpdateItem", "GetItem", "PutItem"].map(|name| fixture.faults.calls(name));
    assert_eq!(
        calls,
        [4, 0, 0],
        "claim, complete, the note of the effects, and the numbers"
    );
}

/// The state that [`put`] has put.
async fn state_put(fixture: &Fixture) -> Option<String> {
    let key = [("id".to_owned(), text(ROW))].into();
    let client = fixture.worker.tasks.client();
    let got = client.get_item().table_name(testing::CELERY_RESULTS);
    let row = got.set_key(Some(key)).send().await.unwrap().item?;
    crate::dynamodb::row::find_text(&row, "state")
}

/// The calls to DynamoDB of one message whose end puts a row into this table, or puts nothing.
async fn calls_of(fixture: &Fixture, body: &str) -> [usize; 3] {
    assert!(run(fixture, body).await.is_empty());
    ["UpdateItem", "TransactWriteItems", "PutItem"].map(|name| fixture.faults.calls(name))
}

#[tokio::test]
async fn a_put_that_is_all_is_made_in_one_transaction_with_the_end() {
    for (body, state) in [("test:echo:7", "completed"), ("test:echo:-1", "failed")] {
        let format = Testing {
            plans: Plans::Put(testing::CELERY_RESULTS),
            ..Testing::default()
        };
        let fixture = with(&format);
        assert_eq!(
            calls_of(&fixture, body).await,
            [2, 1, 0],
            "claim, end with its effect, and the numbers of the batch"
        );
        assert!(is_done(&fixture).await);
        assert_eq!(state_put(&fixture).await.as_deref(), Some(state));
        assert_eq!(format.calls(), ["running 1"], "nothing is left to perform");
        assert_eq!(
            calls_of(&fixture, body).await,
            [3, 1, 0],
            "a duplicate does nothing"
        );
        assert_eq!(format.calls(), ["running 1"]);
    }
}

#[tokio::test]
async fn an_end_that_sets_off_nothing_is_done_at_once() {
    let format = Testing {
        plans: Plans::Nothing,
        ..Testing::default()
    };
    let fixture = with(&format);
    assert_eq!(calls_of(&fixture, "test:echo:7").await, [3, 0, 0]);
    assert!(is_done(&fixture).await);
    assert_eq!(format.calls(), ["running 1"]);
}

#[tokio::test]
async fn an_end_whose_put_is_impossible_is_written_alone() {
    // Without a table, without the right to write to it, or with a row that refuses the put.
    for (table, fault, row) in [
        ("none", None, false),
        (
            testing::CELERY_RESULTS,
            Some("AccessDeniedException"),
            false,
        ),
        (testing::CELERY_RESULTS, None, true),
    ] {
        let format = Testing {
            plans: Plans::Put(table),
            ..Testing::default()
        };
        let fixture = with(&format);
        if let Some(kind) = fault {
            let kind = format!("com.amazon.coral.service#{kind}");
            let refusal = json!({"__type": kind, "Message": "not authorized"});
            fixture.faults.refuse("TransactWriteItems", refusal);
        }
        if row {
            let client = fixture.worker.tasks.client();
            let put = client.put_item().table_name(table).item("id", text(ROW));
            put.send().await.unwrap();
        }
        assert!(run(&fixture, "test:echo:7").await.is_empty());
        let calls = ["UpdateItem", "TransactWriteItems"].map(|name| fixture.faults.calls(name));
        let what = "claim, end, the note of the effects, and the numbers of the batch";
        assert_eq!(calls, [4, 1], "{what}");
        assert_eq!(fixture.ended(&id()).await.0, State::Completed);
        let performed = ["running 1", "completed None Some(1)"];
        assert_eq!(format.calls(), performed, "{table} {fault:?}");
        assert!(is_done(&fixture).await);
    }
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_counts_once() {
    let format = Testing {
        plans: Plans::Put(testing::CELERY_RESULTS),
        ..Testing::default()
    };
    let fixture = with(&format);
    fixture.faults.lose_answer("TransactWriteItems");
    assert!(run(&fixture, "test:echo:7").await.is_empty());
    assert_eq!(fixture.faults.calls("TransactWriteItems"), 2);
    assert!(is_done(&fixture).await);
    assert_eq!(ends(&fixture.faults, &id()), 1, "one write ended the task");
    assert_eq!(state_put(&fixture).await.as_deref(), Some("completed"));
}

/// One-time schedules whose calls are kept in the fixture's calls, under no operation.
fn delays(fixture: &Fixture) -> (Delays, Targets) {
    let connector = SharedHttpConnector::new(fixture.calls.clone());
    let config = aws_sdk_scheduler::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let client = aws_sdk_scheduler::Client::from_conf(config.build());
    let arn = || "arn:aws:x".to_owned();
    let targets = Targets {
        role: arn(),
        normal: arn(),
        high: arn(),
        undelivered: arn(),
    };
    (Delays::new(client, "tasks".to_owned()), targets)
}

#[tokio::test]
async fn a_task_that_is_due_late_is_sent_again_by_a_one_time_schedule() {
    let mut format = Testing::default();
    format.options.eta = Some(now_ms() + 20 * 60_000);
    let mut fixture = with(&format);
    assert_eq!(
        run(&fixture, "test:echo:7").await,
        ["m"],
        "without schedules"
    );
    fixture.worker.delays = Some(delays(&fixture));
    for _ in 0..2 {
        assert!(run(&fixture, "test:echo:7").await.is_empty());
    }
    assert_eq!(fixture.ended(&id()).await.0, State::Scheduled);
    let schedules = fixture.calls.of("");
    let sent = schedules[0]["Target"]["Input"].as_str().unwrap();
    let task = wire::decode(sent, now_ms()).unwrap();
    assert_eq!(
        (task.id.clone(), task.options.eta),
        (id(), format.options.eta)
    );
    assert!(task.has_effects() && format.calls().is_empty());
    // The message of the schedule comes a minute early, and waits.
    assert_eq!(run(&fixture, sent).await, ["m"]);
}
