//! Delays of tasks beyond the longest delay of SQS: one-time schedules of EventBridge Scheduler.
//!
//! A message could also wait in its queue under visibility timeouts, but would then count against the
//! 120,000 messages that SQS allows in flight. EventBridge Scheduler stores the message, sends the
//! message to the task's queue at the task's time, and deletes the one-time schedule.

use std::time::Duration;

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::operation::create_schedule::builders::CreateScheduleFluentBuilder;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use jiff::Timestamp;

use super::id::TaskId;
use super::queue::{QueueError, encode};
use super::task::{Priority, Task};
use crate::aws::Lazy;

/// The time between the sending of a message and the eta of its task. A schedule runs within the
/// minute after its time (AWS' "Schedule types in EventBridge Scheduler"), so the message arrives in
/// time and waits in the queue for the rest.
const LEAD_TIME: Duration = Duration::from_secs(60);

/// The targets of one-time schedules.
#[derive(Debug, Clone)]
pub struct Targets {
    /// The ARN of the role that lets the scheduler send to the queues.
    pub role: String,
    /// The ARN of the queue for normal priority.
    pub normal: String,
    /// The ARN of the queue for high priority.
    pub high: String,
    /// The ARN of the scheduler's dead-letter queue: it takes the messages that could not be sent.
    pub undelivered: String,
}

/// The one-time schedules of tasks, in one group.
#[derive(Debug, Clone)]
pub struct Delays {
    client: Lazy<Client>,
    group: String,
}

impl Delays {
    /// The one-time schedules in the schedule group `group`.
    pub fn new(client: impl Into<Lazy<Client>>, group: String) -> Delays {
        let client = client.into();
        Delays { client, group }
    }

    /// Creates the one-time schedule that sends a task's message shortly before `eta`, in milliseconds
    /// since the Unix epoch. A repeated call is harmless: the schedule's name is made of the task's id.
    ///
    /// # Errors
    /// When the scheduler does not answer. The schedule may exist in spite of the error.
    pub async fn create(&self, task: &Task, eta: u64, targets: &Targets) -> Result<(), QueueError> {
        let create = self.create_request(task, eta, targets)?;
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conflict_exception() => Ok(()),
                _ => Err(QueueError::Call(Box::new(error))),
            },
        }
    }

    /// Deletes a task's schedule. An absent schedule is no error.
    ///
    /// # Errors
    /// When the scheduler does not answer.
    pub async fn delete(&self, id: &TaskId, fingerprint: Option<&str>) -> Result<(), QueueError> {
        let delete = self
            .client
            .delete_schedule()
            .group_name(&self.group)
            .name(name(id, fingerprint));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_resource_not_found_exception() => Ok(()),
                _ => Err(QueueError::Call(Box::new(error))),
            },
        }
    }

    fn create_request(
        &self,
        task: &Task,
        eta: u64,
        targets: &Targets,
    ) -> Result<CreateScheduleFluentBuilder, QueueError> {
        let body = encode(task)?;
        let queue = match task.options.priority {
            Priority::Normal => &targets.normal,
            Priority::High => &targets.high,
        };
        let undelivered = DeadLetterConfig::builder().arn(&targets.undelivered);
        let target = Target::builder()
            .arn(queue)
            .role_arn(&targets.role)
            .dead_letter_config(undelivered.build())
            .input(body);
        let at_the_time = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off);
        let invalid = |error| QueueError::Call(Box::new(error));
        Ok(self
            .client
            .create_schedule()
            .group_name(&self.group)
            .name(name(&task.id, task.fingerprint.as_deref()))
            .schedule_expression(expression(eta))
            .flexible_time_window(at_the_time.build().map_err(invalid)?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(target.build().map_err(invalid)?))
    }
}

/// A schedule's name: at most 64 letters, digits, `-`, `_` and `.`. Two different submissions with one
/// idempotency key have two schedules, so both messages are sent; the task whose record is written
/// first runs.
fn name(id: &TaskId, fingerprint: Option<&str>) -> String {
    let id = id.uuid();
    match fingerprint {
        Some(fingerprint) => {
            let start: String = fingerprint.chars().take(16).collect();
            format!("{id}.{start}")
        }
        None => id.to_string(),
    }
}

