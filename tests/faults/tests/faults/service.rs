//! The service under test, with the proxy between its functions and the AWS endpoints.

use std::time::{Duration, Instant};

use local_stack::celery::{self, Application};
use local_stack::{Options, Stack, celery_client, project};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

use crate::observer::Observer;
use crate::proxy::Proxy;

/// The lease of a task in seconds, after which a silent worker loses it.
pub const LEASE_SECONDS: u64 = 3;

/// The queues' visibility timeout in seconds. It passes in full when a worker dies before its first
/// call to SQS. The template's quarter of an hour would make the test long.
const VISIBILITY_SECONDS: u64 = 20;

/// The processes of each function, enough that a batch does not wait long for a free worker.
const CONCURRENCY: usize = 12;

/// The task queues.
const QUEUES: [&str; 3] = ["tasks", "tasks-high", "celery"];

/// A running service.
pub struct Service {
    // Dropped first, because the stack calls the proxy.
    stack: Stack,
    proxy: Proxy,
    agent: Agent,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
    /// The path of the next page.
    pub next: Option<String>,
}

impl Service {
    /// Starts the local stack with its functions behind a proxy with this seed.
    pub fn start(seed: u64) -> local_stack::Result<Service> {
        let aws_port = project::claim_port(0, "the AWS endpoints", "try again")?;
        let proxy = Proxy::start(&format!("http://127.0.0.1:{aws_port}"), seed)?;
        let environment = [
            ("AWS_ENDPOINT_URL", proxy.url()),
            ("AWS_ENDPOINT_URL_LAMBDA", proxy.url()),
            ("LEASE_SECONDS", LEASE_SECONDS.to_string()),
            // Other names stay unknown jobs.
            ("REMOTE_JOBS", format!("storm.*={}", celery::TARGET)),
        ];
        let application = Application {
            folder: project::root().join("tests/faults/bodies"),
            app: Some("storm_bodies:app".to_owned()),
            python: Some(celery_client::python()?),
            ..Application::default()
        };
        let stack = Stack::start(&Options {
            aws_port,
            concurrency: CONCURRENCY,
            celery: Some(application),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..Options::default()
        })?;
        proxy.invoke_at(&stack.invocations_endpoint());
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let service = Service {
            stack,
            proxy,
            agent: agent.into(),
        };
        for queue in QUEUES {
            let attributes = json!({"VisibilityTimeout": VISIBILITY_SECONDS.to_string()});
            service.sqs(
                "SetQueueAttributes",
                queue,
                &json!({"Attributes": attributes}),
            );
        }
        Ok(service)
    }

    /// The observations of the proxy.
    pub fn observer(&self) -> &Observer {
        self.proxy.observer()
    }

