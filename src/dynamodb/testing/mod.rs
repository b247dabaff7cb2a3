//! For tests: the real SDK client on an embedded DynamoDB, without a socket, with faults in between.

mod gate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::conflict::RetryConflicts;

pub use gate::{Gate, Side};

pub const ITEMS: &str = "items";
pub const USERS: &str = "users";
pub const TASKS: &str = "tasks";
pub const API_KEYS: &str = "keys";
pub const CELERY_RESULTS: &str = "celery_results";
pub const SCHEDULES: &str = "schedules";

/// The configuration of a property test with `count` random cases, or with `PROPTEST_CASES` cases.
pub fn cases(count: u32) -> proptest::test_runner::Config {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    proptest::test_runner::Config {
        cases: wanted.and_then(|n| n.parse().ok()).unwrap_or(count),
        failure_persistence: None,
        ..Default::default()
    }
}

/// A client of an empty database that has the project's tables.
pub fn client() -> Client {
    faulty(&Faults::default())
}

/// As [`client`], with faults.
pub fn faulty(faults: &Faults) -> Client {
    Rows::new(faults).client(&Gate::default())
}

/// A database with the project's tables, for any number of clients.
#[derive(Clone)]
pub struct Rows {
    database: Arc<Database>,
    faults: Faults,
}

impl Rows {
    /// Empty tables.
    pub fn new(faults: &Faults) -> Rows {
        let database = Database::memory().expect("an embedded database");
        for definition in tables() {
            let request = serde_json::from_value(definition).expect("a table's definition");
            database.create_table(request).expect("a table");
        }
        Rows {
            database: Arc::new(database),
            faults: faults.clone(),
        }
    }

    /// Puts a row, as the request `PutItem` has it.
    pub fn put(&self, request: &Value) {
        let request = serde_json::from_value(request.clone()).expect("a request");
        self.database.put_item(request).expect("a row");
    }

    /// A client whose calls go through `gate`.
    pub fn client(&self, gate: &Gate) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_classifier(RetryConflicts)
            .http_client(Embedded {
                rows: self.clone(),
                gate: gate.clone(),
            });
        Client::from_conf(config.build())
    }
}

/// The project's tables, as in `template.yaml`.
fn tables() -> [Value; 6] {
    let documents = |table: &str| {
        json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": key("shard", "id"),
            "AttributeDefinitions": [attribute("shard", "N"), attribute("id", "N")],
        })
    };
    let by_id = |table: &str| {
        json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [attribute("id", "S")],
        })
    };
    let (keys, results) = (by_id(API_KEYS), by_id(CELERY_RESULTS));
    [
        documents(ITEMS),
        documents(USERS),
        tasks_table(),
        keys,
        results,
        schedules_table(),
    ]
}

fn schedules_table() -> Value {
    let index = |name: &str, hash: &str, range: &str| {
        json!({
            "IndexName": name,
            "KeySchema": key(hash, range),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        })
    };
    json!({
        "TableName": SCHEDULES,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            attribute("id", "S"),
            attribute("list", "S"),
            attribute("caller", "S"),
            attribute("due_shard", "N"),
            attribute("due", "N"),
        ],
        "GlobalSecondaryIndexes": [
            index("by_due", "due_shard", "due"),
            index("by_name", "list", "id"),
            index("by_caller", "caller", "id"),
        ],
    })
}

fn tasks_table() -> Value {
    let index = |name: &str, hash: &str| {
        json!({
            "IndexName": name,
            "KeySchema": key(hash, "list_key"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["job"]},
        })
    };
    json!({
        "TableName": TASKS,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": key("id", "part"),
        "AttributeDefinitions": [
            attribute("id", "S"),
            attribute("part", "N"),
            attribute("list_shard", "N"),
            attribute("state_shard", "S"),
            attribute("caller_shard", "S"),
            attribute("schedule", "S"),
            attribute("list_key", "S"),
        ],
        "GlobalSecondaryIndexes": [
            index("by_time", "list_shard"),
            index("by_state", "state_shard"),
            index("by_caller", "caller_shard"),
            index("by_schedule", "schedule"),
        ],
    })
}

