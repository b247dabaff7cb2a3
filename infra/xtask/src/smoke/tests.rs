use local_stack::http::{Body, Request, Response, Server};
use serde_json::json;

use super::*;

fn document() -> Value {
    let text = std::fs::read(project::root().join("openapi.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A service that answers every request with `answer`.
fn service(key: Option<&str>, answer: fn(&Request) -> Response) -> (Service, Server) {
    let server = Server::start(0, answer).unwrap();
    let options = options(&server, key);
    let service = Service {
        client: Client::new(&options).unwrap(),
        document: document(),
        origin: Some("https://a.example".to_owned()),
    };
    (service, server)
}

fn options(server: &Server, key: Option<&str>) -> Options {
    Options {
        url: format!("http://127.0.0.1:{}/", server.port()),
        key: key.map(str::to_owned),
        origin: None,
    }
}

fn failure(_: &Request) -> Response {
    Response::json(500, &json!({"message": "Internal Server Error"}))
}

/// A valid answer to a probe.
fn refusal(_: &Request) -> Response {
    Response::json(422, &json!({"detail": []}))
}

#[test]
fn every_operation_of_the_document_is_probed_with_and_without_a_slash() {
    let probes = routes::probes(&document());
    let told: Vec<String> = probes.iter().map(|probe| format!("{probe:?}")).collect();
    for part in [
        r#"method: "GET", path: "", body: None, secured: false"#,
        r#"method: "POST", path: "/process", body: Some("["), secured: true"#,
        r#"method: "DELETE", path: "/items/9007199254740991", body: None, secured: true"#,
        r#"path: "/tasks/00000000-0000-4000-8000-000000000000/retry", body: None"#,
        r#"path: "/openapi.json", body: None, secured: false, statuses: {200}"#,
    ] {
        assert!(told.iter().any(|probe| probe.contains(part)), "{part}");
    }
    assert!(
        told.iter()
            .all(|probe| !probe.contains('{') || !probe.contains("_id}"))
    );
    let operations = document();
    let operations = operations["paths"].as_object().unwrap().values();
    let operations: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(probes.len(), operations + 3);
}

#[test]
fn a_failing_service_passes_no_check() {
    let (service, _server) = service(Some("as_1_2"), failure);
    for (name, check) in CHECKS {
        let findings = check(&service);
        assert!(!findings.is_empty(), "{name}");
        let of_origins = name.contains("CORS");
        assert!(
            of_origins || findings.iter().all(|it| it.contains("500")),
            "{findings:?}"
        );
    }
}

#[test]
fn failed_checks_are_counted_and_an_unreachable_service_is_an_error() {
    let server = Server::start(0, failure).unwrap();
    let error = run(&options(&server, None)).unwrap_err().to_string();
    assert!(
        error.contains(" of 12 checks of http://127.0.0.1:"),
        "{error}"
    );
    drop(server);
    let nobody = Options {
        url: "http://127.0.0.1:1".to_owned(),
        ..Options::default()
    };
    let error = run(&nobody).unwrap_err().to_string();
    assert!(
        error.starts_with("no service answers at http://127.0.0.1:1: "),
        "{error}"
    );
    for url in ["ftp://127.0.0.1", "127.0.0.1", "http://127.0.0.1/?a", ""] {
        let url = url.to_owned();
        assert!(
            run(&Options {
                url,
                ..Options::default()
            })
            .is_err()
        );
    }
}

#[test]
fn routes_that_redirect_refuse_or_do_not_exist_are_reported() {
    let told = |key, answer| routes::both_forms(&service(key, answer).0).join("\n");
    let redirects = told(None, |request| match request.path.ends_with('/') {
        true => Response {
            headers: vec![("location".to_owned(), "/elsewhere".to_owned())],
            ..Response::new(307, "text/plain", "")
        },
        false => refusal(request),
    });
    assert!(
        redirects.contains("POST /process/: 307 to /elsewhere: a redirect"),
        "{redirects}"
    );
    assert!(!redirects.contains("POST /process: "), "{redirects}");
    let missing = told(None, |_| {
        Response::json(404, &json!({"detail": "Not Found"}))
    });
    assert!(missing.contains("GET /result/"), "{missing}");
    assert!(missing.contains("the route does not exist"), "{missing}");
    let unknown = |_: &Request| Response::json(401, &json!({"detail": "Not authenticated"}));
    assert!(told(None, unknown).contains("pass a key with --key"));
    assert!(told(Some("as_1_2"), unknown).contains("the key is not accepted"));
    let differ = told(None, |request| match request.path.ends_with('/') {
        true => Response::json(404, &json!({"detail": "Task not found"})),
        false => refusal(request),
    });
    assert!(
        differ.contains("retry: 422 without a slash, 404 with one"),
        "{differ}"
    );
}

#[test]
fn routes_that_accept_requests_without_a_key_are_reported() {
    let (service, _server) = service(Some("as_1_2"), refusal);
    let findings = routes::refusals(&service).join("\n");
    for who in [
        "without a key: POST /process/: 422",
        "with a wrong key: POST /process: 422",
    ] {
        assert!(findings.contains(who), "{findings}");
    }
    assert!(!findings.contains("GET /docs"), "{findings}");
}

#[test]
fn the_key_is_sent_in_authorization() {
    let (service, _server) = service(Some("as_1_2"), |request| {
        let known = request.header("authorization") == Some("Bearer as_1_2");
        Response::json(if known { 422 } else { 401 }, &json!({"detail": []}))
    });
    assert_eq!(routes::refusals(&service), Findings::new());
}

#[test]
fn a_failed_task_is_reported_with_its_error() {
    let (service, _server) = service(None, |request| match request.method.as_str() {
        "POST" => Response::json(200, &json!({"task_id": "t"})),
        _ => Response::json(200, &json!({"status": "failed", "error": "why"})),
    });
    let findings = tasks::runs(&service);
    assert!(
        findings[0].contains("task t did not complete"),
        "{findings:?}"
    );
    assert!(findings[0].contains("why"), "{findings:?}");
}

#[test]
fn the_files_of_a_page_are_requested() {
    let page = r#"<link href="/docs/a.css"><link href="data:,"><script src="/docs/b.js" data-document="/openapi.json">"#;
    assert_eq!(
        pages::links(page),
        ["/docs/a.css", "/docs/b.js", "/openapi.json"]
    );
    let (service, _server) = service(None, |request| match request.path.as_str() {
        "/docs" => Response::new(200, "text/html", r#"<link href="/docs/a.css">"#),
        "/redoc" => Response::new(200, "text/html", r#"<script src="/redoc/b.js">"#),
        "/dashboard" => Response::new(200, "text/html", r#"<link href="/docs/a.css">"#),
        "/docs/a.css" => Response::new(200, "text/css", "a"),
        _ => Response::new(404, "text/plain", ""),
    });
    assert_eq!(
        pages::documentation(&service),
        ["GET /redoc/b.js: 404, expected 200"]
    );
}

#[test]
fn cors_with_wrong_origins_is_reported() {
    let told = |answer| pages::cross_origin(&service(None, answer).0).join("\n");
    fn allowing(request: &Request, origin: &str) -> Response {
        let mut answer = refusal(request);
        answer
            .headers
            .push(("access-control-allow-origin".to_owned(), origin.to_owned()));
        answer
    }
    let right = |request: &Request| match request.header("origin") {
        Some("https://a.example") => allowing(request, "https://a.example"),
        _ => refusal(request),
    };
    assert_eq!(told(right), "");
    assert!(told(refusal).contains("the origin https://a.example is not allowed"));
    let any = told(|request| {
        let origin = request.header("origin").unwrap_or_default();
        allowing(request, origin)
    });
    assert!(any.contains("every origin is allowed"), "{any}");
}

#[test]
fn a_cut_off_answer_is_reported() {
    let (service, _server) = service(None, |_| Response {
        body: Body::Broken,
        ..Response::new(200, "application/json", "")
    });
    let findings = pages::document(&service);
    assert!(
        findings[0].contains("GET /openapi.json: no answer"),
        "{findings:?}"
    );
}
