//! The authorizer in front of the functions. Like an HTTP API, the gateway asks the authorizer for
//! the caller of a request, caches the answer by the caller's header, and passes its context to the
//! function.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Invoked, message};
use crate::error::{Error, Result};
use crate::http::Response;
use crate::security::{Authorizer, Security};
use crate::template::{Route, Template};

/// The routes with the authorizer, and its cached answers.
#[derive(Debug)]
pub struct Checkpoint {
    routes: BTreeSet<String>,
    function: String,
    header: Option<String>,
    keep: Duration,
    kept: Mutex<HashMap<String, (Instant, Value)>>,
}

impl Checkpoint {
    /// The authorizer that `security` of `template` describes.
    ///
    /// # Errors
    /// When the authorizer checks tokens, which only API Gateway itself can do.
    pub fn new(template: &Template, security: Security) -> Result<Self> {
        let Authorizer::Function {
            function,
            header,
            keep,
        } = security.authorizer
        else {
            return Err(Error::new("only API Gateway itself checks tokens"));
        };
        let binaries = template.binaries();
        // SAM derives the name of an alias from the name of its function.
        let name = function.split("Alias").next().unwrap_or_default();
        let binary = binaries.get(name);
        let binary =
            binary.ok_or_else(|| Error::new(format!("the template has no function {function}")))?;
        Ok(Self {
            routes: security.routes,
            function: (*binary).to_owned(),
            header,
            keep: Duration::from_secs(keep),
            kept: Mutex::default(),
        })
    }

    #[cfg(test)]
    pub(super) fn of(function: &str, routes: &[&str]) -> Self {
        Self {
            routes: routes.iter().map(|route| (*route).to_owned()).collect(),
            function: function.to_owned(),
            header: None,
            keep: Duration::ZERO,
            kept: Mutex::default(),
        }
    }

    /// The name of the authorizer's binary.
    pub(super) fn function(&self) -> &str {
        &self.function
    }

    pub(super) fn stands_at(&self, route: &Route) -> bool {
        self.routes.contains(&route.key())
    }

    /// The authorizer's context for the caller, or a refusal in an HTTP API's words.
    pub(super) fn who(
        &self,
        event: &Value,
        ask: impl FnOnce(&Value) -> Invoked,
    ) -> std::result::Result<Value, Response> {
        let identity = match &self.header {
            None => None,
            Some(header) => match event["headers"][header].as_str() {
                None | Some("") => return Err(message(401, "Unauthorized")),
                Some(value) => Some(value),
            },
        };
        let kept = identity.and_then(|identity| self.kept(identity));
        let answer = match kept {
            Some(answer) => answer,
            None => {
                let failed = || message(500, "Internal Server Error");
                let Invoked::Answer(answer) = ask(&question(event, identity)) else {
                    return Err(failed());
                };
                if !answer["isAuthorized"].is_boolean() {
                    return Err(failed());
                }
                self.keep(identity, &answer);
                answer
            }
        };
        match answer["isAuthorized"] == true {
            true => Ok(answer["context"].clone()),
            false => Err(message(403, "Forbidden")),
        }
    }

    fn kept(&self, identity: &str) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, answer) = kept.get(identity)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    fn keep(&self, identity: Option<&str>, answer: &Value) {
        if let Some(identity) = identity {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            kept.retain(|_, (until, _)| now < *until);
            kept.insert(identity.to_owned(), (now + self.keep, answer.clone()));
        }
    }
}

/// The event of an authorizer: the function's event without the body.
fn question(event: &Value, identity: Option<&str>) -> Value {
    let mut question = event.clone();
    if let Some(question) = question.as_object_mut() {
        question.remove("body");
        question.remove("isBase64Encoded");
        question.insert("type".to_owned(), json!("REQUEST"));
        question.insert(
            "identitySource".to_owned(),
            json!(identity.map(|value| [value])),
        );
    }
    question
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn checkpoint(header: Option<&str>, keep: Duration) -> Checkpoint {
        Checkpoint {
            header: header.map(str::to_owned),
            keep,
            ..Checkpoint::of("authorizer", &["GET /items"])
        }
    }

    fn event(authorization: &str) -> Value {
        json!({"headers": {"authorization": authorization}, "body": "private"})
    }

    #[test]
    fn answers_are_cached_by_header_until_the_ttl_ends() {
        let asked = Cell::new(0);
        let ask = |question: &Value| {
            asked.set(asked.get() + 1);
            assert!(question.get("body").is_none());
            let caller = question["identitySource"][0].clone();
            Invoked::Answer(json!({"isAuthorized": true, "context": {"caller": caller}}))
        };
        let long = checkpoint(Some("authorization"), Duration::from_secs(3600));
        for (header, count) in [("ada", 1), ("ada", 1), ("eve", 2), ("ada", 2)] {
            let who = long.who(&event(header), ask).ok().unwrap();
            assert_eq!((&who["caller"], asked.get()), (&json!(header), count));
        }
        let short = checkpoint(Some("authorization"), Duration::ZERO);
        for count in [3, 4] {
            assert!(short.who(&event("ada"), ask).is_ok());
            assert_eq!(asked.get(), count);
        }
    }

    #[test]
    fn without_an_identity_source_nothing_is_cached() {
        let asked = Cell::new(0);
        let point = checkpoint(None, Duration::from_secs(3600));
        for _ in 0..2 {
            let answer = point.who(&json!({"headers": {}}), |question| {
                asked.set(asked.get() + 1);
                assert_eq!(question["identitySource"], Value::Null);
                Invoked::Answer(json!({"isAuthorized": true, "context": {}}))
            });
            assert_eq!(answer.ok(), Some(json!({})));
        }
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn the_gateway_refuses_when_the_authorizer_refuses_or_fails() {
        let status = |point: &Checkpoint, event: &Value, answer: Option<Value>| {
            point
                .who(event, |_| answer.map_or(Invoked::Failed, Invoked::Answer))
                .err()
                .map(|refusal| refusal.status)
        };
        let point = checkpoint(Some("authorization"), Duration::from_secs(3600));
        let yes = Some(json!({"isAuthorized": true}));
        assert_eq!(
            status(&point, &json!({"headers": {}}), yes.clone()),
            Some(401)
        );
        assert_eq!(status(&point, &event(""), yes), Some(401));
        assert_eq!(status(&point, &event("a"), None), Some(500));
        let unclear = Some(json!({"isAuthorized": "false"}));
        assert_eq!(status(&point, &event("a"), unclear), Some(500));
        let no = Some(json!({"isAuthorized": false}));
        assert_eq!(status(&point, &event("a"), no), Some(403));
    }

    #[test]
    fn the_checkpoint_has_the_routes_of_the_template() {
        let point = checkpoint(None, Duration::ZERO);
        let route = |path: &str| Route {
            method: "GET".to_owned(),
            path: path.to_owned(),
            function: "any".to_owned(),
        };
        assert!(point.stands_at(&route("/items")));
        assert!(!point.stands_at(&route("")) && !point.stands_at(&route("/docs")));
    }
}
