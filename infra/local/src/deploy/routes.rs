//! The routes of the HTTP API.
//!
//! SAM describes the routes in the API's OpenAPI `Body`. The local endpoints ignore the body, so
//! this module creates its routes one by one. API Gateway has no routes with a trailing slash, and
//! its documentation does not say how it handles requests with one. The endpoints match paths
//! exactly, so each variant of [`Slash`] is a set of routes here: the path without and with a
//! slash, where the second route has the authorizer or not, or only the path without a slash. The
//! authorizers in the `Body` are created and attached too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::aws::{Aws, expect};
use crate::error::{Context, Error, Result};
use crate::gateway::Slash;
use crate::security::{Parameters, Security, invoked};

mod authorizer;

use authorizer::Attached;

/// The target of a route.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    /// The function's physical name.
    function: String,
    /// Whether the route has the authorizer.
    authorized: bool,
}

/// Creates or updates the routes of the API in the processed template. Returns the API's id.
///
/// # Errors
/// When the template has no API, or the endpoints refuse a call.
pub fn create(
    aws: &Aws,
    processed: &Value,
    names: &BTreeMap<String, String>,
    parameters: &Parameters,
    slash: Slash,
) -> Result<String> {
    let (name, body) = api_body(processed)?;
    let security = Security::of(processed, body, parameters);
    let lacks = |name: &str| Error::new(format!("{name} was not created"));
    let api = names.get(name).ok_or_else(|| lacks(name))?;
    let mut wanted = BTreeMap::new();
    for (key, function) in route_keys(body, slash) {
        let function = names.get(&function).ok_or_else(|| lacks(&function))?;
        let function = arn(function);
        let authorized = security
            .as_ref()
            .is_some_and(|found| stands_at(found, &key, slash));
        wanted.insert(
            key,
            Wanted {
                function,
                authorized,
            },
        );
    }
    let integrations = converge_integrations(aws, api, &wanted)?;
    let attached = match &security {
        Some(found) => Some(authorizer::converge(aws, api, found, names)?),
        None => None,
    };
    converge_routes(aws, api, &wanted, &integrations, attached.as_ref())?;
    Ok(api.clone())
}

fn api_body(processed: &Value) -> Result<(&str, &Value)> {
    let resources = processed["Resources"].as_object();
    resources
        .into_iter()
        .flatten()
        .find(|(_, resource)| resource["Type"] == "AWS::ApiGatewayV2::Api")
        .map(|(name, api)| (name.as_str(), &api["Properties"]["Body"]))
        .ok_or_else(|| Error::new("the processed template has no HTTP API"))
}

/// The key of each route, in all forms that exist, with the logical name of the route's function.
fn route_keys(body: &Value, slash: Slash) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (path, methods) in body["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let Some(function) = invoked(&operation["x-amazon-apigateway-integration"]["uri"])
            else {
                continue;
            };
            let method = match method.as_str() {
                "x-amazon-apigateway-any-method" => "ANY".to_owned(),
                method => method.to_uppercase(),
            };
            let forms = forms(&method, path);
            for key in forms.into_iter().filter(|key| exists(key, slash)) {
                keys.push((key, function.clone()));
            }
        }
    }
    keys
}

/// Whether a route, with or without a trailing slash, has the authorizer.
fn stands_at(security: &Security, key: &str, slash: Slash) -> bool {
    match without_slash(key) {
        None => security.routes.contains(key),
        Some(_) if slash == Slash::Bare => false,
        Some(shorter) => security.routes.contains(shorter),
    }
}

fn exists(key: &str, slash: Slash) -> bool {
    without_slash(key).is_none() || slash != Slash::Default
}

/// The key without the trailing slash, if the key has one.
fn without_slash(key: &str) -> Option<&str> {
    key.strip_suffix('/').filter(|key| !key.ends_with(' '))
}

fn forms(method: &str, path: &str) -> Vec<String> {
    if path.trim_start_matches('/') == "$default" {
        return vec!["$default".to_owned()];
    }
    if path == "/" || path.ends_with("+}") {
        return vec![format!("{method} {path}")];
    }
    let path = path.trim_end_matches('/');
    vec![format!("{method} {path}"), format!("{method} {path}/")]
}

/// A function's ARN from CloudFormation's physical id, which is a name for a function and an ARN
/// for an alias.
fn arn(function: &str) -> String {
    if function.starts_with("arn:") {
        return function.to_owned();
    }
    format!("arn:aws:lambda:us-east-1:000000000000:function:{function}")
}

/// Creates one integration for each function. Returns the integrations' ids by the functions' ARNs.
fn converge_integrations(
    aws: &Aws,
    api: &str,
    wanted: &BTreeMap<String, Wanted>,
) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for integration in items(aws, api, "integrations")? {
        let uri = integration["integrationUri"].as_str().unwrap_or_default();
        if let Some(id) = integration["integrationId"].as_str() {
            ids.insert(uri.to_owned(), id.to_owned());
        }
    }
    for Wanted { function, .. } in wanted.values() {
        if !ids.contains_key(function) {
            let body = json!({
                "integrationType": "AWS_PROXY",
                "integrationUri": function,
                "payloadFormatVersion": "2.0",
            });
            let made = call(aws, "POST", &format!("/{api}/integrations"), Some(&body))?;
            let id = made["integrationId"].as_str().unwrap_or_default();
            ids.insert(function.clone(), id.to_owned());
        }
    }
    Ok(ids)
}

