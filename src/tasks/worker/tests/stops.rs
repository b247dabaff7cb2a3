//! Attempts that do not simply end: cancelled, too long, blocked, continued; and tasks whose time
//! has not come, or is over.

use super::*;
use crate::tasks::store::Cancelled;
use crate::tasks::task::Options;

fn task_with(job: &str, input: Value, options: Options) -> (Uuid, String) {
    let id = Uuid::new_v4();
    let input = RawValue::from_string(input.to_string()).unwrap();
    let task = Task::new(id, job, input, now_ms()).with_options(options);
    (id, wire::encode(&task).unwrap())
}

impl Bench {
    /// Waits until a task is in this state.
    async fn until(&self, id: Uuid, state: State) {
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
    let bench = bench(SHORT_LEASE);
    let (id, body) = task("endless", Value::Null);
    let batch = [("a", body)];
    let running = bench.run(&batch, Duration::from_secs(3600));
    let cancel = async {
        bench.until(id, State::Running).await;
        bench
            .worker
            .tasks
            .cancel(&Viewer::Everyone, id)
            .await
            .unwrap()
    };
    let (again, cancelled) = tokio::join!(running, cancel);
    assert_eq!(cancelled, Cancelled::Requested);
    assert!(again.is_empty(), "its message is done with");
    assert_eq!(bench.ended(id).await.0, State::Cancelled);
}

#[tokio::test]
async fn a_job_over_its_time_limit_has_failed() {
    let bench = bench(LEASE);
    let limit = Options {
        time_limit: Some(1),
        ..Options::default()
    };
    let (id, body) = task_with("endless", Value::Null, limit);
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
    let expected = (State::Failed, Some("TimeLimitExceeded".to_owned()));
    assert_eq!(bench.ended(id).await, expected);
}

/// Blocks its thread until it is told to end.
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
    let mut bench = bench(SHORT_LEASE);
    bench.worker.jobs = Registry::default().with(Blocks(Mutex::new(blocked)));
    let (id, body) = task("blocks", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = bench.run(&batch, Duration::from_secs(3600));
    let other = async {
        bench.until(id, State::Running).await;
        tokio::time::sleep(SHORT_LEASE * 3).await;
        let claim = bench.worker.tasks.claim(&message, LEASE, "another").await;
        free.send(()).unwrap();
        claim.unwrap()
    };
    let (again, claim) = tokio::join!(running, other);
    assert!(matches!(claim, ClaimOutcome::Held { .. }), "{claim:?}");
    assert!(again.is_empty());
    assert_eq!(bench.ended(id).await.0, State::Completed);
}

#[tokio::test]
async fn a_job_that_blocks_its_thread_for_good_costs_its_own_task_only() {
    let (_free, blocked) = std::sync::mpsc::channel();
    let mut bench = bench(LEASE);
    let runs = Arc::clone(&bench.runs);
    bench.worker.jobs = Registry::default()
        .with(Blocks(Mutex::new(blocked)))
        .with(Echo(runs));
    let limit = Options {
        time_limit: Some(1),
        ..Options::default()
    };
    let (stuck, body) = task_with("blocks", Value::Null, limit);
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(bench.ended(stuck).await.0, State::Failed);
    let (id, body) = task("echo", json!(1));
    assert!(bench.run(&[("b", body)], LEASE).await.is_empty());
    assert_eq!(bench.ended(id).await.0, State::Completed);
}

/// Does its steps one by one, saves each, and remembers which it did.
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
            // Long enough that no invocation of the test does more than a few.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(done)
    }
}

#[tokio::test]
async fn a_job_that_saves_its_work_goes_on_over_several_invocations() {
    let done = Arc::default();
    let mut bench = bench(LEASE);
    bench.worker.jobs = Registry::default().with(Steps(Arc::clone(&done)));
    let (id, body) = task("steps", json!(8));
    let mut invocations = 1;
    let short = Duration::from_millis(120);
    while bench.run(&[("a", body.clone())], short).await == ["a"] {
        assert_eq!(bench.ended(id).await.0, State::Pending);
        assert_eq!(bench.calls.hidden("receipt-a"), Some(0));
        invocations += 1;
    }
    assert!(invocations > 1, "the job was too fast for this test");
    let record = bench.worker.tasks.get(id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Completed);
    let squares = record.result.unwrap().get().to_owned();
    assert_eq!(squares, "[0,1,4,9,16,25,36,49]");
    assert_eq!(*done.lock().unwrap(), (0..8).collect::<Vec<u32>>());
    assert_eq!(record.attempts.len(), invocations);
}

#[tokio::test]
async fn progress_can_be_read_while_the_job_runs() {
    let mut bench = bench(SHORT_LEASE);
    bench.worker.jobs = Registry::default().with(Steps(Arc::default()));
    let (id, body) = task("steps", json!(1_000));
    let batch = [("a", body)];
    let running = bench.run(&batch, Duration::from_secs(3600));
    let reader = async {
        loop {
            let record = bench.worker.tasks.get(id).await.unwrap();
            if let Some(progress) = record.and_then(|record| record.progress) {
                bench
                    .worker
                    .tasks
                    .cancel(&Viewer::Everyone, id)
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
async fn a_task_that_comes_before_its_time_waits_and_one_that_comes_after_it_expires() {
    let bench = bench(LEASE);
    let later = Options {
        eta: Some(now_ms() + 90_000),
        ..Options::default()
    };
    let (_, body) = task_with("echo", json!(1), later);
    assert_eq!(bench.run(&[("a", body)], LEASE).await, ["a"]);
    let hidden = bench.calls.hidden("receipt-a").unwrap();
    assert!((89..=90).contains(&hidden), "{hidden}");
    let over = Options {
        expires: Some(now_ms()),
        ..Options::default()
    };
    let (id, body) = task_with("echo", json!(1), over);
    assert!(bench.run(&[("b", body)], LEASE).await.is_empty());
    assert_eq!(bench.ended(id).await.0, State::Expired);
    assert_eq!(bench.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_submission_may_name_its_own_number_of_retries() {
    let bench = bench(LEASE);
    let none = Options {
        max_retries: Some(0),
        ..Options::default()
    };
    let (id, body) = task_with("fails", json!("transient"), none);
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
    let expected = (State::Failed, Some("Busy".to_owned()));
    assert_eq!(bench.ended(id).await, expected);
}

#[tokio::test]
async fn a_message_of_the_high_queue_is_hidden_there() {
    let bench = bench(LEASE);
    let message = Delivery {
        id: "a".to_owned(),
        receipt: "receipt-a".to_owned(),
        source: "arn:aws:sqs:eu-central-1:1:high".to_owned(),
        body: task("echo", json!(1)).1,
        sent_at: None,
    };
    bench.worker.run_batch(vec![message], u64::MAX).await;
    let calls = bench.calls.of("ChangeMessageVisibilityBatch");
    assert!(!calls.is_empty());
    assert!(
        calls
            .iter()
            .all(|call| call["QueueUrl"] == "http://sqs/high")
    );
}
