//! The events for each function in a measurement.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_stack::{Error, Result};
use serde_json::{Value, json};

use crate::stage::Stage;

/// How events for a function are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// The same request in each event: method, target and body.
    Request(&'static str, &'static str, Option<&'static str>),
    /// A request in which `{id}` is replaced by the id of a prepared row.
    Prepared(Prepare, &'static str, &'static str, Option<&'static str>),
    /// The gateway's event for the authorizer.
    Authorizer,
    /// One message from the task queue.
    Message,
    /// One message of a client of Celery.
    Celery,
    /// A command of Celery's remote control, which revokes a new id.
    Command,
    /// A call by a rule.
    Tick,
}

/// A row that helper functions create before each invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prepare {
    Item,
    User,
    Task,
    Schedule,
    CompletedTask,
    CancelledTask,
}

/// The events for a function in a measurement.
#[derive(Debug)]
pub struct Workload {
    /// The function.
    pub function: &'static str,
    /// What an invocation does, for readers of the report.
    pub what: &'static str,
    ask: Ask,
}

const USER: &str = r#"{"name":"Ada","email":"ada@example.com"}"#;
const ITEM: &str = r#"{"name":"Lamp","price":12.5,"tags":["a","b"],"size":{"w":1,"h":2}}"#;
const DATA: &str = r#"{"values":[1,2,3]}"#;
const TASK: &str = r#"{"job":"process_data","input":{"values":[1,2,3]}}"#;
const TASKS: &str = concat!(
    r#"{"tasks":["#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}},"#,
    r#"{"job":"process_data","input":{"values":[1,2,3]}}]}"#,
);
const CHANGE: &str = r#"{"filter":{"job":"nothing"}}"#;
const REPORT: &str = r#"{"done":1,"total":2}"#;

const fn request(
    function: &'static str,
    what: &'static str,
    method: &'static str,
    target: &'static str,
    body: Option<&'static str>,
) -> Workload {
    let ask = Ask::Request(method, target, body);
    Workload {
        function,
        what,
        ask,
    }
}