fn converge_routes(
    aws: &Aws,
    api: &str,
    wanted: &BTreeMap<String, Wanted>,
    integrations: &BTreeMap<String, String>,
    attached: Option<&Attached>,
) -> Result<()> {
    let definition = |key: &str, wanted: &Wanted| {
        let attached = attached.filter(|_| wanted.authorized);
        json!({
            "routeKey": key,
            "target": format!("integrations/{}", integrations[&wanted.function]),
            "authorizationType": attached.map_or("NONE", |attached| attached.kind),
            "authorizerId": attached.map(|attached| &attached.id),
        })
    };
    let mut missing = wanted.clone();
    for route in items(aws, api, "routes")? {
        let text = |name: &str| route[name].as_str().unwrap_or_default();
        let is_so = |wanted: &Wanted| {
            let definition = definition(text("routeKey"), wanted);
            let mut parts = definition.as_object().into_iter().flatten();
            parts.all(|(name, value)| route.get(name).unwrap_or(&Value::Null) == value)
        };
        if missing.get(text("routeKey")).is_some_and(is_so) {
            missing.remove(text("routeKey"));
        } else {
            let path = format!("/{api}/routes/{}", text("routeId"));
            call(aws, "DELETE", &path, None)?;
        }
    }
    for (key, wanted) in missing {
        let body = definition(&key, &wanted);
        call(aws, "POST", &format!("/{api}/routes"), Some(&body))?;
    }
    Ok(())
}

fn items(aws: &Aws, api: &str, kind: &str) -> Result<Vec<Value>> {
    let listing = call(aws, "GET", &format!("/{api}/{kind}"), None)?;
    Ok(listing["items"].as_array().cloned().unwrap_or_default())
}

fn call(aws: &Aws, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let answer = aws.api_gateway(method, path, body)?;
    let text = expect(&format!("{method} {path} of the HTTP API"), answer)?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).context("API Gateway's answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(function: &str) -> Value {
        let uri = format!(
            "arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{function}}}/invocations"
        );
        json!({"x-amazon-apigateway-integration": {"uri": {"Fn::Sub": uri}}})
    }

    #[test]
    fn each_operation_of_the_body_is_a_route_with_and_without_a_slash() {
        let body = json!({"paths": {
            "/": {"get": operation("Root.Arn")},
            "/items/{item_id}": {"put": operation("UpdateAliaslive"), "parameters": []},
            "/any": {"x-amazon-apigateway-any-method": operation("Any")},
            "$default": {"x-amazon-apigateway-any-method": operation("Fallback")},
        }});
        let keys: BTreeMap<String, String> = route_keys(&body, Slash::Match).into_iter().collect();
        let expected = [
            ("$default", "Fallback"),
            ("ANY /any", "Any"),
            ("ANY /any/", "Any"),
            ("GET /", "Root"),
            ("PUT /items/{item_id}", "UpdateAliaslive"),
            ("PUT /items/{item_id}/", "UpdateAliaslive"),
        ];
        let keys: Vec<(&str, &str)> = keys.iter().map(|(k, f)| (&**k, &**f)).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn with_slash_default_there_are_no_routes_with_a_slash() {
        let body = json!({"paths": {
            "/": {"get": operation("Root.Arn")},
            "/items": {"get": operation("List.Arn")},
        }});
        let keys = |slash| -> Vec<String> {
            let keys = route_keys(&body, slash).into_iter();
            keys.map(|(key, _)| key).collect()
        };
        let both = ["GET /", "GET /items", "GET /items/"];
        assert_eq!(keys(Slash::Match), both);
        assert_eq!(keys(Slash::Bare), both);
        assert_eq!(keys(Slash::Default), both[..2]);
    }

    #[test]
    fn functions_and_aliases_have_arns() {
        let alias = "arn:aws:lambda:us-east-1:000000000000:function:f:live";
        assert_eq!(arn(alias), alias);
        assert_eq!(format!("{}:live", arn("f")), alias);
    }

    #[test]
    fn a_template_without_an_api_is_an_error() {
        let error = api_body(&json!({"Resources": {}})).unwrap_err();
        assert!(error.to_string().contains("no HTTP API"));
    }

    #[test]
    fn routes_with_a_slash_have_the_authorizer_except_in_bare() {
        let key = "GET /items".to_owned();
        let security = Security {
            name: "callers".to_owned(),
            authorizer: crate::security::Authorizer::Tokens {
                issuer: String::new(),
                audience: Vec::new(),
            },
            routes: [key, "GET /".to_owned()].into(),
        };
        for (key, stands) in [
            ("GET /items", true),
            ("GET /items/", true),
            ("GET /", true),
            ("POST /items/", false),
            ("$default", false),
        ] {
            assert_eq!(stands_at(&security, key, Slash::Match), stands, "{key}");
            let stands = stands && key != "GET /items/";
            assert_eq!(stands_at(&security, key, Slash::Bare), stands, "{key}");
        }
    }
}
