//! The fixture of the worker's tests: a worker on an embedded DynamoDB, a queue that records its calls,
//! and jobs.

use super::*;

/// A queue that accepts and records every call.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<(String, Value)>>>);

impl HttpConnector for Calls {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        self.0.lock().unwrap().push((operation, body));
        let answer = json!({"Successful": [], "Failed": [], "MessageId": "m"}).to_string();
        let status = 200.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.into())))
    }
}

impl Calls {
    fn client(&self) -> aws_sdk_sqs::Client {
        sqs_client(self.clone())
    }

    pub(super) fn of(&self, operation: &str) -> Vec<Value> {
        let calls = self.0.lock().unwrap();
        calls
            .iter()
            .filter(|(name, _)| name == operation)
            .map(|(_, body)| body.clone())
            .collect()
    }

    /// A message's last visibility timeout, in seconds.
    pub(super) fn visibility_timeout(&self, receipt: &str) -> Option<u64> {
        let calls = self.of("ChangeMessageVisibilityBatch");
        let mut entries = calls
            .iter()
            .rev()
            .filter_map(|call| call["Entries"].as_array())
            .flatten();
        let entry = entries.find(|entry| entry["ReceiptHandle"] == receipt)?;
        entry["VisibilityTimeout"].as_u64()
    }
}

pub(super) struct Echo(pub(super) Arc<AtomicU32>);
impl Job for Echo {
    const NAME: &'static str = "echo";
    type Input = Value;
    type Output = Value;
    async fn run(&self, input: Value, _: &TaskContext) -> Result<Value, JobError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(input)
    }
}

pub(super) struct Fails;
impl Job for Fails {
    const NAME: &'static str = "fails";
    type Input = String;
    type Output = ();
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 1,
            ..Default::default()
        }
    }
    async fn run(&self, input: String, _: &TaskContext) -> Result<(), JobError> {
        match input.as_str() {
            "transient" => {
                let after = Duration::from_secs(7);
                Err(JobError::transient("Busy", "try later").retry_after(after))
            }
            "permanent" => Err(JobError::permanent("Wrong", "never")),
            _ => panic!("a bug in the job"),
        }
    }
}

/// Runs until it is stopped.
pub(super) struct Endless;
impl Job for Endless {
    const NAME: &'static str = "endless";
    type Input = ();
    type Output = ();
    async fn run(&self, (): (), _: &TaskContext) -> Result<(), JobError> {
        std::future::pending().await
    }
}

pub(super) struct Large;
impl Job for Large {
    const NAME: &'static str = "large";
    type Input = usize;
    type Output = String;
    async fn run(&self, size: usize, _: &TaskContext) -> Result<String, JobError> {
        Ok("x".repeat(size))
    }
}

pub(super) struct Fixture {
    pub(super) worker: Worker,
    pub(super) calls: Calls,
    pub(super) runs: Arc<AtomicU32>,
    pub(super) faults: Faults,
}

pub(super) fn fixture(lease: Duration) -> Fixture {
    let (calls, faults, runs) = (Calls::default(), Faults::default(), Arc::default());
    let table = testing::TASKS.to_owned();
    let tasks = TaskStore::new(testing::faulty(&faults), table, Duration::from_secs(3600));
    let worker = Worker {
        counter: Counter::new(tasks.counts()),
        tasks,
        queue: TaskQueue::new(
            calls.client(),
            "http://sqs/tasks".to_owned(),
            "http://sqs/high".to_owned(),
        ),
        runner: Arc::new(Runner::start().unwrap()),
        name: "worker 1".to_owned(),
        dead_letters: DeadLetters::new(calls.client(), "http://sqs/dead".to_owned()),
        jobs: Registry::default()
            .with(Echo(Arc::clone(&runs)))
            .with(Fails)
            .with(Endless)
            .with(Large),
        lease,
        formats: Vec::new(),
        delays: None,
    };
    Fixture {
        worker,
        calls,
        runs,
        faults,
    }
}

impl Fixture {
    pub(super) async fn run(&self, messages: &[(&str, String)], time: Duration) -> Vec<String> {
        let records = messages.iter().map(|(id, body)| Delivery {
            id: (*id).to_owned(),
            receipt: format!("receipt-{id}"),
            body: body.clone(),
            ..Delivery::default()
        });
        let deadline = now_ms() + u64::try_from(time.as_millis()).unwrap();
        self.worker.run_batch(records.collect(), deadline).await
    }

    pub(super) async fn ended(&self, id: &TaskId) -> (State, Option<String>) {
        let record = self.worker.tasks.get(id).await.unwrap().unwrap();
        (record.state, record.error.map(|error| error.kind))
    }
}

pub(super) fn task(job: &str, input: Value) -> (TaskId, String) {
    let id = TaskId::from(Uuid::new_v4());
    let input = RawValue::from_string(input.to_string()).unwrap();
    (
        id.clone(),
        wire::encode(&Task::new(id, job, input, now_ms())).unwrap(),
    )
}
