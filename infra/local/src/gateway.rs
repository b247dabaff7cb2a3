//! The HTTP API before the functions, as API Gateway is before them on AWS.
//!
//! The watcher has a router of its own, for those who start each part by hand.
//! It answers 500 to a JSON body that is not UTF-8, has its own 404, and comes
//! to a stand for good when more than a hundred requests wait for one
//! function. So the stack routes by `template.yaml`, makes the same event as
//! API Gateway, and lets no more requests through than the watcher bears.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{percent_decode, percent_decode_str};
use serde_json::{Map, Value, json};
use ureq::Agent;

use crate::error::Result;
use crate::http::{Body, Request, Response, Server};
use crate::template::Route;

mod checkpoint;

pub use checkpoint::Checkpoint;

/// API Gateway's largest request body.
const LARGEST: usize = 10 * 1024 * 1024;

/// How long API Gateway waits for a function.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many invocations of one function the watcher is given at once.
const AT_ONCE: usize = 50;

/// A running HTTP API; dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
}

/// What a function answered, if it did not fail.
type Invoked = std::result::Result<Option<Value>, ureq::Error>;

#[derive(Debug)]
struct Api {
    routes: Vec<Route>,
    checkpoint: Option<Checkpoint>,
    functions_url: String,
    agent: Agent,
    under_way: Mutex<HashMap<String, usize>>,
    ended: Condvar,
}

impl Gateway {
    /// Serves `routes` on a loopback port, by invoking functions at
    /// `functions_url`, with an authorizer before some of them if there is a
    /// checkpoint.
    ///
    /// # Errors
    /// When the port can't be listened on.
    pub fn start(
        port: u16,
        functions_url: &str,
        routes: Vec<Route>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            // The watcher sends an answer's head, waits for its acknowledgement, and sends the body.
            // On a connection that is used again, Linux holds that back for 40 ms.
            .max_idle_connections(0)
            .build()
            .new_agent();
        let api = Api {
            routes,
            checkpoint,
            functions_url: functions_url.to_owned(),
            agent,
            under_way: Mutex::default(),
            ended: Condvar::new(),
        };
        let server = Server::start(port, move |request: &Request| api.answer(request))?;
        Ok(Self { server })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

impl Api {
    fn answer(&self, request: &Request) -> Response {
        if request.body.len() > LARGEST {
            return message(413, "Request Entity Too Large");
        }
        let Some(path) = decoded_path(&request.path) else {
            return message(400, "Bad Request");
        };
        let Some((route, parameters)) = find(&self.routes, &request.method, &path) else {
            return message(404, "Not Found");
        };
        let mut event = event(request, &path, route, parameters);
        if let Some(checkpoint) = &self.checkpoint
            && checkpoint.stands_at(route)
        {
            let ask = |question: &Value| self.invoke(checkpoint.function(), question);
            match checkpoint.who(&event, ask) {
                Ok(context) => event["requestContext"]["authorizer"] = json!({"lambda": context}),
                Err(refusal) => return refusal,
            }
        }
        match self.invoke(&route.function, &event) {
            Ok(Some(answer)) => response(&answer),
            Err(ureq::Error::Timeout(_)) => message(503, "Service Unavailable"),
            Ok(None) | Err(_) => message(500, "Internal Server Error"),
        }
    }

    /// What a function answers; `None` where it fails.
    fn invoke(&self, function: &str, event: &Value) -> Invoked {
        self.enter(function);
        let answer = self.invoke_now(function, event);
        self.leave(function);
        answer
    }

    fn invoke_now(&self, function: &str, event: &Value) -> Invoked {
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.functions_url
        );
        let mut answer = self.agent.post(url).send(event.to_string())?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?;
        let answered = answer.status().is_success();
        Ok(answered.then(|| serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Waits until the function may have one more invocation.
    fn enter(&self, function: &str) {
        let mut counts = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while counts.get(function).is_some_and(|count| *count >= AT_ONCE) {
            counts = self
                .ended
                .wait(counts)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *counts.entry(function.to_owned()).or_default() += 1;
    }

    fn leave(&self, function: &str) {
        let mut counts = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(function) {
            *count -= 1;
        }
        self.ended.notify_all();
    }
}

/// The path as API Gateway gives it to a function, and routes by: it decodes
/// it, cuts it at a question mark, and decodes it again. What is no escape then
/// is a bad request.
fn decoded_path(path: &str) -> Option<String> {
    let once: Vec<u8> = percent_decode_str(path).collect();
    let once = once.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut rest = once;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return None,
        }
    }
    let twice = percent_decode(once).decode_utf8_lossy();
    Some(twice.into_owned())
}

/// The most specific route of a request, and what its path says.
fn find<'a>(
    routes: &'a [Route],
    method: &str,
    path: &str,
) -> Option<(&'a Route, Map<String, Value>)> {
    let fits = |route: &'a Route| {
        (route.method == "ANY" || route.method == method)
            .then(|| parameters(&route.path, path))
            .flatten()
            .map(|found| (route, found))
    };
    // A route without parameters goes before one that has some.
    let literal = routes
        .iter()
        .filter_map(fits)
        .min_by_key(|(_, found)| found.len());
    literal.or_else(|| {
        let default = routes.iter().find(|route| route.path.is_empty())?;
        Some((default, Map::new()))
    })
}

/// The parameters in `path` if it has the form of `pattern`; a slash at the
/// end makes no difference.
fn parameters(pattern: &str, path: &str) -> Option<Map<String, Value>> {
    if pattern.is_empty() {
        return None;
    }
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() && !shorter.ends_with('/') => shorter,
        _ => path,
    };
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut found = Map::new();
    for (expected, actual) in pattern.into_iter().zip(path) {
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(_) if actual.is_empty() => return None,
            Some(name) => drop(found.insert(name.to_owned(), json!(actual))),
            None if expected == actual => {}
            None => return None,
        }
    }
    Some(found)
}

