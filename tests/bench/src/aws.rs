//! The AWS endpoint of the measured functions: an embedded DynamoDB in this process, and a proxy to
//! the local SQS. CPU figures of functions contain neither, because they cover only the functions'
//! processes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynoxide::{Database, DynoxideError};
use local_stack::http::{Request, Response, Server};
use local_stack::template::Template;
use local_stack::{Context, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;

use crate::tally::{Tally, thread_time};

/// How the name of Celery's client of AWS begins.
const CLIENT: &str = "Boto3/";
/// How the path of an invocation ends.
const INVOCATIONS: &str = "/invocations";

/// A running endpoint.
pub struct Endpoint {
    server: Server,
    database: Arc<Database>,
    watch: Arc<Watch>,
}

/// A successful call.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The operation, such as `UpdateItem`.
    pub operation: &'a str,
    /// The body of the request.
    pub body: &'a [u8],
    /// The time of completion, before the caller has the answer.
    pub at: Instant,
}

type Observer = Arc<dyn Fn(&Seen<'_>) + Send + Sync>;

/// Answers the invocations of functions by functions: of an event, the answer.
pub type Invoked = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// The record of the calls so far.
#[derive(Default)]
struct Watch {
    /// The calls of functions.
    tally: Mutex<Tally>,
    /// The calls of Celery's clients.
    clients: Mutex<Tally>,
    observer: Mutex<Option<Observer>>,
    invoked: Mutex<Option<Invoked>>,
}

impl Watch {
    fn note(&self, request: &Request, operation: &str, time: Duration) {
        let caller = request.header("user-agent").unwrap_or_default();
        let tally = match caller.starts_with(CLIENT) {
            true => &self.clients,
            false => &self.tally,
        };
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.add(operation, time);
    }

    fn invoke(&self, event: &[u8]) -> Response {
        let invoked = self.invoked.lock();
        // The lock is released before the call, which takes as long as a body.
        let invoked = invoked.unwrap_or_else(PoisonError::into_inner).clone();
        let none = || Error::new("no function is invoked here");
        match invoked.ok_or_else(none).and_then(|invoked| invoked(event)) {
            Ok(answer) => Response::new(200, "application/json", answer),
            Err(error) => Response::json(500, &json!({"message": error.to_string()})),
        }
    }

    fn tell(&self, seen: &Seen<'_>) {
        let observer = self.observer.lock();
        // The lock is released before the call, so that calls do not wait for each other here.
        let observer = observer.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer {
            observer(seen);
        }
    }
}

impl Endpoint {
    /// Serves the template's tables, which are empty. Other calls go to `others`, such as
    /// `http://127.0.0.1:4566`.
    ///
    /// # Errors
    /// When the database refuses a table of the template.
    pub fn start(template: &Template, others: Option<String>) -> Result<Endpoint> {
        let database = Database::memory().context("cannot start the database")?;
        for definition in tables(template) {
            let request = serde_json::from_value(definition).context("a table")?;
            database.create_table(request).context("a table")?;
        }
        let database = Arc::new(database);
        let watch = Arc::new(Watch::default());
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let (rows, watching) = (Arc::clone(&database), Arc::clone(&watch));
        let server = Server::start(0, move |request: &Request| {
            let target = request.header("x-amz-target").unwrap_or_default();
            let (service, operation) = target.split_once('.').unwrap_or(("", target));
            let response = if request.path.ends_with(INVOCATIONS) {
                // The wait for a body is no part of an emulator.
                watching.note(request, "Invoke", Duration::ZERO);
                watching.invoke(&request.body)
            } else if service == "DynamoDB_20120810" {
                let before = thread_time();
                let response = dynamodb(&rows, operation, &request.body);
                watching.note(request, operation, thread_time().saturating_sub(before));
                response
            } else {
                let before = Instant::now();
                let response = forward(&agent, others.as_deref(), request);
                watching.note(request, operation, before.elapsed());
                response
            };
            if response.status == 200 {
                watching.tell(&Seen {
                    operation,
                    body: &request.body,
                    at: Instant::now(),
                });
            }
            response
        })?;
        Ok(Endpoint {
            server,
            database,
            watch,
        })
    }

    /// The port of the endpoint on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The database, for filling tables faster than over a socket.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Deletes a table and creates it again without rows.
    ///
    /// # Errors
    /// When the template has no table with this name.
    pub fn empty(&self, template: &Template, name: &str) -> Result<()> {
        let definition = tables(template)
            .into_iter()
            .find(|table| table["TableName"] == name)
            .ok_or_else(|| Error::new(format!("no table {name}")))?;
        let old = serde_json::from_value(json!({"TableName": name})).context("a table")?;
        self.database.delete_table(old).context("a table")?;
        let new = serde_json::from_value(definition).context("a table")?;
        self.database.create_table(new).context("a table")?;
        Ok(())
    }

    /// The number of calls of functions so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.tally().calls()
    }

    /// The calls of functions so far, by operation.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let tally = self.watch.tally.lock();
        tally.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The calls of Celery's clients so far, by operation.
    #[must_use]
    pub fn tally_of_clients(&self) -> Tally {
        let tally = self.watch.clients.lock();
        tally.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `observer` after each successful call, from many threads. Replaces an earlier
    /// observer.
    pub fn observe(&self, observer: impl Fn(&Seen<'_>) + Send + Sync + 'static) {
        let place = self.watch.observer.lock();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(observer));
    }

    /// Has `invoked` answer the invocations of functions, from many threads; `None` to refuse them.
    pub fn on_invocation(&self, invoked: Option<Invoked>) {
        let place = self.watch.invoked.lock();
        *place.unwrap_or_else(PoisonError::into_inner) = invoked;
    }
}

/// The template's tables with their names in the local stack, as input of `CreateTable`.
fn tables(template: &Template) -> Vec<Value> {
    let resources = template.root()["Resources"].as_object();
    let tables = resources.into_iter().flatten().filter_map(|(_, resource)| {
        let properties = &resource["Properties"];
        let name = match &properties["TableName"] {
            Value::String(name) => name.as_str(),
            joined => joined["Fn::Sub"].as_str()?,
        };
        (resource["Type"] == "AWS::DynamoDB::Table").then(|| {
            let mut table = json!({
                "TableName": name.replace("${AWS::StackName}", "async-service"),
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": properties["KeySchema"],
                "AttributeDefinitions": properties["AttributeDefinitions"],
            });
            if let Some(indexes) = properties.get("GlobalSecondaryIndexes") {
                table["GlobalSecondaryIndexes"] = indexes.clone();
            }
            table
        })
    });
    tables.collect()
}

fn dynamodb(db: &Database, operation: &str, body: &[u8]) -> Response {
    let answer = match operation {
        "GetItem" => run(body, |request| db.get_item(request)),
        "PutItem" => run(body, |request| db.put_item(request)),
        "UpdateItem" => run(body, |request| db.update_item(request)),
        "DeleteItem" => run(body, |request| db.delete_item(request)),
        "Query" => run(body, |request| db.query(request)),
        "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
        "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
        // Of Celery's clients, once each.
        "DescribeTable" => run(body, |request| db.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
        "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
        other => Err(format!("{other} is not supported")),
    };
    match answer {
        Ok(Ok(text)) => Response::new(200, JSON, text),
        Ok(Err(error)) => Response::new(error.status_code(), JSON, error.to_json()),
        Err(reason) => Response::json(400, &json!({"message": reason})),
    }
}

const JSON: &str = "application/x-amz-json-1.0";

type Answer = std::result::Result<std::result::Result<String, DynoxideError>, String>;

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> std::result::Result<A, DynoxideError>,
) -> Answer {
    let request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match operation(request) {
        Ok(answer) => serde_json::to_string(&answer)
            .map(Ok)
            .map_err(|error| error.to_string()),
        Err(error) => Ok(Err(error)),
    }
}

/// Forwards a call to the endpoint behind this one.
fn forward(agent: &Agent, to: Option<&str>, request: &Request) -> Response {
    let to = to.ok_or_else(|| Error::new("no endpoint for this call"));
    let sent = to.and_then(|to| {
        let url = format!("{to}{}", request.path);
        let framing = ["host", "content-length", "connection", "transfer-encoding"];
        let headers = request.headers.iter();
        let headers = headers.filter(|(name, _)| !framing.contains(&name.as_str()));
        let call = headers.fold(agent.post(url), |call, (name, value)| {
            call.header(name, value)
        });
        let mut answer = call.send(&request.body[..]).context("no answer")?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_vec().context("no answer")?;
        Ok::<Response, Error>(Response::new(status, JSON, body))
    });
    sent.unwrap_or_else(|error| Response::json(500, &json!({"message": error.to_string()})))
}
