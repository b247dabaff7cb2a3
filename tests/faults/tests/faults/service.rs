//! The service under test, with the proxy between its functions and the AWS endpoints.

use std::time::{Duration, Instant};

use local_stack::{Options, Stack, project};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

use crate::observer::Observer;
use crate::proxy::Proxy;

/// How long a silent worker keeps a task, in seconds.
pub const LEASE_SECONDS: u64 = 3;

/// The queues' own visibility timeout, in seconds: what it costs when a worker dies before it has
/// hidden its messages for one lease. The template's quarter of an hour would be a long test.
const VISIBILITY_SECONDS: u64 = 20;

/// Processes of each function: enough that a batch does not wait for long until a worker is free.
const CONCURRENCY: usize = 12;

/// The queues of tasks.
const QUEUES: [&str; 2] = ["tasks", "tasks-high"];

/// A running service.
pub struct Service {
    // Dropped first: it calls the other.
    stack: Stack,
    proxy: Proxy,
    agent: Agent,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
    /// The path of the next page.
    pub next: Option<String>,
}

impl Service {
    /// Starts the local stack, its functions behind a proxy of this seed.
    pub fn start(seed: u64) -> local_stack::Result<Service> {
        let aws_port = project::claim_port(0, "the AWS endpoints", "try again")?;
        let proxy = Proxy::start(&format!("http://127.0.0.1:{aws_port}"), seed)?;
        let environment = [
            ("AWS_ENDPOINT_URL", proxy.url()),
            ("LEASE_SECONDS", LEASE_SECONDS.to_string()),
        ];
        let stack = Stack::start(&Options {
            aws_port,
            concurrency: CONCURRENCY,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..Options::default()
        })?;
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

    /// What the proxy saw.
    pub fn observer(&self) -> &Observer {
        self.proxy.observer()
    }

    /// Faults begin or end.
    pub fn set_stormy(&self, stormy: bool) {
        self.proxy.set_stormy(stormy);
    }

    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        self.stack.pids_of(function)
    }

    /// A URL of the demo upstream.
    pub fn upstream(&self, path: &str) -> String {
        format!("{}{path}", self.stack.upstream_url())
    }

    /// The last lines that the functions have written about something.
    pub fn last_lines_with(&self, text: &str, count: usize) -> String {
        let logs = self.stack.logs();
        let lines: Vec<&str> = logs.lines().filter(|line| line.contains(text)).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// How many lines of the functions have this text.
    pub fn lines_with(&self, text: &str) -> u64 {
        let logs = self.stack.logs();
        logs.lines().filter(|line| line.contains(text)).count() as u64
    }

    /// Asks the service; nothing where it does not answer in HTTP and JSON.
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

    /// A task's record, from a service that has no trouble but that of a busy machine.
    pub fn task(&self, id: &str) -> Value {
        let ask = || self.ask("GET", &format!("/tasks/{id}"), None, "");
        let mut answers = (0..5).filter_map(|_| ask());
        let answer = answers.find(|answer| answer.status < 500);
        let answer = answer.unwrap_or_else(|| panic!("no answer about task {id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json
    }

    /// Every task, as the list has it.
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

    /// Puts a message into the queue of tasks, past the functions.
    pub fn send(&self, body: &str) {
        self.sqs("SendMessage", "tasks", &json!({"MessageBody": body}));
    }

    /// Puts messages into the queue of tasks at once, so that a worker is handed them together.
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

    /// Takes all messages out of the dead-letter queue: their bodies and reasons.
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

    /// The names of the schedules that there are.
    pub fn schedules(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = String::new();
        loop {
            let endpoint = self.stack.aws_endpoint();
            let url = format!("{endpoint}/schedules?MaxResults=100&NextToken={next}");
            let scope = "Credential=test/20250101/us-east-1/scheduler/aws4_request";
            let call = self.agent.get(url);
            let call = call.header("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
            let mut answer = call.call().expect("an answer of the scheduler");
            let text = answer
                .body_mut()
                .read_to_string()
                .expect("a text of the scheduler");
            assert_eq!(answer.status(), 200, "{text}");
            let page: Value = serde_json::from_str(&text).expect("JSON of the scheduler");
            let listed = page["Schedules"].as_array().expect("schedules").iter();
            names.extend(listed.filter_map(|one| one["Name"].as_str().map(str::to_owned)));
            match page["NextToken"].as_str() {
                Some(token) if !token.is_empty() => next = token.to_owned(),
                _ => return names,
            }
        }
    }

    /// How many messages the queues of tasks hold: those that wait, are worked on, or are delayed.
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

    fn sqs(&self, operation: &str, queue: &str, wanted: &Value) -> Value {
        let endpoint = self.stack.aws_endpoint();
        let mut wanted = wanted.clone();
        wanted["QueueUrl"] = json!(format!("{endpoint}/000000000000/async-service-{queue}"));
        let scope = "Credential=test/20250101/us-east-1/sqs/aws4_request";
        let call = self.agent.post(endpoint);
        let call = call
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
        let mut answer = call.send(wanted.to_string()).expect("an answer of SQS");
        let text = answer.body_mut().read_to_string().expect("a text of SQS");
        assert_eq!(answer.status(), 200, "{operation}: {text}");
        serde_json::from_str(&text).expect("JSON of SQS")
    }

    /// Looks again and again until something is so, and whether it was within `patience`.
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
