//! Tests of the guard with contexts of the gateway. The tests in `keys` are of the authorizer.

mod keys;

use http::{Method, StatusCode};
use lambda_http::Response;
use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use serde_json::{Value, json};

use super::{Access, Guard};
use crate::config::Config;
use crate::web::answer::text_of;

/// The guard's decision: the only caller whose tasks may be seen, and the caller's name; or the refusal.
fn admit<const N: usize>(
    variables: [(&str, &str); N],
    access: Access,
    method: Method,
    context: Value,
) -> Result<(Option<String>, Option<String>), (u16, String)> {
    let guard = Guard::new(&Config::from(variables), access).unwrap();
    let authorizer: Option<ApiGatewayRequestAuthorizer> = serde_json::from_value(context).unwrap();
    match guard.admit(&method, authorizer.as_ref()) {
        Ok(admitted) => {
            let only = admitted.viewer.only().map(str::to_owned);
            Ok((only, admitted.caller))
        }
        Err(refusal) => {
            assert!(matches!(
                refusal.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ));
            let answer = Response::from(refusal);
            Err((answer.status().as_u16(), text_of(&answer).to_owned()))
        }
    }
}

fn of(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_method_needs_its_scope() {
    let ask = |scopes: &str, method| {
        let context = json!({"lambda": {"caller": "ada", "scopes": scopes}});
        admit([], Access::Callers, method, context)
    };
    let forbidden = Err((403, r#"{"detail":"Forbidden"}"#.to_owned()));
    let own = Ok((of("ada"), of("ada")));
    for (scopes, method, expected) in [
        ("read", Method::GET, &own),
        ("read", Method::HEAD, &own),
        ("read", Method::POST, &forbidden),
        ("read", Method::PUT, &forbidden),
        ("read", Method::DELETE, &forbidden),
        ("write", Method::POST, &own),
        ("write", Method::GET, &forbidden),
        ("read write", Method::DELETE, &own),
        ("", Method::GET, &forbidden),
        ("reading", Method::GET, &forbidden),
    ] {
        assert_eq!(&ask(scopes, method.clone()), expected, "{scopes} {method}");
    }
    assert_eq!(ask("admin", Method::DELETE), Ok((None, of("ada"))));
}

#[test]
fn an_unknown_caller_is_refused_in_the_form_of_fastapi() {
    let ask = |context| admit([], Access::Callers, Method::GET, context);
    let refused = |detail: &str| Err((401, format!(r#"{{"detail":"{detail}"}}"#)));
    let unknown = "Not authenticated";
    for context in [
        json!(null),
        json!({}),
        json!({"lambda": null}),
        json!({"lambda": {"refused": "missing"}}),
        json!({"lambda": {"refused": "missing", "caller": "ada", "scopes": "admin"}}),
        json!({"lambda": {"caller": "", "scopes": "admin"}}),
        json!({"lambda": {"caller": 7, "scopes": "admin"}}),
        // The contexts of other authorizers are ignored.
        json!({"jwt": {"claims": {"sub": "ada", "scope": "admin"}, "scopes": null}}),
        json!({"iam": {"userArn": "arn:aws:iam::1:user/ada"}}),
    ] {
        assert_eq!(ask(context.clone()), refused(unknown), "{context}");
    }
    let context = json!({"lambda": {"refused": "invalid"}});
    assert_eq!(ask(context), refused("Invalid authentication credentials"));
}

const JWT: (&str, &str) = ("AUTH_MODE", "jwt");

#[test]
fn the_caller_is_the_subject_of_a_token() {
    let ask = |claims: Value| {
        let context = json!({"jwt": {"claims": claims, "scopes": null}});
        admit([JWT], Access::Callers, Method::GET, context)
    };
    for claims in [
        json!({"sub": "grace", "scope": "openid read"}),
        json!({"sub": "grace", "scp": "[read write]"}),
        json!({"sub": "grace", "scp": "read"}),
    ] {
        assert_eq!(
            ask(claims.clone()),
            Ok((of("grace"), of("grace"))),
            "{claims}"
        );
    }
    assert_eq!(ask(json!({"sub": "grace"})).unwrap_err().0, 403);
    assert_eq!(
        ask(json!({"sub": "grace", "scope": "write"}))
            .unwrap_err()
            .0,
        403
    );
    assert_eq!(ask(json!({"scope": "admin"})).unwrap_err().0, 401);
    assert_eq!(
        ask(json!({"sub": "", "scope": "admin"})).unwrap_err().0,
        401
    );
    // The context of the key authorizer is ignored.
    let context = json!({"lambda": {"caller": "ada", "scopes": "admin"}});
    let refused = admit([JWT], Access::Callers, Method::GET, context);
    assert_eq!(refused.unwrap_err().0, 401);
}

#[test]
fn the_scopes_of_a_token_may_have_a_prefix() {
    let prefixed = |scope: &str| {
        let context = json!({"jwt": {"claims": {"sub": "grace", "scope": scope}, "scopes": null}});
        admit(
            [JWT, ("JWT_SCOPE_PREFIX", "tasks/")],
            Access::Callers,
            Method::POST,
            context,
        )
    };
    assert!(prefixed("tasks/write").is_ok());
    assert_eq!(prefixed("write").unwrap_err().0, 403);
}

#[test]
fn open_docs_opens_only_the_documentation() {
    let ask = |variables, access| admit([variables], access, Method::GET, json!(null));
    let (open, closed) = (("OPEN_DOCS", "true"), ("OPEN_DOCS", "false"));
    assert_eq!(ask(open, Access::Documentation), Ok((None, None)));
    assert_eq!(ask(closed, Access::Documentation).unwrap_err().0, 401);
    assert_eq!(ask(open, Access::Callers).unwrap_err().0, 401);
    assert_eq!(ask(closed, Access::Everybody), Ok((None, None)));
}

#[test]
fn without_authentication_every_request_is_admitted() {
    let ask = |context| {
        admit(
            [("AUTH_MODE", "none")],
            Access::Callers,
            Method::PUT,
            context,
        )
    };
    assert_eq!(ask(json!(null)), Ok((None, None)));
    assert_eq!(ask(json!({"lambda": {}})), Ok((None, None)));
    // The caller's name comes from any authorizer in front.
    for (context, name) in [
        (json!({"lambda": {"caller": "ada"}}), "ada"),
        (
            json!({"jwt": {"claims": {"sub": "grace"}, "scopes": null}}),
            "grace",
        ),
        (
            json!({"iam": {"userArn": "arn:aws:iam::1:user/alan"}}),
            "arn:aws:iam::1:user/alan",
        ),
    ] {
        assert_eq!(ask(context), Ok((of(name), of(name))));
    }
}

#[test]
fn own_tasks_only_can_be_turned_off() {
    let context = json!({"lambda": {"caller": "ada", "scopes": "read"}});
    let shared = [("OWN_TASKS_ONLY", "false")];
    let admitted = admit(shared, Access::Callers, Method::GET, context);
    assert_eq!(admitted, Ok((None, of("ada"))));
}

#[test]
fn a_caller_with_a_name_too_long_for_a_message_is_refused() {
    let ask = |name: String| {
        let context = json!({"lambda": {"caller": name, "scopes": "read"}});
        admit([], Access::Callers, Method::GET, context)
    };
    assert!(ask("a".repeat(1024)).is_ok());
    assert_eq!(ask("a".repeat(1025)).unwrap_err().0, 401);
}

#[test]
fn a_route_is_opened_by_its_key_alone() {
    let routes = [
        (Access::Everybody, "GET /healthcheck"),
        (Access::Metrics, "GET /metrics"),
    ];
    let opened = |variables: &[(&str, &str)], key: &str| {
        let config = match variables {
            [] => Config::from([]),
            [one, ..] => Config::from([*one]),
        };
        let guard = Guard::new(&config, Access::Callers).unwrap();
        let guard = guard.with_open_routes(&config, &routes).unwrap();
        guard.admit_to_open(key).is_some()
    };
    let metrics = [("OPEN_METRICS", "true")];
    for (variables, key, expected) in [
        (&[][..], "GET /healthcheck", true),
        (&[], "GET /metrics", false),
        (&metrics, "GET /metrics", true),
        (&metrics, "POST /metrics", false),
        (&[], "GET /api/{area}", false),
        (&[], "$default", false),
    ] {
        assert_eq!(opened(variables, key), expected, "{key}");
    }
}
