use http::HeaderMap;
use http::header::CONTENT_TYPE;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::{Body, Response};
use serde_json::{Value, json};

use super::*;
use crate::tasks::client::Counts;
use crate::tasks::state::State;
use crate::tasks::store::TaskFilter;
use crate::web::answer::text_of;
use crate::web::request::from_event;

const NOW: u64 = 1_900_000_000_000;

fn read(action: BulkAction, body: &Value, now: u64) -> Result<BulkRequest, Vec<String>> {
    let mut event = ApiGatewayV2httpRequest::default();
    event.body = Some(body.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    event.headers = headers;
    let request = from_event(event, "/tasks/retry");
    BulkRequest::read(&request, action, now).map_err(|rejection| {
        let answer: Response<Body> = HttpError::from(rejection).into();
        assert_eq!(answer.status(), 422);
        let answer: Value = serde_json::from_str(text_of(&answer)).unwrap();
        let errors = answer["detail"].as_array().unwrap().iter();
        let error = |error: &Value| {
            let loc = error["loc"].as_array().unwrap().iter();
            let loc: Vec<&str> = loc.map(|step| step.as_str().unwrap()).collect();
            format!("{} {}", loc.join("."), error["type"].as_str().unwrap())
        };
        errors.map(error).collect()
    })
}

fn retry(body: Value) -> Result<BulkRequest, Vec<String>> {
    read(BulkAction::Retry, &body, NOW)
}

#[test]
fn a_request_has_a_filter_and_defaults() {
    let found = retry(json!({"filter": {
        "state": "expired", "job": "a", "job_prefix": "b", "caller": "c", "schedule": "d",
        "created_after": "2030-01-01T00:00:00Z", "created_before": "2030-01-01T01:00:00+01:00",
        "error": "WorkerLost",
    }}));
    let found = found.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let filter = TaskFilter {
        state: Some(State::Expired),
        job: text("a"),
        job_prefix: text("b"),
        caller: text("c"),
        schedule: text("d"),
        created_after: Some(1_893_456_000_000),
        created_before: Some(1_893_456_000_000),
        error: text("WorkerLost"),
        id_prefix: None,
    };
    let bulk = Bulk {
        action: BulkAction::Retry,
        filter,
        dry_run: false,
        began: NOW,
    };
    assert_eq!(found.bulk, bulk);
    assert_eq!(
        (found.limit, found.after, found.background),
        (100, None, false)
    );
    let all = retry(
        json!({"filter": {"job": "a", "state": null}, "dry_run": true, "limit": 7,
        "cursor": null, "background": true}),
    );
    let all = all.unwrap();
    assert_eq!(
        (all.limit, all.background, all.bulk.dry_run),
        (7, true, true)
    );
}

#[test]
fn a_wrong_request_is_refused_with_all_errors() {
    for (body, errors) in [
        (json!([]), &["body model_attributes_type"][..]),
        (json!({}), &["body.filter missing"]),
        (json!({"filter": 5}), &["body.filter model_attributes_type"]),
        (json!({"filter": {}}), &["body.filter value_error"]),
        (
            json!({"filter": {"job": null}}),
            &["body.filter value_error"],
        ),
        (
            json!({"filter": {"job": ""}}),
            &["body.filter.job string_too_short"],
        ),
        (
            json!({"filter": {"job": 5, "state": "completed", "created_after": "x", "id": 1},
                "dryrun": true, "dry_run": 1, "limit": 0, "background": "yes"}),
            &[
                "body.filter.job string_type",
                "body.filter.state literal_error",
                "body.filter.created_after datetime_parsing",
                "body.filter.id extra_forbidden",
                "body.dry_run bool_type",
                "body.limit greater_than_equal",
                "body.background bool_type",
                "body.dryrun extra_forbidden",
            ],
        ),
        (
            json!({"filter": {"job": "a"}, "limit": 1001, "cursor": "x"}),
            &["body.limit less_than_equal", "body.cursor value_error"],
        ),
        (
            json!({"filter": {"job": "a"}, "cursor": 5}),
            &["body.cursor string_type"],
        ),
    ] {
        assert_eq!(retry(body.clone()).unwrap_err(), errors, "{body}");
    }
}

#[test]
fn an_ended_task_cannot_be_cancelled_and_a_waiting_one_cannot_be_retried() {
    let of_state = |state: &str| json!({"filter": {"state": state}});
    for state in State::ALL {
        for action in [BulkAction::Cancel, BulkAction::Retry] {
            let found = read(action, &of_state(state.as_str()), NOW);
            assert_eq!(found.is_ok(), action.states().contains(&state), "{state}");
        }
    }
}

#[test]
fn a_cursor_continues_its_own_action() {
    let body = json!({"filter": {"job": "a"}, "limit": 5});
    let first = retry(body.clone()).unwrap();
    let place = TaskPosition::parse("1800000000000-x").unwrap();
    let step = |next| Step {
        counts: Counts::default(),
        next,
    };
    assert_eq!(BulkView::new(&first.bulk, step(None)).cursor, None);
    let view = BulkView::new(&first.bulk, step(Some(place.clone())));
    let mut next = body;
    next["cursor"] = json!(view.cursor);
    let later = read(BulkAction::Retry, &next, NOW + 60_000).unwrap();
    assert_eq!(
        later.bulk, first.bulk,
        "the action began with the first request"
    );
    assert_eq!(later.after, Some(place));
    // The size of a step may change.
    next["limit"] = json!(6);
    assert!(retry(next.clone()).is_ok());
    let foreign = Err(vec!["body.cursor value_error".to_owned()]);
    let read_error = |action, body: &Value| read(action, body, NOW).map(|_| ());
    assert_eq!(read_error(BulkAction::Cancel, &next), foreign);
    next["dry_run"] = json!(true);
    assert_eq!(read_error(BulkAction::Retry, &next), foreign);
    next["dry_run"] = json!(false);
    next["filter"]["job"] = json!("b");
    assert_eq!(read_error(BulkAction::Retry, &next), foreign);
}

#[test]
fn the_path_names_the_action() {
    for (path, action) in [
        ("/tasks/retry", BulkAction::Retry),
        ("/v1/tasks/retry/", BulkAction::Retry),
        ("/tasks/cancel", BulkAction::Cancel),
    ] {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_path = Some(path.to_owned());
        assert_eq!(bulk_action(&from_event(event, "/tasks/cancel")), action);
    }
}