    /// Turns faults on or off.
    pub fn set_stormy(&self, stormy: bool) {
        self.proxy.set_stormy(stormy);
    }

    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        self.stack.pids_of(function)
    }

    /// The processes that run task bodies in Python.
    pub fn body_pids(&self) -> Vec<u32> {
        self.stack.body_pids()
    }

    /// The number of task bodies in Python that have ended.
    pub fn ended_bodies(&self) -> u64 {
        let path = self.stack.scratch().join("bodies.log");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains(" Task storm."));
        lines.count() as u64
    }

    /// A URL of the demo upstream.
    pub fn upstream(&self, path: &str) -> String {
        format!("{}{path}", self.stack.upstream_url())
    }

    /// The last log lines of the functions that contain a text.
    pub fn last_lines_with(&self, text: &str, count: usize) -> String {
        let logs = self.stack.logs();
        let lines: Vec<&str> = logs.lines().filter(|line| line.contains(text)).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// The number of log lines of the functions that contain a text.
    pub fn lines_with(&self, text: &str) -> u64 {
        let logs = self.stack.logs();
        logs.lines().filter(|line| line.contains(text)).count() as u64
    }

    /// Sends a request to the service; `None` when the answer is not HTTP and JSON.
    pub fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Option<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stack.url()))
            .header("content-type", "application/json");
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let mut answer = self.agent.run(request.body(body.to_owned()).ok()?).ok()?;
        let text = answer.body_mut().with_config().limit(u64::MAX);
        let text = text.read_to_string().ok()?;
        let link = answer.headers().get("link");
        let next = link.and_then(|link| Some(next_path(link.to_str().ok()?, &self.stack.url())));
        Some(Answer {
            status: answer.status().as_u16(),
            json: serde_json::from_str(&text).ok()?,
            next: next.flatten(),
        })
    }

    /// A task's record, read without faults.
    pub fn task(&self, id: &str) -> Value {
        let ask = || self.ask("GET", &format!("/tasks/{id}"), None, "");
        let mut answers = (0..5).filter_map(|_| ask());
        let answer = answers.find(|answer| answer.status < 500);
        let answer = answer.unwrap_or_else(|| panic!("the service does not answer for task {id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json
    }

    /// All tasks, read from the list.
    pub fn list(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut page = Some("/tasks/?limit=100".to_owned());
        while let Some(path) = page {
            let answer = self.ask("GET", &path, None, "").expect("a page");
            assert_eq!(answer.status, 200, "{answer:?}");
            all.extend(answer.json.as_array().expect("tasks").iter().cloned());
            page = answer.next;
        }
        all
    }

    /// Sends a message to the task queue without the functions.
    pub fn send(&self, body: &str) {
        self.sqs("SendMessage", "tasks", &json!({"MessageBody": body}));
    }

    /// The AWS endpoint without faults.
    pub fn aws_endpoint(&self) -> String {
        self.stack.aws_endpoint()
    }

    /// A row of Celery's table of results; null if there is none.
    pub fn celery_row(&self, key: &str) -> Value {
        let wanted = json!({"Key": {"id": {"S": key}}, "ConsistentRead": true});
        self.dynamodb("GetItem", wanted)["Item"].take()
    }

    /// Sends messages to the task queue in one batch, so that a worker gets them together.
    pub fn send_together(&self, bodies: &[String]) {
        let entries = bodies.iter().enumerate();
        let entries: Vec<Value> = entries
            .map(|(at, body)| json!({"Id": at.to_string(), "MessageBody": body}))
            .collect();
        let sent = self.sqs("SendMessageBatch", "tasks", &json!({"Entries": entries}));
        assert_eq!(
            sent["Successful"].as_array().map(Vec::len),
            Some(bodies.len())
        );
    }

    /// Receives and deletes all messages of the dead-letter queue. Returns their bodies and
    /// reasons.
    pub fn take_dead_letters(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let wanted = json!({"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]});
        let mut taken = Vec::new();
        loop {
            let received = self.sqs("ReceiveMessage", "dead-letters", &wanted);
            let messages = received["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return taken;
            }
            for message in messages {
                let receipt = json!({"ReceiptHandle": message["ReceiptHandle"]});
                self.sqs("DeleteMessage", "dead-letters", &receipt);
                let reason = &message["MessageAttributes"]["reason"]["StringValue"];
                taken.push((text(&message["Body"]), text(reason)));
            }
        }
    }

    /// The names of all schedules.
    pub fn schedules(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = String::new();
        loop {
            let endpoint = self.stack.aws_endpoint();
            let url = format!("{endpoint}/schedules?MaxResults=100&NextToken={next}");
            let scope = "Credential=test/20250101/us-east-1/scheduler/aws4_request";
            let call = self.agent.get(url);
            let call = call.header("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
            let mut answer = call.call().expect("an answer from the scheduler");
            let text = answer
                .body_mut()
                .read_to_string()
                .expect("text from the scheduler");
            assert_eq!(answer.status(), 200, "{text}");
            let page: Value = serde_json::from_str(&text).expect("JSON from the scheduler");
            let listed = page["Schedules"].as_array().expect("schedules").iter();
            names.extend(listed.filter_map(|one| one["Name"].as_str().map(str::to_owned)));
            match page["NextToken"].as_str() {
                Some(token) if !token.is_empty() => next = token.to_owned(),
                _ => return names,
            }
        }
    }

    /// The number of messages in the task queues: visible, in flight and delayed ones.
    pub fn queued(&self) -> u64 {
        let names = ["", "NotVisible", "Delayed"];
        let names = names.map(|kind| format!("ApproximateNumberOfMessages{kind}"));
        let count = |queue: &str| -> u64 {
            let wanted = json!({"AttributeNames": names});
            let answer = self.sqs("GetQueueAttributes", queue, &wanted);
            let values = names.iter().map(|name| &answer["Attributes"][name]);
            values
                .map(|value| value.as_str().and_then(|text| text.parse::<u64>().ok()))
                .map(|count| count.expect("a count"))
                .sum()
        };
        QUEUES.map(count).iter().sum()
    }

    fn dynamodb(&self, operation: &str, mut wanted: Value) -> Value {
        wanted["TableName"] = json!("async-service-celery-results");
        self.aws(
            "dynamodb",
            &format!("DynamoDB_20120810.{operation}"),
            &wanted,
        )
    }

    fn sqs(&self, operation: &str, queue: &str, wanted: &Value) -> Value {
        let endpoint = self.stack.aws_endpoint();
        let mut wanted = wanted.clone();
        wanted["QueueUrl"] = json!(format!("{endpoint}/000000000000/async-service-{queue}"));
        self.aws("sqs", &format!("AmazonSQS.{operation}"), &wanted)
    }

    /// Calls an AWS service without faults.
    fn aws(&self, service: &str, target: &str, wanted: &Value) -> Value {
        let scope = format!("Credential=test/20250101/us-east-1/{service}/aws4_request");
        let call = self.agent.post(self.stack.aws_endpoint());
        let call = call
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
        let mut answer = call.send(wanted.to_string()).expect("an answer from AWS");
        let text = answer.body_mut().read_to_string().expect("text from AWS");
        assert_eq!(answer.status(), 200, "{target}: {text}");
        serde_json::from_str(&text).expect("JSON from AWS")
    }

    /// Checks a condition repeatedly. Returns whether it was true within `patience`.
    pub fn eventually(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        true
    }
}

fn next_path(link: &str, own: &str) -> Option<String> {
    let url = link.strip_prefix('<')?.split('>').next()?;
    Some(url.strip_prefix(own).unwrap_or(url).to_owned())
}