/// A time as a schedule expression, in whole seconds of UTC.
fn expression(eta: u64) -> String {
    let seconds = (eta / 1000).saturating_sub(LEAD_TIME.as_secs());
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX);
    format!("at({})", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_scheduler::config::{BehaviorVersion, Credentials, Region};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use serde_json::Value;
    use serde_json::value::RawValue;
    use std::sync::{Arc, Mutex};
    use uuid::Uuid;

    use super::*;

    /// A scheduler that gives every call the same answer, and keeps the last request.
    #[derive(Debug, Clone)]
    struct Answers {
        status: u16,
        error: &'static str,
        last: Arc<Mutex<(String, String)>>,
    }

    impl HttpConnector for Answers {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            *self.last.lock().unwrap() = (
                request.uri().to_owned(),
                String::from_utf8(body.to_vec()).unwrap(),
            );
            let body = r#"{"ScheduleArn":"arn","Message":"x"}"#;
            let mut answer = HttpResponse::new(self.status.try_into().unwrap(), body.into());
            answer.headers_mut().insert("x-amzn-errortype", self.error);
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    fn targets() -> Targets {
        Targets {
            role: "arn:role".to_owned(),
            normal: "arn:normal".to_owned(),
            high: "arn:high".to_owned(),
            undelivered: "arn:undelivered".to_owned(),
        }
    }

    fn delays(answers: &Answers) -> Delays {
        let connector = SharedHttpConnector::new(answers.clone());
        let config = aws_sdk_scheduler::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Delays::new(Client::from_conf(config.build()), "tasks".to_owned())
    }

    fn answers(status: u16, error: &'static str) -> Answers {
        let last = Arc::default();
        Answers {
            status,
            error,
            last,
        }
    }

    fn task() -> Task {
        let input = RawValue::from_string("{}".to_owned()).unwrap();
        let mut task = Task::new(Uuid::nil(), "process_data", input, 5);
        task.options.priority = Priority::High;
        task
    }

    #[tokio::test]
    async fn a_schedule_sends_the_message_once_and_is_deleted() {
        let answers = answers(200, "");
        let eta = 1_900_000_000_500;
        delays(&answers)
            .create(&task(), eta, &targets())
            .await
            .unwrap();
        let (uri, body) = answers.last.lock().unwrap().clone();
        assert!(
            uri.ends_with(&format!("/schedules/{}", Uuid::nil())),
            "{uri}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["ScheduleExpression"], "at(2030-03-17T17:45:40)");
        assert_eq!(body["ActionAfterCompletion"], "DELETE");
        assert_eq!(body["FlexibleTimeWindow"]["Mode"], "OFF");
        assert_eq!(body["Target"]["Arn"], "arn:high");
        assert_eq!(body["Target"]["DeadLetterConfig"]["Arn"], "arn:undelivered");
        let sent = body["Target"]["Input"].as_str().unwrap();
        assert_eq!(
            crate::tasks::wire::decode(sent, 1_899_000_000_000)
                .unwrap()
                .id,
            Uuid::nil().into()
        );
    }

    #[tokio::test]
    async fn a_repeated_creation_or_deletion_succeeds() {
        let existing = delays(&answers(409, "ConflictException"));
        existing
            .create(&task(), 1_900_000_000_000, &targets())
            .await
            .unwrap();
        let deleted = delays(&answers(404, "ResourceNotFoundException"));
        deleted.delete(&Uuid::nil().into(), None).await.unwrap();
        let refused = delays(&answers(400, "ValidationException"));
        assert!(
            refused
                .create(&task(), 1_900_000_000_000, &targets())
                .await
                .is_err()
        );
        assert!(refused.delete(&Uuid::nil().into(), None).await.is_err());
    }

    #[test]
    fn submissions_that_share_a_key_have_schedules_of_their_own() {
        let id = &TaskId::from(Uuid::nil());
        let names = [
            name(id, Some(&"a".repeat(64))),
            name(id, Some(&"b".repeat(64))),
            name(id, None),
        ];
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
        assert!(names[0] != names[1] && names[1] != names[2]);
    }

    #[test]
    fn an_id_of_any_text_has_a_schedule() {
        for text in ["ä/b\n", &"i".repeat(255)] {
            let name = name(&TaskId::parse(text).unwrap(), Some(&"a".repeat(64)));
            let is_taken = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(name.len() <= 64 && name.chars().all(is_taken), "{name}");
        }
    }
}
