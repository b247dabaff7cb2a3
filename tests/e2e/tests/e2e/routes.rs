//! The root, and requests that no route matches.

use local_stack::gateway::Slash;
use serde_json::Value;

use crate::service::{Service, slash};

pub fn greets(service: &Service) {
    service
        .get("/")
        .is(200, r#"{"message":"Welcome to the async service"}"#);
}

pub fn answers_404_and_405_to_unknown_paths_and_methods(service: &Service) {
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
    ] {
        refuses_method(service, method, path, allow);
    }
    assert_eq!(service.method("HEAD", "/", None, b"").status, 405);
}

pub fn redirects_to_the_canonical_path(service: &Service) {
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

pub fn refuses_options(service: &Service) {
    refuses_method(service, "OPTIONS", "/result/x", "GET");
}

fn refuses_method(service: &Service, method: &str, path: &str, allow: &str) {
    let refused = service.method(method, path, None, b"");
    refused.is(405, r#"{"detail":"Method Not Allowed"}"#);
    assert_eq!(refused.header("allow"), Some(allow), "{method} {path}");
}

/// The requests of the FastAPI service's clients, with and without a trailing slash.
pub fn need_one_invocation_and_no_redirect_for_each_request(service: &Service) {
    let task_id = service.process("{}");
    service.result(&task_id);
    let url = service.upstream("/json/7");
    let before = answers_of_routes(service);
    let mut asked = 0;
    for (method, path, query) in [
        ("GET", "/", ""),
        ("GET", "/items/5", "?q=x"),
        ("POST", "/items", ""),
        ("GET", "/users", "?limit=2"),
        ("GET", "/users/7", ""),
        ("GET", "/fetch", &format!("?url={url}")),
        ("POST", "/process", ""),
        ("GET", &format!("/result/{task_id}"), ""),
    ] {
        let forms = [path.to_owned(), format!("{}/", path.trim_end_matches('/'))];
        let forms = if path == "/" { &forms[..1] } else { &forms[..] };
        for form in forms {
            let (content_type, body) = match method {
                "POST" => (Some("application/json"), "{}"),
                _ => (None, ""),
            };
            let target = format!("{form}{query}");
            let answer = service.method(method, &target, content_type, body.as_bytes());
            assert_eq!(answer.status, 200, "{method} {target}: {answer:?}");
            // If the gateway sends the path to `$default`, that function invokes the route's function.
            let is_passed_on = slash().is_ok_and(|way| way == Slash::Default);
            let is_passed_on = is_passed_on && form != "/" && form.ends_with('/');
            asked += if is_passed_on { 2 } else { 1 };
        }
    }
    let after = service.eventually("all answers are logged", || {
        let after = answers_of_routes(service);
        (after >= before + asked).then_some(after)
    });
    assert_eq!(after, before + asked, "one invocation for each request");
}

/// How many requests the functions have answered, according to the log.
fn answers_of_routes(service: &Service) -> usize {
    let logs = service.logs();
    let answered = |line: &&str| {
        let Some((_, line)) = line.split_once(" | ") else {
            return false;
        };
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["message"] == "answered"
    };
    logs.lines().filter(answered).count()
}

pub fn decode_their_parameters(service: &Service) {
    for (sent, meant) in [
        ("a%20b", "a b"),
        ("%C3%A4%E4%BD%A0", "ä你"),
        ("a+b", "a+b"),
        ("%ff", "\u{fffd}"),
    ] {
        let refused = service.get(&format!("/items/{sent}"));
        let refused = (refused.status, refused.json());
        assert_eq!(refused.0, 422, "{sent}: {refused:?}");
        assert_eq!(refused.1["detail"][0]["input"], meant, "{sent}");
    }
    service
        .get("/items/%20%35")
        .is(200, r#"{"item_id":5,"q":null,"item":null}"#);
    service
        .get("/items/5?q=50%25+%2541")
        .is(200, r#"{"item_id":5,"q":"50% %41","item":null}"#);
}

pub fn answers_with_and_without_a_slash(service: &Service) {
    for path in ["/items", "/items/", "/users", "/users/", "/items/5/"] {
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
        let line: Value = serde_json::from_str(line.split_once(" | ")?.1).ok()?;
        let is_of_it = line["route"] == "/items/" && line["method"] == "POST";
        (line["message"] == "answered" && is_of_it).then_some(line)
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
