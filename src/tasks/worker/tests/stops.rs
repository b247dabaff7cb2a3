//! Attempts that are cancelled, exceed their time limit, block their thread or continue in another
//! invocation; tasks before their eta, and tasks after their expiry.

use super::*;
use crate::tasks::store::Cancelled;
use crate::tasks::task::Options;

fn task_with(job: &str, input: Value, options: Options) -> (TaskId, String) {
    let id = TaskId::from(Uuid::new_v4());
    let input = RawValue::from_string(input.to_string()).unwrap();
    let task = Task::new(id.clone(), job, input, now_ms()).with_options(options);
    (id, wire::encode(&task).unwrap())
}

impl Fixture {
    /// Waits until a task is in this state.
    async fn until(&self, id: &TaskId, state: State) {
        loop {
            let record = self.worker.tasks.get(id).await.unwrap();
            if record.is_some_and(|record| record.state == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_cancelled_job_stops_within_a_heartbeat() {
    let fixture = fixture(SHORT_LEASE);
    let (id, body) = task("endless", Value::Null);
    let batch = [("a", body)];
    let running = fixture.run(&batch, Duration::from_secs(3600));
    let cancel = async {
        fixture.until(&id, State::Running).await;
        fixture
            .worker
            .tasks
            .cancel(&Viewer::Everyone, &id)
            .await
            .unwrap()
    };
    let (again, cancelled) = tokio::join!(running, cancel);
    assert_eq!(cancelled, Cancelled::Requested);
    assert!(again.is_empty(), "its message is acknowledged");
    assert_eq!(fixture.ended(&id).await.0, State::Cancelled);
}

#[tokio::test]
async fn a_job_over_its_time_limit_fails_its_task() {
    let fixture = fixture(LEASE);
    let limit = Options {
        time_limit: Some(1),
        ..Options::default()
    };
    let (id, body) = task_with("endless", Value::Null, limit);
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    let expected = (State::Failed, Some("TimeLimitExceeded".to_owned()));
    assert_eq!(fixture.ended(&id).await, expected);
}

/// Blocks its thread until a message arrives on the channel.
struct Blocks(Mutex<std::sync::mpsc::Receiver<()>>);
impl Job for Blocks {
    const NAME: &'static str = "blocks";
    type Input = ();
    type Output = ();
    async fn run(&self, (): (), _: &TaskContext) -> Result<(), JobError> {
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

#[tokio::test]
async fn a_job_that_blocks_its_thread_keeps_its_lease() {
    let (free, blocked) = std::sync::mpsc::channel();
    let mut fixture = fixture(SHORT_LEASE);
    fixture.worker.jobs = Registry::default().with(Blocks(Mutex::new(blocked)));
    let (id, body) = task("blocks", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = fixture.run(&batch, Duration::from_secs(3600));
    let other = async {
        fixture.until(&id, State::Running).await;
        tokio::time::sleep(SHORT_LEASE * 3).await;
        let claim = fixture.worker.tasks.claim(&message, LEASE, "another").await;
        free.send(()).unwrap();
        claim.unwrap()
    };
    let (again, claim) = tokio::join!(running, other);
    assert!(matches!(claim, ClaimOutcome::Held { .. }), "{claim:?}");
    assert!(again.is_empty());
    assert_eq!(fixture.ended(&id).await.0, State::Completed);
}

#[tokio::test]
async fn a_job_that_blocks_its_thread_for_ever_fails_only_its_own_task() {
    let (_free, blocked) = std::sync::mpsc::channel();
    let mut fixture = fixture(LEASE);
    let runs = Arc::clone(&fixture.runs);
    fixture.worker.jobs = Registry::default()
        .with(Blocks(Mutex::new(blocked)))
        .with(Echo(runs));
    let limit = Options {
        time_limit: Some(1),
        ..Options::default()
    };
    let (stuck, body) = task_with("blocks", Value::Null, limit);
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(fixture.ended(&stuck).await.0, State::Failed);
    let (id, body) = task("echo", json!(1));
    assert!(fixture.run(&[("b", body)], LEASE).await.is_empty());
    assert_eq!(fixture.ended(&id).await.0, State::Completed);
}

/// Executes its steps one by one, saves a checkpoint after each step, and records the executed steps.
struct Steps(Arc<Mutex<Vec<u32>>>);
impl Job for Steps {
    const NAME: &'static str = "steps";
    type Input = u32;
    type Output = Vec<u32>;
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 0,
            ..RetryPolicy::default()
        }
    }
    async fn run(&self, steps: u32, context: &TaskContext) -> Result<Vec<u32>, JobError> {
        let saved: Vec<(u32, u32)> = context.saved()?;
        let mut done: Vec<u32> = saved.into_iter().map(|(_, square)| square).collect();
        for step in done.len() as u32..steps {
            self.0.lock().unwrap().push(step);
            done.push(step * step);
            context.save(step, &(step * step)).await?;
            context.progress(u64::from(step) + 1, Some(u64::from(steps)), "on its way");
            // Slow enough that one invocation of the test executes only a few steps.
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        Ok(done)
    }
}

#[tokio::test]
async fn a_job_with_checkpoints_continues_over_several_invocations() {
    let done = Arc::default();
    let mut fixture = fixture(LEASE);
    fixture.worker.jobs = Registry::default().with(Steps(Arc::clone(&done)));
    let (id, body) = task("steps", json!(8));
    let mut invocations = 1;
    // Long enough for a checkpoint also on a busy machine.
    let short = Duration::from_millis(400);
    while fixture.run(&[("a", body.clone())], short).await == ["a"] {
        assert_eq!(fixture.ended(&id).await.0, State::Pending);
        assert_eq!(fixture.calls.visibility_timeout("receipt-a"), Some(0));
        invocations += 1;
    }
    assert!(invocations > 1, "the job was too fast for this test");
    let record = fixture.worker.tasks.get(&id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Completed);
    let squares = record.result.unwrap().get().to_owned();
    assert_eq!(squares, "[0,1,4,9,16,25,36,49]");
    assert_eq!(*done.lock().unwrap(), (0..8).collect::<Vec<u32>>());
    assert_eq!(record.attempts.len(), invocations);
}

#[tokio::test]
async fn progress_can_be_read_while_the_job_runs() {
    let mut fixture = fixture(SHORT_LEASE);
    fixture.worker.jobs = Registry::default().with(Steps(Arc::default()));
    let (id, body) = task("steps", json!(1_000));
    let batch = [("a", body)];
    let running = fixture.run(&batch, Duration::from_secs(3600));
    let reader = async {
        loop {
            let record = fixture.worker.tasks.get(&id).await.unwrap();
            if let Some(progress) = record.and_then(|record| record.progress) {
                fixture
                    .worker
                    .tasks
                    .cancel(&Viewer::Everyone, &id)
                    .await
                    .unwrap();
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (_, progress) = tokio::join!(running, reader);
    assert_eq!(progress.total, Some(1_000));
    assert!(progress.done > 0);
}

#[tokio::test]
async fn a_task_waits_before_its_eta_and_expires_after_its_expiry() {
    let fixture = fixture(LEASE);
    let later = Options {
        eta: Some(now_ms() + 90_000),
        ..Options::default()
    };
    let (_, body) = task_with("echo", json!(1), later);
    assert_eq!(fixture.run(&[("a", body)], LEASE).await, ["a"]);
    let timeout = fixture.calls.visibility_timeout("receipt-a").unwrap();
    assert!((89..=90).contains(&timeout), "{timeout}");
    let over = Options {
        expires: Some(now_ms()),
        ..Options::default()
    };
    let (id, body) = task_with("echo", json!(1), over);
    assert!(fixture.run(&[("b", body)], LEASE).await.is_empty());
    assert_eq!(fixture.ended(&id).await.0, State::Expired);
    assert_eq!(fixture.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_task_that_is_due_within_a_second_begins_in_the_same_delivery() {
    let fixture = fixture(LEASE);
    let eta = now_ms() + 400;
    let soon = Options {
        eta: Some(eta),
        ..Options::default()
    };
    let (id, body) = task_with("echo", json!(1), soon);
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    assert!(now_ms() >= eta, "the task has begun before its eta");
    assert_eq!(fixture.ended(&id).await.0, State::Completed);
    // Without the time for it, another delivery is asked for.
    let soon = Options {
        eta: Some(now_ms() + 900),
        ..Options::default()
    };
    let (_, body) = task_with("echo", json!(1), soon);
    assert_eq!(
        fixture
            .run(&[("b", body)], Duration::from_millis(100))
            .await,
        ["b"]
    );
    assert_eq!(fixture.calls.visibility_timeout("receipt-b"), Some(1));
}

#[tokio::test]
async fn a_submission_may_set_its_own_number_of_retries() {
    let fixture = fixture(LEASE);
    let none = Options {
        max_retries: Some(0),
        ..Options::default()
    };
    let (id, body) = task_with("fails", json!("transient"), none);
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    let expected = (State::Failed, Some("Busy".to_owned()));
    assert_eq!(fixture.ended(&id).await, expected);
}

#[tokio::test]
async fn the_visibility_of_a_high_priority_message_is_changed_in_its_own_queue() {
    let fixture = fixture(LEASE);
    let message = Delivery {
        deliveries: 1,
        id: "a".to_owned(),
        receipt: "receipt-a".to_owned(),
        source: "arn:aws:sqs:eu-central-1:1:high".to_owned(),
        body: task("echo", json!(1)).1,
        sent_at: None,
    };
    fixture.worker.run_batch(vec![message], u64::MAX).await;
    let calls = fixture.calls.of("ChangeMessageVisibilityBatch");
    assert!(!calls.is_empty());
    assert!(
        calls
            .iter()
            .all(|call| call["QueueUrl"] == "http://sqs/high")
    );
}
