//! Bodies that a route does not accept, and bodies of many sizes.

use crate::service::Service;

pub fn of_any_size_get_a_clear_answer(service: &Service) {
    let post = |content_type, body: &[u8]| service.method("POST", "/process/", content_type, body);
    let as_json = Some("application/json");
    let missing =
        r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#;
    post(as_json, b"").is(422, missing);
    post(None, b"").is(422, missing);
    post(as_json, br#"{"a":"#).is(
        422,
        r#"{"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#,
    );
    post(as_json, b"[1]").is(
        422,
        r#"{"detail":[{"type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":[1]}]}"#,
    );
    for text in [None, Some("text/plain")] {
        post(text, br#"{"a":1}"#).is(
            422,
            r#"{"detail":[{"type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":"{\"a\":1}"}]}"#,
        );
    }
    let unreadable = r#"{"detail":"There was an error parsing the body"}"#;
    let other_json = Some("application/problem+json");
    post(other_json, b"{\"a\":\"\xff\"}").is(400, unreadable);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    post(as_json, format!(r#"{{"a":{deep}}}"#).as_bytes()).is(400, unreadable);

    // The task runs, although its input is large.
    let megabyte = format!(r#"{{"values":[{}7]}}"#, "1,".repeat(499_993));
    assert_eq!(megabyte.len(), 1_000_000);
    let task_id = service.process(&megabyte);
    assert_eq!(service.result(&task_id)["status"], "completed");

    // An input too large for a message and for one row is stored in chunks.
    let large = format!(r#"{{"values":[{}7]}}"#, "1,".repeat(2_000_000));
    let task_id = service.process(&large);
    assert_eq!(service.result(&task_id)["status"], "completed");

    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(5_300_000));
    let refused = post(as_json, large.as_bytes());
    refused.is(413, r#"{"detail":"The input is larger than 5 MB"}"#);
    let larger = format!(r#"{{"text":"{}"}}"#, "x".repeat(6_000_000));
    let refused = post(as_json, larger.as_bytes());
    assert!(
        [413].contains(&refused.status),
        "{} {:.200}",
        refused.status,
        refused.body
    );

    let item = format!(r#"{{"text":"{}"}}"#, "x".repeat(500_000));
    service
        .post("/items/", &item)
        .is(413, r#"{"detail":"The document is larger than 400 KB"}"#);
}

pub fn that_are_not_text_are_refused(service: &Service) {
    let body = b"{\"a\":\"\xff\"}";
    service
        .method("POST", "/process/", Some("application/json"), body)
        .is(400, r#"{"detail":"There was an error parsing the body"}"#);
}
