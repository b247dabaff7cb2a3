//! The service's queues, tasks table and one-time schedules, as an operator uses them.

use serde_json::{Value, json};
use ureq::http::Request;

use crate::service::{Answer, Service};

/// The schedule group of delayed tasks.
const SCHEDULES: &str = "async-service-tasks";

impl Service {
    /// Sends a message to the task queue, as the service's submit does.
    pub fn send(&self, body: &str) {
        self.send_to("tasks", body);
    }

    /// Sends a message to the queue with this name.
    pub fn send_to(&self, queue: &str, body: &str) {
        let sent = self.sqs(
            "SendMessage",
            json!({"QueueUrl": self.queue(queue), "MessageBody": body}),
        );
        assert!(sent["MessageId"].is_string(), "{sent}");
    }

    /// Sets the queue's maximum receive count, and returns the previous one.
    pub fn give_up_after(&self, queue: &str, deliveries: u64) -> u64 {
        let url = self.queue(queue);
        let wanted = json!({"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]});
        let answer = self.sqs("GetQueueAttributes", wanted);
        let policy = answer["Attributes"]["RedrivePolicy"].as_str().unwrap();
        let mut policy: Value = serde_json::from_str(policy).unwrap();
        let before = &policy["maxReceiveCount"];
        let text = before.as_str().and_then(|text| text.parse().ok());
        let before = before.as_u64().or(text).unwrap();
        policy["maxReceiveCount"] = deliveries.into();
        let attributes = json!({"RedrivePolicy": policy.to_string()});
        self.sqs(
            "SetQueueAttributes",
            json!({"QueueUrl": url, "Attributes": attributes}),
        );
        before
    }

    /// The one-time schedule of a delayed task, if the schedule exists.
    pub fn schedule(&self, task_id: &str) -> Option<Value> {
        let path = format!("/schedules/{task_id}?groupName={SCHEDULES}");
        let answer = self.scheduler("GET", &path, &Value::Null);
        (answer.status == 200).then(|| answer.json())
    }

    /// Updates the schedule of a delayed task.
    pub fn reschedule(&self, task_id: &str, schedule: &Value) {
        let answer = self.scheduler("PUT", &format!("/schedules/{task_id}"), schedule);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn scheduler(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.aws_endpoint()))
            .header("content-type", "application/json")
            .header("authorization", credential("scheduler"));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask(request.body(body.into_bytes()))
    }

    /// Receives messages from the dead-letter queue: their bodies and reasons.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        let wanted = json!({
            "QueueUrl": self.queue("dead-letters"),
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": 0,
            "MessageAttributeNames": ["All"],
        });
        let received = self.sqs("ReceiveMessage", wanted);
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pair = |message: &Value| {
            let reason = &message["MessageAttributes"]["reason"]["StringValue"];
            (text(&message["Body"]), text(reason))
        };
        messages.iter().map(pair).collect()
    }

    fn queue(&self, name: &str) -> String {
        format!("{}/000000000000/async-service-{name}", self.aws_endpoint())
    }

    fn sqs(&self, operation: &str, wanted: Value) -> Value {
        self.aws("sqs", &format!("AmazonSQS.{operation}"), wanted)
    }

    pub fn dynamodb(&self, operation: &str, wanted: Value) -> Value {
        self.aws(
            "dynamodb",
            &format!("DynamoDB_20120810.{operation}"),
            wanted,
        )
    }

    fn aws(&self, service: &str, target: &str, wanted: Value) -> Value {
        let request = Request::post(self.aws_endpoint())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .header("authorization", credential(service));
        let answer = self.ask(request.body(wanted.to_string().into_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// The local endpoints check no signature; the credential's scope names the service.
pub fn credential(part: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/{part}/aws4_request")
}
