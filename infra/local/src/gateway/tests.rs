use super::*;

fn routes() -> Vec<Route> {
    [
        ("GET", "/items", "list"),
        ("GET", "/items/{item_id}", "read"),
        ("ANY", "", "fallback"),
    ]
    .map(|(method, path, function)| Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function: function.to_owned(),
    })
    .to_vec()
}

fn request(method: &str, path: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        ..Request::default()
    }
}

#[test]
fn requests_match_routes_with_and_without_a_slash() {
    let routes = routes();
    let function = |method: &str, path: &str| {
        find(&routes, method, path, Slash::Match)
            .map(|found| found.route.function.clone())
            .unwrap()
    };
    assert_eq!(
        (function("GET", "/items"), function("GET", "/items/")),
        ("list".into(), "list".into())
    );
    assert_eq!(
        (function("GET", "/items/5"), function("GET", "/items/5/")),
        ("read".into(), "read".into())
    );
    for (method, path) in [
        ("PUT", "/items"),
        ("GET", "/"),
        ("GET", "/items/5/6"),
        ("GET", "//items"),
        ("GET", "//"),
        ("GET", "/items//"),
    ] {
        assert_eq!(function(method, path), "fallback", "{method} {path}");
    }
}

#[test]
fn slashes_are_handled_in_three_ways() {
    let routes = routes();
    let found = |path: &str, slash| {
        let found = find(&routes, "GET", path, slash).unwrap();
        (found.route.function.clone(), found.bare)
    };
    for (slash, function, bare) in [
        (Slash::Match, "read", false),
        (Slash::Default, "fallback", false),
        (Slash::Bare, "read", true),
    ] {
        assert_eq!(found("/items/5/", slash), (function.to_owned(), bare));
        assert_eq!(found("/items/5", slash), ("read".to_owned(), false));
        for path in ["/", "/nope/", "/items/5//"] {
            assert_eq!(found(path, slash), ("fallback".to_owned(), false), "{path}");
        }
    }
    assert_eq!("bare".parse(), Ok(Slash::Bare));
    assert!("Bare".parse::<Slash>().is_err());
}

/// A gateway in front of one function, which answers with `answer`; the authorizer accepts the
/// caller ada.
fn gateway(slash: Slash, answer: fn(&Value) -> String) -> (Gateway, Server) {
    let functions = Server::start(0, move |request: &Request| {
        let event = serde_json::from_slice(&request.body).unwrap();
        let ada = r#"{"isAuthorized":true,"context":{"caller":"ada"}}"#;
        match request.path.contains("authorizer") {
            true => Response::new(200, "application/json", ada),
            false => Response::new(200, "application/json", answer(&event)),
        }
    })
    .unwrap();
    let url = format!("http://127.0.0.1:{}", functions.port());
    let checkpoint = Checkpoint::of("authorizer", &["GET /items", "GET /items/{item_id}"]);
    let gateway = Gateway::start(0, &url, routes(), slash, Some(checkpoint));
    (gateway.unwrap(), functions)
}

fn ask(gateway: &Gateway, request: ureq::http::request::Builder, body: &str) -> (u16, String) {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let path = request.uri_ref().unwrap().to_string();
    let url = format!("http://127.0.0.1:{}{path}", gateway.port());
    let mut answer = agent
        .run(request.uri(url).body(body.to_owned()).unwrap())
        .unwrap();
    let text = answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_string();
    (answer.status().as_u16(), text.unwrap())
}

fn get(path: &str) -> ureq::http::request::Builder {
    ureq::http::Request::get(path)
}

