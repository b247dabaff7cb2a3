//! The root, and what no route takes.

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
        ("PUT", "/users", "GET"),
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
