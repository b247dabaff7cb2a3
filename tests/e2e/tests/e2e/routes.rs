//! The root, and what no route takes.

use serde_json::Value;

use crate::service::Service;

pub fn greets(service: &Service) {
    service
        .get("/")
        .is(200, r#"{"message":"Welcome to the async service"}"#);
}

pub fn refuses_what_it_does_not_know(service: &Service) {
    for path in ["/nope", "/items/1/2", "/result", "/itemsx/"] {
        service.get(path).is(404, r#"{"detail":"Not Found"}"#);
    }
    for (method, path, allow) in [
        ("DELETE", "/", "GET"),
        ("PATCH", "/items/5", "GET"),
        ("DELETE", "/items/", "GET"),
        ("PUT", "/users/", "GET"),
        ("GET", "/process/", "POST"),
        ("POST", "/fetch/", "GET"),
        ("OPTIONS", "/result/x", "GET"),
    ] {
        let refused = service.method(method, path, None, b"");
        refused.is(405, r#"{"detail":"Method Not Allowed"}"#);
        assert_eq!(refused.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(service.method("HEAD", "/", None, b"").status, 405);
}

pub fn redirects_to_the_form_that_it_knows(service: &Service) {
    for (method, path, to) in [
        ("PUT", "/users?a=%20", "/users/?a=%20"),
        ("PATCH", "/items/a%20b/", "/items/a%20b"),
        ("GET", "/result/x//", "/result/x"),
    ] {
        let redirect = service.method(method, path, None, b"");
        assert_eq!((redirect.status, redirect.body.as_str()), (307, ""));
        let location = redirect.header("location").unwrap_or_default();
        assert!(location.starts_with("http://127.0.0.1:"), "{location}");
        assert!(location.ends_with(to), "{location}");
    }
}

pub fn answers_with_and_without_a_slash(service: &Service) {
    for path in ["/items", "/items/", "/users", "/users/"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    let missing = r#"{"detail":[{"type":"missing","loc":["query","url"],"msg":"Field required","input":null}]}"#;
    for path in ["/fetch", "/fetch/"] {
        service.get(path).is(422, missing);
    }
    for path in ["/process", "/process/"] {
        assert_eq!(service.post(path, "[1]").status, 422, "{path}");
    }
}

pub fn logs_each_request_and_no_payload(service: &Service) {
    let secret = r#"{"password":"hunter-2-in-the-body"}"#;
    service.post("/items/?token=hunter-2-in-the-query", secret);
    service.post("/process/", &secret[1..]);
    let answered = |line: &str| -> Option<Value> {
        let line: Value = serde_json::from_str(line.strip_prefix("create_item | ")?).ok()?;
        (line["message"] == "answered").then_some(line)
    };
    let line = service.eventually("the request is logged", || {
        service.logs().lines().filter_map(answered).next_back()
    });
    assert_eq!(
        (&line["level"], &line["status"]),
        (&"INFO".into(), &200.into()),
        "{line}"
    );
    assert!(
        line["span"]["requestId"]
            .as_str()
            .is_some_and(|id| id.len() == 36),
        "{line}"
    );
    assert!(!service.logs().contains("hunter-2"));
}