/// The schema of a key of two attributes.
fn key(hash: &str, range: &str) -> Value {
    json!([
        {"AttributeName": hash, "KeyType": "HASH"},
        {"AttributeName": range, "KeyType": "RANGE"},
    ])
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

/// The faults between the client and the database, and counts of the calls.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<FaultState>>);

#[derive(Debug, Default)]
struct FaultState {
    lost_answers: Vec<String>,
    /// Answers that stand in for those of calls to come, by the operation.
    refusals: Vec<(String, Value)>,
    failing: Option<String>,
    calls: HashMap<String, usize>,
    states: HashMap<String, Vec<String>>,
}

impl Faults {
    /// Executes the next `operation`, but loses its answer.
    pub fn lose_answer(&self, operation: &str) {
        self.0
            .lock()
            .unwrap()
            .lost_answers
            .push(operation.to_owned());
    }

    /// The next `operation` is refused with this error.
    pub fn refuse(&self, operation: &str, error: Value) {
        let refusal = (operation.to_owned(), error);
        self.0.lock().unwrap().refusals.push(refusal);
    }

    fn refusal(&self, operation: &str) -> Option<Value> {
        let refusals = &mut self.0.lock().unwrap().refusals;
        let at = refusals.iter().position(|(name, _)| name == operation)?;
        Some(refusals.remove(at).1)
    }

    /// From now on every `operation` is answered with an internal error.
    pub fn fail(&self, operation: &str) {
        self.0.lock().unwrap().failing = Some(operation.to_owned());
    }

    /// Ends the failure.
    pub fn mend(&self) {
        self.0.lock().unwrap().failing = None;
    }

    fn is_failing(&self, operation: &str) -> bool {
        self.0.lock().unwrap().failing.as_deref() == Some(operation)
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .calls
            .get(operation)
            .copied()
            .unwrap_or(0)
    }

    /// The values that updates wrote to the attribute `state` of the row `id`, in order.
    pub fn states(&self, id: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.states.get(id).cloned().unwrap_or_default()
    }

    /// Records the new value of `state` after a successful update.
    fn written(&self, body: &[u8]) {
        let update: Value = serde_json::from_slice(body).expect("a request of the SDK");
        if let Some(state) = update["ExpressionAttributeValues"][":state"]["S"].as_str() {
            let id = update["Key"]["id"]["S"].as_str().expect("a row's id");
            let mut faults = self.0.lock().unwrap();
            let states = faults.states.entry(id.to_owned()).or_default();
            states.push(state.to_owned());
        }
    }

    /// Counts a call, and returns whether its answer is lost.
    fn called(&self, operation: &str) -> bool {
        let mut state = self.0.lock().unwrap();
        *state.calls.entry(operation.to_owned()).or_default() += 1;
        let lost = state.lost_answers.iter().position(|lost| lost == operation);
        lost.map(|at| state.lost_answers.remove(at)).is_some()
    }
}

#[derive(Clone)]
struct Embedded {
    rows: Rows,
    gate: Gate,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl HttpClient for Embedded {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (rows, gate) = (self.rows.clone(), self.gate.clone());
        HttpConnectorFuture::new(async move {
            match adds_numbers(&request) {
                true => rows.answer(&request),
                false => gate.call(|| rows.answer(&request)).await,
            }
        })
    }
}

/// Whether a call adds to the numbers of tasks. Such a call passes each gate: nothing depends on the call, and
/// each further call of an actor multiplies the orders of a race.
fn adds_numbers(request: &HttpRequest) -> bool {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let body = request.body().bytes().unwrap_or_default();
    let is_of_numbers = || memchr::memmem::find(body, b"\"counts#").is_some();
    target.ends_with(".UpdateItem") && is_of_numbers()
}

impl Rows {
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let lost = self.faults.called(operation);
        if self.faults.is_failing(operation) {
            let status = 500.try_into().expect("an HTTP status");
            return Ok(HttpResponse::new(status, "{}".into()));
        }
        if let Some(error) = self.faults.refusal(operation) {
            let status = 400.try_into().expect("an HTTP status");
            return Ok(HttpResponse::new(status, error.to_string().into()));
        }
        let body = request.body().bytes().unwrap_or_default();
        let (status, answer) = match dispatch(&self.database, operation, body) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        };
        if status == 200 && operation == "UpdateItem" {
            self.faults.written(body);
        }
        if lost {
            return Err(ConnectorError::io("lost".into()));
        }
        let status = status.try_into().expect("an HTTP status");
        Ok(HttpResponse::new(status, answer.into()))
    }
}

fn dispatch(db: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "GetItem" => run(body, |request| db.get_item(request)),
        "PutItem" => run(body, |request| db.put_item(request)),
        "UpdateItem" => run(body, |request| db.update_item(request)),
        "DeleteItem" => run(body, |request| db.delete_item(request)),
        "Query" => run(body, |request| db.query(request)),
        "Scan" => run(body, |request| db.scan(request)),
        "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
        "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
        other => panic!("the test client does not support {other}"),
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).expect("a request of the SDK");
    let answer = operation(request)?;
    Ok(serde_json::to_string(&answer).expect("an answer is JSON"))
}
