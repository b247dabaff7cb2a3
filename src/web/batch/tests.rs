use http::HeaderMap;
use http::header::CONTENT_TYPE;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::{Body, Response};
use serde_json::{Value, json};

use super::*;
use crate::jobs::CATALOG;
use crate::remote::bodies::Bodies;
use crate::tasks::client::testing::World;
use crate::tasks::queue::QueueError;
use crate::web::answer::text_of;
use crate::web::request::from_event;

const NOW: u64 = 1_900_000_000_000;

fn request(body: &str, key: Option<&str>) -> Request {
    let mut event = ApiGatewayV2httpRequest::default();
    event.body = Some(body.to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    if let Some(key) = key {
        headers.insert("idempotency-key", key.parse().unwrap());
    }
    event.headers = headers;
    from_event(event, "/tasks/batch")
}

fn batch(body: &Value) -> Checked<Batch> {
    let bodies = "far.*=far-function".parse::<Bodies>().unwrap();
    Batch::read(&request(&body.to_string(), None), (CATALOG, &bodies), NOW)
}

fn ids() -> SubmissionIds {
    SubmissionIds::new(Some("secret"))
}

/// The outcomes of a batch, as an answer shows them.
async fn outcomes(world: &World, body: &Value) -> Value {
    let submitter = world.submitter();
    let view = batch(body)
        .unwrap()
        .submit(&submitter, ids(), Some("ada"), None, NOW);
    serde_json::to_value(view.await).unwrap()
}

/// The answer of `POST /tasks/` to a submission that is refused.
fn single(body: &Value, key: Option<&str>) -> Value {
    let request = request(&body.to_string(), key);
    let bodies = Bodies::default();
    let rejection = Submission::read(&request, CATALOG, &bodies, NOW).unwrap_err();
    let answer: Response<Body> = HttpError::from(rejection).into();
    serde_json::from_str(text_of(&answer)).unwrap()
}

#[tokio::test]
async fn each_task_has_its_own_outcome_in_the_words_of_a_single_submission() {
    let world = World::new();
    let long = "k".repeat(256);
    let wrong = [
        json!({"input": {}}),
        json!(5),
        json!({"job": "process_data", "options": {"countdown": -1, "max_retries": 101}}),
        json!({"job": "fetch_urls", "input": {"urls": 5}}),
    ];
    let mut tasks = vec![json!({"job": "process_data", "input": {"values": [1]}})];
    tasks.extend(wrong.iter().cloned());
    tasks.push(json!({"job": "process_data", "idempotency_key": long}));
    tasks.push(json!({"job": "process_data", "idempotency_key": 5}));
    tasks.push(json!({"job": "far.away", "options": {"countdown": 5}}));
    let answer = outcomes(&world, &json!({ "tasks": tasks })).await;
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(2), &json!(6))
    );
    let all = answer["outcomes"].as_array().unwrap();
    assert_eq!(
        (&all[0]["status"], &all[0]["task"]["state"]),
        (&json!(202), &json!("pending"))
    );
    for (outcome, wrong) in all[1..].iter().zip(&wrong) {
        assert_eq!(outcome["status"], json!(422));
        assert_eq!(outcome["detail"], single(wrong, None)["detail"], "{wrong}");
    }
    let mut header = single(&json!({"job": "process_data"}), Some(&long))["detail"].clone();
    header[0]["loc"] = json!(["body", "idempotency_key"]);
    assert_eq!(all[5]["detail"], header);
    assert_eq!(all[6]["detail"][0]["type"], "string_type");
    assert_eq!(all[7]["task"]["job"], "far.away");
    assert_eq!(all[7]["task"]["state"], "scheduled");
    assert_eq!(world.queue.sent(), 2);
}

#[tokio::test]
async fn a_key_in_a_batch_is_the_same_key_as_in_a_header() {
    let world = World::new();
    let body = json!({"job": "process_data", "input": {"a": 1}});
    let header = request(&body.to_string(), Some("order-1"));
    let single = Submission::read(&header, CATALOG, &Bodies::default(), NOW).unwrap();
    let single = single.task(ids(), Some("ada"), NOW);
    let accepted = world.submitter().submit(single).await.unwrap();
    let mut task = body.clone();
    task["idempotency_key"] = json!("order-1");
    let mut other = task.clone();
    other["input"] = json!({"a": 2});
    let answer = outcomes(&world, &json!({"tasks": [task, other]})).await;
    let all = &answer["outcomes"];
    assert_eq!(all[0]["task"]["task_id"], json!(accepted.id));
    assert_eq!(all[1]["status"], json!(422));
    let msg = "Value error, the key was used for a different request";
    assert_eq!(all[1]["detail"][0]["msg"], json!(msg));
    assert_eq!(
        all[1]["detail"][0]["loc"],
        json!(["body", "idempotency_key"])
    );
    assert_eq!(world.queue.sent(), 1);
}

#[test]
fn a_body_that_is_no_batch_is_refused_as_a_whole() {
    let many = vec![json!({"job": "process_data"}); 1_001];
    for (body, kind) in [
        (json!([]), "model_attributes_type"),
        (json!({}), "missing"),
        (json!({"tasks": {}}), "list_type"),
        (json!({"tasks": []}), "too_short"),
        (json!({ "tasks": many }), "too_long"),
    ] {
        let answer: Response<Body> = HttpError::from(batch(&body).unwrap_err()).into();
        let answer: Value = serde_json::from_str(text_of(&answer)).unwrap();
        assert_eq!(answer["detail"][0]["type"], kind);
    }
    let most = vec![json!({"job": "process_data"}); 1_000];
    assert!(batch(&json!({ "tasks": most })).is_ok());
}

#[test]
fn the_details_of_an_answer_are_bounded() {
    let echo = "x".repeat(60_000);
    let error = || {
        let loc = [Loc::from("body"), "job".into()];
        HttpError::invalid(vec![pydantic::string(loc, Json::from(echo.as_str()))])
    };
    let view = BatchView::new((0..100).map(|_| Err(error())));
    let text = serde_json::to_string(&view).unwrap();
    assert!(text.len() < MAX_DETAILS + 100 * 100, "{}", text.len());
    let view: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(view["refused"], json!(100));
    assert_eq!(view["outcomes"][0]["detail"][0]["input"], json!(echo));
    let last = view["outcomes"][99]["detail"].as_str().unwrap();
    assert!(last.starts_with("The detail is left out"), "{last}");
}

#[test]
fn a_failure_of_a_service_is_the_outcome_of_its_task() {
    let failed = SubmitError::Queue(QueueError::Call("down".into()));
    let large = SubmitError::Queue(QueueError::TooLarge { size: 2, limit: 1 });
    let outcomes = [failed, large, SubmitError::TooLarge].map(|error| Err(error_of(error)));
    let view = serde_json::to_value(BatchView::new(outcomes.into_iter())).unwrap();
    let all = view["outcomes"].as_array().unwrap();
    let statuses: Vec<_> = all
        .iter()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [503, 413, 413]);
    assert_eq!(all[0]["detail"], "Service temporarily unavailable");
}
