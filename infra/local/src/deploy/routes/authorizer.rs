//! The authorizer of the HTTP API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{arn, call, items};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::security::{Authorizer, Security};

/// An authorizer that exists in the API.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) id: String,
    /// The `AuthorizationType` of routes with this authorizer.
    pub(super) kind: &'static str,
}

/// Creates the authorizer, or updates the existing one.
///
/// # Errors
/// When the authorizer's function does not exist, or the endpoints refuse a call.
pub(super) fn converge(
    aws: &Aws,
    api: &str,
    security: &Security,
    names: &BTreeMap<String, String>,
) -> Result<Attached> {
    let (kind, body) = definition(security, names)?;
    let mut id = None;
    for known in items(aws, api, "authorizers")? {
        let path = format!("/{api}/authorizers/{}", text(&known, "authorizerId"));
        // An authorizer's name and type cannot be changed, only its other settings.
        //
        if known["name"] == body["name"] && known["authorizerType"] == body["authorizerType"] {
            call(aws, "PATCH", &path, Some(&body))?;
            id = Some(text(&known, "authorizerId").to_owned());
        } else {
            call(aws, "DELETE", &path, None)?;
        }
    }
    let id = match id {
        Some(id) => id,
        None => {
            let made = call(aws, "POST", &format!("/{api}/authorizers"), Some(&body))?;
            text(&made, "authorizerId").to_owned()
        }
    };
    Ok(Attached { id, kind })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn definition(
    security: &Security,
    names: &BTreeMap<String, String>,
) -> Result<(&'static str, Value)> {
    match &security.authorizer {
        Authorizer::Function {
            function,
            header,
            keep,
        } => {
            let lacks = || Error::new(format!("{function} was not created"));
            let function = arn(names.get(function).ok_or_else(lacks)?);
            let header = header
                .iter()
                .map(|header| format!("$request.header.{header}"));
            let body = json!({
                "name": security.name,
                "authorizerType": "REQUEST",
                "authorizerUri": format!(
                    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
                ),
                "authorizerPayloadFormatVersion": "2.0",
                "enableSimpleResponses": true,
                "identitySource": header.collect::<Vec<_>>(),
                "authorizerResultTtlInSeconds": keep,
            });
            Ok(("CUSTOM", body))
        }
        Authorizer::Tokens { issuer, audience } => {
            let body = json!({
                "name": security.name,
                "authorizerType": "JWT",
                "identitySource": ["$request.header.Authorization"],
                "jwtConfiguration": {"issuer": issuer, "audience": audience},
            });
            Ok(("JWT", body))
        }
    }
}
