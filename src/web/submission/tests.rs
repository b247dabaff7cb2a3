use http::HeaderMap;
use http::header::CONTENT_TYPE;
use lambda_http::Response;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

use super::*;
use crate::jobs::{CATALOG, FetchUrls, ProcessData};
use crate::remote::bodies::Bodies;
use crate::tasks::task::Priority;
use crate::web::HttpError;
use crate::web::answer::text_of;
use crate::web::request::from_event;

const NOW: u64 = 1_900_000_000_000;

fn request(body: &str, key: Option<&str>) -> Request {
    let mut event = ApiGatewayV2httpRequest::default();
    event.body = Some(body.to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    if let Some(key) = key {
        headers.insert(IDEMPOTENCY_KEY, key.parse().unwrap());
    }
    event.headers = headers;
    from_event(event, "/tasks")
}

fn task(body: &str, key: Option<&str>) -> Task {
    let submission = Submission::read(&request(body, key), CATALOG, &Bodies::default(), NOW);
    submission
        .unwrap()
        .task(SubmissionIds::new(None), Some("ada"), NOW)
}

/// The location and type of every error.
fn wrong(body: &str) -> Vec<String> {
    let rejection =
        Submission::read(&request(body, None), CATALOG, &Bodies::default(), NOW).unwrap_err();
    let answer = Response::from(HttpError::from(rejection));
    assert_eq!(answer.status(), 422);
    let answer: serde_json::Value = serde_json::from_str(text_of(&answer)).unwrap();
    let errors = answer["detail"].as_array().unwrap().iter();
    let location = |loc: &serde_json::Value| {
        let parts = loc.as_array().unwrap().iter();
        parts
            .map(|part| part.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(".")
    };
    errors
        .map(|error| {
            format!(
                "{} {}",
                location(&error["loc"]),
                error["type"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_submission_becomes_a_task() {
    let task = task(
        r#"{"job":"fetch_urls","input":{"urls":["http://a.example/"]},"options":{"countdown":1.5,
            "expires":"2030-03-17T17:47:00Z","max_retries":0,"priority":"high","time_limit":60}}"#,
        None,
    );
    assert_eq!(task.job, "fetch_urls");
    assert_eq!(
        task.input().unwrap().get(),
        r#"{"urls":["http://a.example/"]}"#
    );
    let expected = Options {
        eta: Some(NOW + 1_500),
        expires: Some(NOW + 20_000),
        max_retries: Some(0),
        time_limit: Some(60),
        priority: Priority::High,
    };
    assert_eq!(task.options, expected);
    assert_eq!(task.caller.as_deref(), Some("ada"));
    assert_eq!(task.fingerprint, None);
}

#[test]
fn a_task_with_a_past_time_is_due_at_once() {
    let options = |text: &str| {
        task(
            &format!(r#"{{"job":"process_data","options":{text}}}"#),
            None,
        )
        .options
    };
    assert_eq!(
        options(r#"{"eta":"2001-01-01T00:00:00Z"}"#),
        Options::default()
    );
    assert_eq!(options(r#"{"countdown":0}"#), Options::default());
    assert_eq!(options("null"), Options::default());
    let zone = options(r#"{"eta":"2030-03-17T18:46:41+01:00"}"#);
    assert_eq!(zone.eta, Some(NOW + 1_000));
}

#[test]
fn a_key_makes_the_id_and_callers_keys_do_not_meet() {
    let body = r#"{"job":"process_data","input":{"a":1}}"#;
    let (first, again) = (task(body, Some("k")), task(body, Some("k")));
    assert_eq!(
        (&first.id, &first.fingerprint),
        (&again.id, &again.fingerprint)
    );
    let other = task(r#"{"job":"process_data","input":{"a":2}}"#, Some("k"));
    assert_eq!(other.id, first.id);
    assert_ne!(other.fingerprint, first.fingerprint);
    let submission =
        Submission::read(&request(body, Some("k")), CATALOG, &Bodies::default(), NOW).unwrap();
    assert_ne!(
        submission
            .task(SubmissionIds::new(None), Some("bob"), NOW)
            .id,
        first.id
    );
    assert_ne!(task(body, None).id, task(body, None).id);
}

#[test]
fn every_error_of_the_members_is_listed() {
    for (body, expected) in [
        ("[1]", vec!["body model_attributes_type"]),
        ("{}", vec!["body.job missing"]),
        (r#"{"job":5}"#, vec!["body.job string_type"]),
        (
            r#"{"job":"x","options":7}"#,
            vec![
                "body.job literal_error",
                "body.options model_attributes_type",
            ],
        ),
        (r#"{"job":"fetch_urls"}"#, vec!["body.input value_error"]),
        (
            r#"{"job":"fetch_urls","input":{"urls":[1]}}"#,
            vec!["body.input value_error"],
        ),
        (
            r#"{"job":"process_data","input":[NaN]}"#,
            vec!["body.input value_error"],
        ),
    ] {
        assert_eq!(wrong(body), expected, "{body}");
    }
}

#[test]
fn every_error_of_the_options_is_listed() {
    // One table of options, so the function is long.
    for (options, expected) in [
        (r#"{"countdown":"5"}"#, vec!["countdown float_type"]),
        (r#"{"countdown":-1}"#, vec!["countdown greater_than_equal"]),
        (r#"{"countdown":1e9}"#, vec!["countdown less_than_equal"]),
        (r#"{"eta":"tomorrow"}"#, vec!["eta datetime_parsing"]),
        (
            r#"{"eta":"2030-03-17T18:46:41"}"#,
            vec!["eta datetime_parsing"],
        ),
        (r#"{"eta":"2032-01-01T00:00:00Z"}"#, vec!["eta value_error"]),
        (
            r#"{"eta":"2030-03-18T00:00:00Z","countdown":5}"#,
            vec!["eta value_error"],
        ),
        (
            r#"{"countdown":60,"expires":"2030-03-17T17:47:00Z"}"#,
            vec!["expires value_error"],
        ),
        (
            r#"{"eta":"2020-01-01T00:00:00Z","expires":"2019-01-01T00:00:00Z"}"#,
            vec!["expires value_error"],
        ),
        (
            r#"{"max_retries":-1,"time_limit":0}"#,
            vec![
                "max_retries greater_than_equal",
                "time_limit greater_than_equal",
            ],
        ),
        (
            r#"{"max_retries":101,"time_limit":1.5}"#,
            vec!["max_retries less_than_equal", "time_limit int_type"],
        ),
        (r#"{"priority":"urgent"}"#, vec!["priority literal_error"]),
        (r#"{"retries":1}"#, vec!["retries extra_forbidden"]),
    ] {
        let body = format!(r#"{{"job":"process_data","options":{options}}}"#);
        let expected: Vec<String> = expected
            .iter()
            .map(|error| format!("body.options.{error}"))
            .collect();
        assert_eq!(wrong(&body), expected, "{options}");
    }
}

#[test]
fn the_error_of_an_unknown_job_lists_the_jobs() {
    const JOBS: &[JobInfo] = &[JobInfo::of::<FetchUrls>(), JobInfo::of::<ProcessData>()];
    let request = request(r#"{"job":"x"}"#, None);
    let rejection = Submission::read(&request, JOBS, &Bodies::default(), NOW).unwrap_err();
    let answer = Response::from(HttpError::from(rejection));
    let expected = r#""msg":"Input should be 'fetch_urls' or 'process_data'","input":"x","ctx":{"expected":"'fetch_urls' or 'process_data'"}"#;
    assert!(text_of(&answer).contains(expected), "{}", text_of(&answer));
}

#[test]
fn equal_submissions_have_the_same_fingerprint() {
    let of = |body: &str| task(body, Some("k")).fingerprint.unwrap();
    let first =
        of(r#"{"job":"process_data","input":{"a":1,"b":{"c":[1,{"d":2,"e":3}],"f":null}}}"#);
    for same in [
        r#"{"input":{"b":{"f":null,"c":[1,{"e":3,"d":2}]},"a":1},"job":"process_data"}"#,
        r#"{"job":"process_data","input":{"a":1,"b":{"c":[1,{"d":2,"e":3}],"f":null}},"options":{}}"#,
        r#"{"job":"process_data","input":{"a":1,"b":{"c":[1,{"d":2,"e":3}],"f":null}},"options":null}"#,
        r#"{"job":"process_data","options":{"eta":null,"priority":null},
            "input":{"a":1,"b":{"c":[1,{"d":2,"e":3}],"f":null}}}"#,
    ] {
        assert_eq!(of(same), first, "{same}");
    }
    for other in [
        r#"{"job":"process_data","input":{"a":1,"b":{"c":[{"d":2,"e":3},1],"f":null}}}"#,
        r#"{"job":"process_data","input":{"a":1,"b":{"c":[1,{"d":2,"e":3}]}}}"#,
        r#"{"job":"process_data","input":{"a":1,"b":{"c":[1,{"d":2,"e":3}],"f":null}},
            "options":{"max_retries":1}}"#,
    ] {
        assert_ne!(of(other), first, "{other}");
    }
    let empty = of(r#"{"job":"process_data"}"#);
    assert_eq!(of(r#"{"job":"process_data","input":{}}"#), empty);
}

#[test]
fn an_idempotency_key_may_contain_any_bytes() {
    let request = |key: &[u8]| {
        let mut request = request(r#"{"job":"process_data"}"#, None);
        let value = http::HeaderValue::from_bytes(key).unwrap();
        request.headers_mut().insert(IDEMPOTENCY_KEY, value);
        request
    };
    let id = |key: &[u8]| {
        let submission = Submission::read(&request(key), CATALOG, &Bodies::default(), NOW).unwrap();
        submission.task(SubmissionIds::new(None), None, NOW).id
    };
    let key = "bestellung-ä-17".as_bytes();
    assert_eq!(id(key), id(key));
    assert_eq!(id(b"bestellung-\xe4-17"), id(b"bestellung-\xe4-17"));
    assert_ne!(id(key), id(b"bestellung-17"));
    assert_eq!(id("ä".repeat(255).as_bytes()).uuid().get_version_num(), 5);
    let too_long = request("ä".repeat(256).as_bytes());
    assert!(Submission::read(&too_long, CATALOG, &Bodies::default(), NOW).is_err());
}

#[test]
fn the_last_day_of_the_year_9999_becomes_the_latest_time() {
    let expires = |time: &str| {
        let body = format!(r#"{{"job":"process_data","options":{{"expires":"{time}"}}}}"#);
        task(&body, None).options.expires
    };
    let last = expires("9999-12-30T00:00:00Z");
    for never in [
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999+00:00",
        "9999-12-31T00:00:00-12:00",
    ] {
        assert!(expires(never) > last, "{never}");
    }
    for text in [
        "9999-12-31",
        "9999-12-31T23:59:59",
        "10000-01-01T00:00:00Z",
        "9999-13-01T00:00:00Z",
    ] {
        let body = format!(r#"{{"job":"process_data","options":{{"expires":"{text}"}}}}"#);
        assert_eq!(wrong(&body).len(), 1, "{text}");
    }
}

#[test]
fn an_id_depends_on_the_secret_and_the_caller() {
    let id = |secret: Option<&str>, caller| SubmissionIds::new(secret).of(caller, "k");
    assert_eq!(id(Some("s"), Some("ada")), id(Some("s"), Some("ada")));
    assert_ne!(id(Some("s"), Some("ada")), id(Some("t"), Some("ada")));
    assert_ne!(id(Some("s"), Some("ada")), id(None, Some("ada")));
    assert_ne!(id(Some("s"), Some("ada")), id(Some("s"), Some("grace")));
}

#[test]
fn half_a_surrogate_pair_is_the_replacement_character() {
    let task = task(r#"{"job":"process_data","input":{"a":"x\ud83d"}}"#, None);
    assert_eq!(task.input().unwrap().get(), "{\"a\":\"x\u{fffd}\"}");
    // As in FastAPI, an answer cannot echo it.
    let body = r#"{"job":"nope\ud83d"}"#;
    let rejection =
        Submission::read(&request(body, None), CATALOG, &Bodies::default(), NOW).unwrap_err();
    let answer = Response::from(HttpError::from(rejection));
    assert!(
        text_of(&answer).contains("surrogate"),
        "{}",
        text_of(&answer)
    );
}

#[test]
fn a_remote_job_is_accepted_with_any_input_and_listed_in_the_error() {
    let bodies: Bodies = "reports.*=reports-function".parse().unwrap();
    let read = |body: &str| Submission::read(&request(body, None), CATALOG, &bodies, NOW);
    let task = |body: &str| {
        read(body)
            .unwrap()
            .task(SubmissionIds::new(None), None, NOW)
    };
    let whole = task(r#"{"job":"reports.daily","input":[1,null]}"#);
    assert_eq!(
        (whole.job.as_str(), whole.input().unwrap().get()),
        ("reports.daily", "[1,null]")
    );
    assert_eq!(task(r#"{"job":"reports."}"#).input().unwrap().get(), "{}");
    let rejection = HttpError::from(read(r#"{"job":"mail"}"#).unwrap_err());
    let text = text_of(&Response::from(rejection)).to_owned();
    assert!(text.contains("or 'reports.*'"), "{text}");
    assert!(read(&format!(r#"{{"job":"reports.{}"}}"#, "x".repeat(300))).is_err());
    // The check of a job of this name holds though a pattern fits, too.
    let all: Bodies = "*=https://x.example/".parse().unwrap();
    let wrong = r#"{"job":"fetch_urls","input":{"urls":5}}"#;
    assert!(Submission::read(&request(wrong, None), CATALOG, &all, NOW).is_err());
}