/// The name of the function that answers a request where there is no authorizer, and the event that
/// it is given; nothing where the gateway answers itself.
#[must_use]
pub fn invocation(routes: &[Route], request: &Request) -> Option<(String, Value)> {
    let path = decoded_path(&request.path)?;
    let (route, parameters) = find(routes, &request.method, &path)?;
    let event = event(request, &path, route, parameters);
    Some((route.function.clone(), event))
}

/// API Gateway's event of payload format 2.0.
fn event(request: &Request, path: &str, route: &Route, parameters: Map<String, Value>) -> Value {
    let route_key = route.key();
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": joined(request.headers.iter().filter(|(name, _)| name != "cookie").cloned()),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": request.header("host").unwrap_or("localhost"),
            "domainPrefix": "local",
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": request.header("user-agent").unwrap_or_default(),
            },
            "requestId": format!("local-{:x}", since.as_nanos()),
            "routeKey": route_key,
            "stage": "$default",
            "timeEpoch": u64::try_from(since.as_millis()).unwrap_or(0),
        },
        "isBase64Encoded": false,
    });
    if let Some(cookies) = request.header("cookie") {
        event["cookies"] = cookies.split("; ").map(str::to_owned).collect();
    }
    if !request.query.is_empty() {
        event["queryStringParameters"] = joined(query(&request.query)).into();
    }
    if !parameters.is_empty() {
        event["pathParameters"] = parameters.into();
    }
    put_body(&mut event, request);
    event
}

/// Text goes as it is; anything else, and what only claims to be text, in
/// base 64.
fn put_body(event: &mut Value, request: &Request) {
    if request.body.is_empty() {
        return;
    }
    let kind = request
        .header("content-type")
        .unwrap_or("text/plain")
        .to_ascii_lowercase();
    let text = [
        "text/",
        "application/json",
        "application/javascript",
        "application/xml",
    ];
    match std::str::from_utf8(&request.body) {
        Ok(body) if text.iter().any(|start| kind.starts_with(start)) => event["body"] = json!(body),
        _ => {
            event["body"] = json!(BASE64.encode(&request.body));
            event["isBase64Encoded"] = json!(true);
        }
    }
}

/// Values of the same name stand behind each other, with commas between.
fn joined(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut map: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let value = match map.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        map.insert(name, Value::String(value));
    }
    map
}

fn query(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (
            decode(&name.replace('+', " ")),
            decode(&value.replace('+', " ")),
        )
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The HTTP answer in a function's answer.
fn response(answer: &Value) -> Response {
    let Some(status) = answer["statusCode"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
    else {
        // A function may answer with its body alone.
        return Response::json(200, answer);
    };
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        BASE64.decode(text).unwrap_or_default()
    } else {
        text.as_bytes().to_vec()
    };
    let mut headers = Vec::new();
    let lines = |value: &Value| value.as_str().map(|text| text.replace(['\r', '\n'], " "));
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        // The server frames the body itself.
        if !matches!(
            name.to_ascii_lowercase().as_str(),
            "content-length" | "transfer-encoding"
        ) {
            headers.extend(lines(value).map(|value| (name.clone(), value)));
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.extend(lines(cookie).map(|cookie| ("set-cookie".to_owned(), cookie)));
    }
    Response {
        status,
        headers,
        body: Body::Whole(body),
    }
}

fn message(status: u16, text: &str) -> Response {
    Response::json(status, &json!({"message": text}))
}

#[cfg(test)]
mod tests;
