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
fn requests_find_their_route_with_and_without_a_slash() {
    let routes = routes();
    let function = |method: &str, path: &str| {
        find(&routes, method, path)
            .map(|(route, _)| route.function.clone())
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
fn events_have_what_was_sent() {
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
    let (route, parameters) = find(&routes, "GET", &path).unwrap();
    let event = event(&request, &path, route, parameters);
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
