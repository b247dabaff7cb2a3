use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

use super::*;
use crate::web::request::from_event;

fn request(route: &'static str, path: &str) -> Request {
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_path = Some(path.to_owned());
    event.request_context.apiid = Some("api".to_owned());
    from_event(event, route)
}

fn query(text: &str) -> Request {
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_query_string = Some(text.to_owned());
    from_event(event, "/")
}

#[test]
fn a_path_parameter_is_found_under_every_prefix() {
    for path in ["/items/5", "/items/5/", "/prod/items/5", "/v1/api/items/5/"] {
        let request = request("/items/{item_id}", path);
        assert_eq!(request.path_text("item_id"), "5", "{path}");
    }
    let nested = request("/tasks/{task_id}/retry", "/tasks/a b/retry");
    assert_eq!(nested.path_text("task_id"), "a b");
    assert_eq!(request("/items/{item_id}", "").path_text("item_id"), "");
}

#[test]
fn the_prefix_is_the_path_before_the_route() {
    for (route, path, prefix) in [
        ("/items", "/items/", ""),
        ("/items", "/prod/items", "/prod"),
        ("/items/{item_id}", "/a/b/items/5/", "/a/b"),
        ("/", "/", ""),
        ("/", "/prod/", "/prod"),
    ] {
        assert_eq!(request(route, path).prefix(), prefix, "{path}");
    }
}

#[test]
fn the_last_value_of_a_repeated_parameter_is_used() {
    assert_eq!(query("q=1&q=2").query_text("q"), Some("2"));
    assert_eq!(query("q=").query_text("q"), Some(""));
    assert_eq!(query("q").query_text("q"), Some(""));
    assert_eq!(query("a=a%2Cb+c").query_text("a"), Some("a,b c"));
    assert_eq!(query("").query_text("q"), None);
}

#[test]
fn a_query_without_a_parameter_keeps_the_order_of_the_others() {
    assert_eq!(query("b=1&q=x&a=%20&b=2").query_without("q"), "b=1&a=+&b=2");
    assert_eq!(query("q=x").query_without("q"), "");
}

#[test]
fn an_integer_outside_of_its_range_is_refused() {
    let read = |text: &str| query(text).query_int_within("n", 3, 0..=20);
    assert_eq!(read("").unwrap(), 3);
    assert_eq!(read("n=20").unwrap(), 20);
    for wrong in [
        "n=-1",
        "n=21",
        "n=99999999999999999999",
        "n=-99999999999999999999",
        "n=x",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_flag_has_the_spellings_of_pydantic() {
    let read = |text: &str| query(text).query_flag("f");
    for yes in ["1", "true", "True", "on", "t", "y", "YES"] {
        assert!(read(&format!("f={yes}")).unwrap(), "{yes}");
    }
    for no in ["", "f=0", "f=False", "f=off", "f=n", "f=no", "f=f"] {
        assert!(!read(no).unwrap(), "{no}");
    }
    for wrong in ["f=", "f=2", "f=%20true", "f=truth"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_list_may_have_commas_or_repeated_parameters() {
    let ints = |text: &str| {
        let ints = query(text).query_ints("ids").unwrap()?;
        let texts: Vec<String> = ints.iter().map(|int| int.to_string()).collect();
        Some(texts.join(" "))
    };
    assert_eq!(ints("ids=1,2&ids=3").as_deref(), Some("1 2 3"));
    assert_eq!(ints("ids=").as_deref(), Some(""));
    assert_eq!(ints("limit=3"), None);
    assert!(query("ids=1,x").query_ints("ids").is_err());
}

#[test]
fn without_admission_a_request_sees_no_task() {
    let viewer = query("").viewer().clone();
    assert!(!viewer.may_see(None) && !viewer.may_see(Some("ada")));
    assert_eq!(Request::default().viewer(), &viewer);
}

#[test]
fn the_trace_of_a_request_is_that_of_its_header_or_of_x_ray() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let of = |headers: &[(&'static str, &str)], xray: Option<&str>| {
        let mut request = request("/x", "/x");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        let mut context = lambda_http::Context::default();
        context.request_id = "r1".to_owned();
        context.xray_trace_id = xray.map(str::to_owned);
        request.with_lambda_context(context).trace()
    };
    let given = of(
        &[
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ],
        Some(xray),
    );
    let given = given.unwrap();
    assert_eq!(
        (given.id().as_str(), given.tracestate()),
        (ID, Some("a=1,b=2"))
    );
    let span = given.span_id();
    assert_ne!(span, "00f067aa0ba902b7", "a span of the request's own");
    assert_eq!(given.traceparent(), format!("00-{ID}-{span}-00"));
    for headers in [
        &[][..],
        &[("tracestate", "a=1")],
        &[("traceparent", "x")],
        &[("traceparent", PARENT), ("traceparent", PARENT)],
    ] {
        let found = of(headers, Some(xray)).unwrap();
        let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(
            (found.traceparent().as_str(), found.tracestate()),
            (expected, None)
        );
        assert_eq!(of(headers, None), None);
    }
}
