mod answers;
mod callers;
mod lists;
mod metrics;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::celery::outbox::Outbox;
use crate::celery::remote::{Accept, RemoteBodies};
use crate::clock::stopped;
use crate::dynamodb::testing::{self, Faults};
use crate::remote::bodies::Bodies;
use crate::tasks::client::Submitter;
use crate::tasks::counts::Counts;
use crate::tasks::queue::TaskQueue;
use crate::tasks::state::State;
use crate::tasks::store::{ClaimOutcome, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;
use crate::tasks::worker::testing::sqs_client;
use crate::web::answer::text_of;
use crate::web::guard::Admitted;
use crate::web::request::{Metadata, from_event};

const NOW: u64 = 1_795_651_775_000;
const HOST: &str = "celery@service";
const OWN: &str = "http://sqs/1/service-celery";
const OTHER: &str = "http://sqs/1/python";

/// The queues, which record each call, and have two messages each.
#[derive(Debug, Clone, Default)]
struct Sqs(Arc<Mutex<Vec<(String, Value)>>>);

impl HttpConnector for Sqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let call = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let answer = match &*operation {
            "GetQueueAttributes" => json!({"Attributes": {
                "ApproximateNumberOfMessages": "2",
                "ApproximateNumberOfMessagesNotVisible": "3",
                "ApproximateNumberOfMessagesDelayed": "0",
            }}),
            "SendMessageBatch" => json!({"Successful": [], "Failed": []}),
            _ => json!({"MessageId": "m"}),
        };
        self.0.lock().unwrap().push((operation, call));
        let answer = HttpResponse::new(200.try_into().unwrap(), answer.to_string().into());
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl Sqs {
    fn calls(&self, operation: &str) -> Vec<Value> {
        let calls = self.0.lock().unwrap();
        let calls = calls.iter().filter(|(name, _)| name == operation);
        calls.map(|(_, call)| call.clone()).collect()
    }
}

struct World {
    flower: Flower,
    tasks: TaskStore,
    sqs: Sqs,
    faults: Faults,
}

fn world() -> World {
    stopped::set(NOW);
    let (sqs, faults) = (Sqs::default(), Faults::default());
    let client = sqs_client(sqs.clone());
    let table = testing::TASKS.to_owned();
    let dynamodb = testing::faulty(&faults);
    let tasks = TaskStore::new(dynamodb.clone(), table.clone(), Duration::from_secs(3600));
    let url = "http://sqs/1/service-tasks".to_owned();
    let queue = TaskQueue::new(client.clone(), url.clone(), url);
    let reader = Reader::new(tasks.clone());
    let bodies: Bodies = "python.*=bodies:live".parse().unwrap();
    let names = vec!["celery".to_owned()];
    let outbox = format!("celery={OWN},python={OTHER}");
    let flower = Flower {
        canceller: Canceller::new(tasks.clone(), None, queue.clone()),
        applier: Some(Applier {
            submitter: Submitter::new(queue, tasks.clone(), None),
            outbox: Outbox::new(client.clone(), &outbox, "").unwrap(),
            own: vec![OWN.to_owned()],
            bodies: RemoteBodies::new(|name| name.starts_with("python."), Accept::default()),
        }),
        workers: Workers::new(HOST, ["add", "mul"].into_iter(), names, bodies, &reader),
        queues: Depths::new(client, vec![("celery".to_owned(), OWN.to_owned())]),
        counts: CountStore::new(dynamodb, table),
        reader,
    };
    World {
        flower,
        tasks,
        sqs,
        faults,
    }
}

/// Who asks: a caller who sees only own tasks, or somebody who sees all.
fn viewer(name: &str) -> Viewer {
    match name {
        "admin" => Viewer::Everyone,
        name => Viewer::Caller(name.to_owned()),
    }
}

fn request(caller: &str, method: &str, url: &str, body: &str) -> Request {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = Some(query.to_owned());
    event.request_context.http.method = method.parse().unwrap();
    event.body = Some(body.to_owned()).filter(|body| !body.is_empty());
    let parts = path.strip_prefix("/api/").into_iter();
    let parts = parts.flat_map(|rest| rest.split('/').map(str::to_owned));
    let names = ["area", "action", "name", "more"].map(str::to_owned);
    event.path_parameters = names.into_iter().zip(parts).collect::<HashMap<_, _>>();
    let mut request = from_event(event, "/api/{area}");
    let metadata = request.extensions_mut().get_mut::<Metadata>().unwrap();
    metadata.admitted = Admitted {
        caller: Some(caller.to_owned()),
        viewer: viewer(caller),
    };
    request
}

impl World {
    /// The status and the text of an answer.
    async fn ask(&self, caller: &str, method: &str, url: &str, body: &str) -> (u16, String) {
        let request = request(caller, method, url, body);
        let answer = self.flower.answer(&request).await.unwrap();
        (answer.status().as_u16(), text_of(&answer).to_owned())
    }

    async fn get(&self, caller: &str, url: &str) -> Value {
        let (status, text) = self.ask(caller, "GET", url, "").await;
        assert_eq!(status, 200, "{url}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The names of the tasks of a list, in order.
    async fn list(&self, caller: &str, query: &str) -> Vec<String> {
        let tasks = self.get(caller, &format!("/api/tasks?{query}")).await;
        // `serde_json` sorts keys, so the order is that of the text.
        let (_, text) = self
            .ask(caller, "GET", &format!("/api/tasks?{query}"), "")
            .await;
        let mut names: Vec<String> = tasks.as_object().unwrap().keys().cloned().collect();
        names.sort_by_key(|name| text.find(&format!("\"{name}\":{{")));
        names
    }

    async fn submit(&self, id: &str, caller: &str, job: &str, at: u64) -> Task {
        let input = RawValue::from_string(r#"{"x":2,"who":"Ada"}"#.to_owned()).unwrap();
        let mut task = Task::new(TaskId::parse(id).unwrap(), job, input, at);
        task.caller = Some(caller.to_owned());
        self.tasks.submitted(&task).await.unwrap();
        task
    }

    async fn complete(&self, task: &Task, result: &str) {
        let claim = self.tasks.claim(task, Duration::from_secs(60), "stream");
        let Ok(ClaimOutcome::Claimed(lease)) = claim.await else {
            panic!("not claimed");
        };
        self.tasks.complete(&lease, result).await.unwrap();
    }

    async fn state(&self, id: &str) -> State {
        let found = self.tasks.get(&TaskId::parse(id).unwrap()).await.unwrap();
        found.unwrap().state
    }

    /// The calls to the table that read.
    fn reads(&self) -> usize {
        let calls = ["GetItem", "BatchGetItem", "Query", "Scan"];
        calls.map(|call| self.faults.calls(call)).iter().sum()
    }
}

fn message(id: &str, done: &str) -> (u16, String) {
    (200, format!(r#"{{"message":"{done} '{id}'"}}"#))
}

fn unknown(id: &str) -> (u16, String) {
    (404, format!("Unknown task '{id}'"))
}