const fn prepared(
    function: &'static str,
    what: &'static str,
    (prepare, method): (Prepare, &'static str),
    target: &'static str,
    body: Option<&'static str>,
) -> Workload {
    let ask = Ask::Prepared(prepare, method, target, body);
    Workload {
        function,
        what,
        ask,
    }
}

/// One workload for each function, in the order of the template.
pub const WORKLOADS: [Workload; 41] = [
    request("root", "greets", "GET", "/", None),
    request("list_items", "1 Query", "GET", "/items/?limit=10", None),
    request("create_item", "1 PutItem", "POST", "/items/", Some(ITEM)),
    prepared(
        "read_item",
        "1 GetItem",
        (Prepare::Item, "GET"),
        "/items/{id}?q=x",
        None,
    ),
    prepared(
        "update_item",
        "1 UpdateItem",
        (Prepare::Item, "PUT"),
        "/items/{id}",
        Some(ITEM),
    ),
    prepared(
        "delete_item",
        "1 DeleteItem",
        (Prepare::Item, "DELETE"),
        "/items/{id}",
        None,
    ),
    request("list_users", "1 Query", "GET", "/users/?limit=10", None),
    request("create_user", "1 PutItem", "POST", "/users/", Some(USER)),
    prepared(
        "read_user",
        "1 GetItem",
        (Prepare::User, "GET"),
        "/users/{id}",
        None,
    ),
    prepared(
        "update_user",
        "1 UpdateItem",
        (Prepare::User, "PUT"),
        "/users/{id}",
        Some(USER),
    ),
    prepared(
        "delete_user",
        "1 UpdateItem",
        (Prepare::User, "DELETE"),
        "/users/{id}",
        None,
    ),
    request(
        "fetch",
        "1 request to another service",
        "GET",
        "/fetch/?url={upstream}/users/1",
        None,
    ),
    request(
        "process",
        "1 SendMessage, 1 PutItem",
        "POST",
        "/process/",
        Some(DATA),
    ),
    prepared(
        "result",
        "1 GetItem",
        (Prepare::CompletedTask, "GET"),
        "/result/{id}",
        None,
    ),
    request(
        "create_task",
        "1 SendMessage, 1 PutItem",
        "POST",
        "/tasks/",
        Some(TASK),
    ),
    request("list_tasks", "Queries", "GET", "/tasks/?limit=10", None),
    prepared(
        "read_task",
        "1 GetItem",
        (Prepare::CompletedTask, "GET"),
        "/tasks/{id}",
        None,
    ),
    prepared(
        "cancel_task",
        "2 UpdateItem, 1 GetItem",
        (Prepare::Task, "DELETE"),
        "/tasks/{id}",
        None,
    ),
    prepared(
        "retry_task",
        "reads, 1 SendMessage, 1 UpdateItem",
        (Prepare::CancelledTask, "POST"),
        "/tasks/{id}/retry",
        None,
    ),
    request(
        "create_tasks",
        "10 tasks: 1 SendMessageBatch, 10 PutItem",
        "POST",
        "/tasks/batch",
        Some(TASKS),
    ),
    request(
        "change_tasks",
        "nothing to retry: 8 Query",
        "POST",
        "/tasks/retry",
        Some(CHANGE),
    ),
    request(
        "report_progress",
        "no I/O: a token that is not good",
        "POST",
        "/tasks/00000000-0000-4000-8000-000000000001/progress?token=x",
        Some(REPORT),
    ),
    request("list_jobs", "no I/O", "GET", "/jobs/", None),
    request(
        "stats",
        "some 60 Query, 4 GetQueueAttributes",
        "GET",
        "/stats/",
        None,
    ),
    request("schedules", "1 Query", "GET", "/schedules/?limit=10", None),
    prepared(
        "schedule",
        "1 GetItem",
        (Prepare::Schedule, "GET"),
        "/schedules/{id}",
        None,
    ),
    prepared(
        "schedule_action",
        "1 GetItem, 1 PutItem",
        (Prepare::Schedule, "POST"),
        "/schedules/{id}/pause",
        None,
    ),
    prepared(
        "schedule_next",
        "1 GetItem",
        (Prepare::Schedule, "GET"),
        "/schedules/{id}/next",
        None,
    ),
    request(
        "dead_letters",
        "1 ReceiveMessage",
        "GET",
        "/dead-letters/?limit=1",
        None,
    ),
    request(
        "dead_letter_action",
        "1 ReceiveMessage",
        "POST",
        "/dead-letters/delete",
        Some(r#"{"receipts":["x"]}"#),
    ),
    request("flower", "Queries", "GET", "/api/tasks?limit=10", None),
    request("openapi", "no I/O, 120 KB", "GET", "/openapi.json", None),
    request("docs", "no I/O", "GET", "/docs", None),
    request("redoc", "no I/O", "GET", "/redoc", None),
    request("dashboard", "no I/O", "GET", "/dashboard", None),
    request("fallback", "no I/O", "GET", "/nothing", None),
    Workload {
        function: "authorizer",
        what: "no I/O",
        ask: Ask::Authorizer,
    },
    Workload {
        function: "worker",
        what: "a batch of one task: 3 UpdateItem, 1 ChangeMessageVisibilityBatch",
        ask: Ask::Message,
    },
    Workload {
        function: "dead_letter",
        what: "one message: 2 UpdateItem, 1 SendMessage",
        ask: Ask::Message,
    },
    Workload {
        function: "ticker",
        what: "nothing due: 12 Query, 1 GetItem",
        ask: Ask::Tick,
    },
    Workload {
        function: "celery_control",
        what: "a revocation: 2 UpdateItem, 1 GetItem",
        ask: Ask::Command,
    },
];

/// The worker's other workload, and its name.
pub const CELERY: (&str, Workload) = (
    "worker_celery",
    Workload {
        function: "worker",
        what: "a batch of one task of Celery: 2 UpdateItem, 1 TransactWriteItems, 1 ChangeMessageVisibilityBatch",
        ask: Ask::Celery,
    },
);

/// The queue of Celery's messages.
pub const CELERY_QUEUE: &str = "async-service-celery";

impl Workload {
    /// The workload with this name: that of a function, or [`CELERY`].
    ///
    /// # Errors
    /// When there is no such workload.
    pub fn named(name: &str) -> Result<&'static Workload> {
        const OF_CELERY: &Workload = &CELERY.1;
        if name == CELERY.0 {
            return Ok(OF_CELERY);
        }
        Workload::of(name)
    }

    /// The workload of a function.
    ///
    /// # Errors
    /// When the function has no workload.
    pub fn of(function: &str) -> Result<&'static Workload> {
        let found = WORKLOADS
            .iter()
            .find(|workload| workload.function == function);
        found.ok_or_else(|| {
            Error::new(format!(
                "{function} has no workload in tests/bench/src/workload.rs"
            ))
        })
    }

    /// Prepares the rows that the next event needs, and returns the event.
    ///
    /// # Errors
    /// When the preparation fails.
    pub fn event(&self, stage: &mut Stage) -> Result<String> {
        match self.ask {
            Ask::Request(method, target, body) => {
                let target = target.replace("{upstream}", &stage.upstream());
                stage.event(method, &target, body).map(|(_, event)| event)
            }
            Ask::Prepared(prepare, method, target, body) => {
                let id = prepare.make(stage)?;
                let target = target.replace("{id}", &id);
                stage.event(method, &target, body).map(|(_, event)| event)
            }
            Ask::Authorizer => authorizer(stage),
            Ask::Message => message(stage),
            Ask::Celery => celery(stage),
            Ask::Command => Ok(command()),
            Ask::Tick => Ok(r#"{"source":"aws.events"}"#.to_owned()),
        }
    }

    /// `count` events, all prepared before the function gets the first one.
    ///
    /// # Errors
    /// When a preparation fails.
    pub fn events(&self, stage: &mut Stage, count: usize) -> Result<Vec<String>> {
        // Earlier requests to other functions may have left messages in the queue.
        stage.purge()?;
        if self.ask != Ask::Message {
            return (0..count).map(|_| self.event(stage)).collect();
        }
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let records = stage.fresh_messages(10.min(count - events.len()))?;
            events.extend(
                records
                    .iter()
                    .map(|record| json!({"Records": [record]}).to_string()),
            );
        }
        Ok(events)
    }
}

