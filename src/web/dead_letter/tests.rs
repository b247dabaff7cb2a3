use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

use super::*;
use crate::web::answer::text_of;
use crate::web::request::from_event;

fn request(body: &str) -> Request {
    let (mut head, _) = from_event(ApiGatewayV2httpRequest::default(), "/").into_parts();
    let json = "application/json".parse().unwrap();
    head.headers.insert("content-type", json);
    Request::from_parts(head, Body::Text(body.to_owned()))
}

fn refusal(body: &str) -> String {
    let error = Receipts::default().read(&request(body)).unwrap_err();
    text_of(&HttpError::from(error).into()).to_owned()
}

#[test]
fn only_receipts_that_were_given_out_name_letters() {
    let receipts = Receipts::default();
    let given = receipts.0.seal_text("m1");
    let foreign = Cursor::of("tasks").seal_text("m1");
    let body = Json::object([(
        "receipts",
        Json::array([given.as_str(), foreign.as_str(), "m1", ""]),
    )]);
    let ids = receipts.read(&request(&body.to_string())).unwrap();
    // No message has the empty id.
    assert_eq!(ids, ["m1", "", "", ""]);
}

#[test]
fn wrong_receipts_have_the_errors_of_fastapi() {
    let many = vec!["\"a\""; 101].join(",");
    for (body, kind) in [
        ("[]", "model_attributes_type"),
        ("{}", "missing"),
        (r#"{"receipts": "a"}"#, "list_type"),
        (r#"{"receipts": []}"#, "too_short"),
        (&format!(r#"{{"receipts": [{many}]}}"#), "too_long"),
        (r#"{"receipts": ["a", 5]}"#, "string_type"),
    ] {
        let error = refusal(body);
        assert!(error.contains(&format!(r#""type":"{kind}""#)), "{error}");
    }
    assert!(refusal(r#"{"receipts": ["a", 5]}"#).contains(r#"["body","receipts",1]"#));
}

#[test]
fn the_limit_is_kept_within_its_bounds() {
    let of = |query: &str| {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_query_string = Some(query.to_owned());
        limit(&from_event(event, "/"))
    };
    for (query, expected) in [
        ("", 10),
        ("limit=1", 1),
        ("limit=0", 1),
        ("limit=-99999999999999999999", 1),
        ("limit=100", 100),
        ("limit=99999999999999999999", 100),
    ] {
        assert_eq!(of(query).unwrap(), expected, "{query}");
    }
    assert!(of("limit=x").is_err());
}

#[test]
fn a_viewer_of_own_tasks_is_refused() {
    // A request that no guard has admitted is one of a viewer without tasks.
    let refused = for_operators(&request("")).unwrap_err();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