#[test]
fn a_bare_request_has_no_context_of_the_authorizer() {
    let told = |event: &Value| {
        let context = &event["requestContext"];
        json!([
            event["routeKey"],
            event["rawPath"],
            event["pathParameters"],
            context["authorizer"]
        ])
        .to_string()
    };
    let ada = r#"{"lambda":{"caller":"ada"}}"#;
    for (slash, path, expected) in [
        (
            Slash::Match,
            "/items/5/",
            format!(r#"["GET /items/{{item_id}}","/items/5/",{{"item_id":"5"}},{ada}]"#),
        ),
        (
            Slash::Default,
            "/items/5/",
            r#"["$default","/items/5/",null,null]"#.to_owned(),
        ),
        (
            Slash::Bare,
            "/items/5/",
            r#"["GET /items/{item_id}","/items/5/",{"item_id":"5"},null]"#.to_owned(),
        ),
        (
            Slash::Bare,
            "/items/5",
            format!(r#"["GET /items/{{item_id}}","/items/5",{{"item_id":"5"}},{ada}]"#),
        ),
    ] {
        let (gateway, _functions) = gateway(slash, told);
        assert_eq!(
            ask(&gateway, get(path), ""),
            (200, expected),
            "{slash:?} {path}"
        );
    }
}

#[test]
fn events_and_answers_have_lambda_s_size_limits() {
    let (gateway, _functions) = gateway(Slash::Match, |event| {
        let size = event["queryStringParameters"]["size"].as_str();
        let size = size.and_then(|size| size.parse().ok()).unwrap_or(2);
        format!("\"{}\"", "x".repeat(size - 2))
    });
    let post = |body: &str| {
        let request = ureq::http::Request::post("/items/5").header("content-type", "text/plain");
        ask(&gateway, request, body)
    };
    let refused = (413, r#"{"message":"Request Entity Too Large"}"#.to_owned());
    assert_eq!(post(&"x".repeat(6_280_000)).0, 200);
    assert_eq!(post(&"x".repeat(MAX_EVENT)), refused);
    // In an event's JSON, a quote takes two bytes, and a control character six.
    assert_eq!(post(&"\"".repeat(3_140_000)).0, 200);
    assert_eq!(post(&"\"".repeat(3_150_000)), refused);
    assert_eq!(post(&"\u{1}".repeat(1_050_000)), refused);
    // Binary bodies are in base 64, which is a third longer.
    let request = ureq::http::Request::post("/items/5").header("content-type", "image/png");
    assert_eq!(ask(&gateway, request, &"x".repeat(4_720_000)), refused);
    assert_eq!(post(&"x".repeat(MAX_BODY + 1)), refused);

    let (status, text) = ask(&gateway, get(&format!("/nope?size={MAX_ANSWER}")), "");
    assert_eq!((status, text.len()), (200, MAX_ANSWER));
    let failed = (500, r#"{"message":"Internal Server Error"}"#.to_owned());
    let larger = format!("/nope?size={}", MAX_ANSWER + 1);
    assert_eq!(ask(&gateway, get(&larger), ""), failed);
}

#[test]
fn paths_are_decoded_as_api_gateway_does() {
    for (sent, given) in [
        ("/a%20%CE%BB", "/a λ"),
        ("/a%2Fb", "/a/b"),
        ("/a%3Fb", "/a"),
        ("/a%23b", "/a#b"),
        ("/a%252Fb", "/a/b"),
        ("/a%253Fb", "/a?b"),
        ("/a%2525b", "/a%b"),
    ] {
        assert_eq!(decoded_path(sent).as_deref(), Some(given), "{sent}");
    }
    for sent in ["/a%25b", "/a%", "/a%zz"] {
        assert_eq!(decoded_path(sent), None, "{sent}");
    }
}

#[test]
fn events_contain_the_whole_request() {
    let mut request = request("GET", "/items/a%20b");
    request.query = "x=1&x=2&y=a%2Bb+c".to_owned();
    request.headers = vec![
        ("a".into(), "1".into()),
        ("a".into(), "2".into()),
        ("cookie".into(), "c=1; d=2".into()),
    ];
    request.body = b"\xff".to_vec();
    let routes = routes();
    let path = decoded_path(&request.path).unwrap();
    let matched = find(&routes, "GET", &path, Slash::Match).unwrap();
    let event = event(&request, &path, &matched);
    assert_eq!(event["routeKey"], "GET /items/{item_id}");
    assert_eq!(event["pathParameters"], json!({"item_id": "a b"}));
    assert_eq!(
        event["queryStringParameters"],
        json!({"x": "1,2", "y": "a+b c"})
    );
    assert_eq!(
        (&event["headers"], &event["cookies"]),
        (&json!({"a": "1,2"}), &json!(["c=1", "d=2"]))
    );
    assert_eq!(
        (&event["body"], &event["isBase64Encoded"]),
        (&json!("/w=="), &json!(true))
    );
}

#[test]
fn answers_are_turned_into_http() {
    let answer = json!({"statusCode": 201, "headers": {"location": "/x", "Content-Length": "9"},
        "cookies": ["a=1"], "body": "aGk=", "isBase64Encoded": true});
    let response = response(&answer);
    assert_eq!(response.status, 201);
    assert_eq!(
        response.headers,
        [
            ("location".to_owned(), "/x".to_owned()),
            ("set-cookie".to_owned(), "a=1".to_owned())
        ]
    );
    assert!(matches!(response.body, Body::Whole(body) if body == b"hi"));
}