impl Prepare {
    fn make(self, stage: &mut Stage) -> Result<String> {
        match self {
            Prepare::Item => Ok(id_of(&stage.ask("POST", "/items/", Some(ITEM))?["item_id"])),
            Prepare::User => Ok(id_of(&stage.ask("POST", "/users/", Some(USER))?["id"])),
            Prepare::Task => {
                let task = stage.ask("POST", "/process/", Some(DATA))?;
                Ok(id_of(&task["task_id"]))
            }
            Prepare::Schedule => {
                let name = uuid::Uuid::new_v4();
                let schedule = json!({"name": name.to_string(), "job": "process_data",
                    "input": {"values": [1, 2, 3]}, "rule": {"crontab": {"month_of_year": 2}}});
                let body = schedule.to_string();
                Ok(id_of(
                    &stage.ask("POST", "/schedules/", Some(&body))?["name"],
                ))
            }
            Prepare::CompletedTask => stage.completed_task(),
            Prepare::CancelledTask => {
                let id = Prepare::Task.make(stage)?;
                stage.ask("DELETE", &format!("/tasks/{id}"), None)?;
                Ok(id)
            }
        }
    }
}

fn id_of(value: &Value) -> String {
    let mut text = String::new();
    let _ = match value.as_str() {
        Some(id) => text.write_str(id),
        None => write!(text, "{value}"),
    };
    text
}

fn authorizer(stage: &Stage) -> Result<String> {
    let (_, event) = stage.event("GET", "/", None)?;
    let mut event: Value = serde_json::from_str(&event).unwrap_or_default();
    event["type"] = json!("REQUEST");
    event["routeArn"] = json!("arn:aws:execute-api:us-east-1:000000000000:local/$default/GET/");
    Ok(event.to_string())
}

/// The event of a topic with a command that revokes a task whose message is still to come.
fn command() -> String {
    let id = uuid::Uuid::new_v4();
    let body = json!({"method": "revoke", "arguments": {"task_id": id.to_string()}});
    let message = json!({"body": body.to_string(), "headers": {"clock": 1}, "properties": {}});
    json!({"Records": [{"Sns": {"Message": message.to_string()}}]}).to_string()
}

/// An event with one message of a new task.
fn message(stage: &mut Stage) -> Result<String> {
    let records = stage.fresh_messages(1)?;
    Ok(json!({"Records": records}).to_string())
}

/// An event with one message of a new task of Celery, in the form of Celery 5.7 and kombu 5.7.
fn celery(stage: &mut Stage) -> Result<String> {
    let queue = stage.queue_named(CELERY_QUEUE);
    queue.send(&celery_message(&uuid::Uuid::new_v4().to_string()))?;
    let records = queue.receive(Duration::from_secs(1))?;
    queue.delete(&records)?;
    Ok(json!({"Records": records}).to_string())
}

/// The message of `process_data.delay({"values": [1, 2, 3]})`.
fn celery_message(id: &str) -> String {
    let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": null});
    let body = json!([[{"values": [1, 2, 3]}], {}, embed]).to_string();
    let headers = json!({
        "lang": "py", "task": "process_data", "id": id, "shadow": null, "eta": null, "expires": null,
        "group": null, "group_index": null, "retries": 0, "timelimit": [null, null], "root_id": id,
        "parent_id": null, "argsrepr": "({'values': [1, 2, 3]},)", "kwargsrepr": "{}",
        "origin": "gen7@host", "ignore_result": false, "replaced_task_nesting": 0,
        "stamped_headers": null, "stamps": {},
    });
    let properties = json!({
        "correlation_id": id, "reply_to": "0e5a4b62-95ab-3e2c-9d0c-3a5a4b9d0e11", "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0,
        "body_encoding": "base64", "delivery_tag": "5f1f1f0c-7a52-4a53-9d0a-1f7d6f0b7c55",
    });
    let envelope = json!({
        "body": STANDARD.encode(body), "content-encoding": "utf-8", "content-type": "application/json",
        "headers": headers, "properties": properties,
    });
    STANDARD.encode(envelope.to_string())
}
