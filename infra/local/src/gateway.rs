//! The HTTP API in front of the functions, like API Gateway on AWS.
//!
//! The watcher has its own router, for people who start each part by hand. That router answers 500
//! to a JSON body that is not UTF-8, has its own 404, and stops working when more than a hundred
//! requests wait for one function. So the stack matches the routes of `template.yaml` itself,
//! creates API Gateway's events, and limits the concurrent requests to the watcher.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use ureq::Agent;

use crate::error::Result;
use crate::http::{Body, Request, Response, Server};
use crate::template::Route;

mod checkpoint;
mod routing;

pub use checkpoint::Checkpoint;
pub use routing::Slash;
use routing::{Matched, decoded_path, find};

/// API Gateway's limit for request bodies, in bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// Lambda's limit for events in bytes, as JSON text with escapes.
const MAX_EVENT: usize = 6 * 1024 * 1024;

/// Lambda's limit for answers of functions in bytes, as JSON text with escapes.
const MAX_ANSWER: usize = 6 * 1024 * 1024 + 100;

/// API Gateway's integration time-out.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many concurrent invocations of one function the watcher gets.
const AT_ONCE: usize = 50;

/// A running HTTP API; dropping it stops the server.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
}

/// The result of an invocation.
#[derive(Debug)]
enum Invoked {
    /// The function's answer.
    Answer(Value),
    /// The function failed, or its answer exceeds Lambda's limit.
    Failed,
    /// The function exceeded the integration time-out.
    TooLate,
    /// The event exceeds Lambda's limit.
    TooLarge,
}

#[derive(Debug)]
struct Api {
    routes: Vec<Route>,
    slash: Slash,
    checkpoint: Option<Checkpoint>,
    functions_url: String,
    agent: Agent,
    under_way: Mutex<HashMap<String, usize>>,
    ended: Condvar,
}

impl Gateway {
    /// Serves `routes` on a loopback port, and invokes functions at `functions_url`. With a
    /// checkpoint, the authorizer is invoked before the functions of some routes. `slash`
    /// determines how trailing slashes are handled.
    ///
    /// # Errors
    /// When the server cannot listen on the port.
    pub fn start(
        port: u16,
        functions_url: &str,
        routes: Vec<Route>,
        slash: Slash,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            // The watcher sends an answer's head, waits for its acknowledgement, and then sends the
            // body. On a connection that is reused, Linux delays the acknowledgement by 40 ms.
            .max_idle_connections(0)
            .build()
            .new_agent();
        let api = Api {
            routes,
            slash,
            checkpoint,
            functions_url: functions_url.to_owned(),
            agent,
            under_way: Mutex::default(),
            ended: Condvar::new(),
        };
        let server = Server::start(port, move |request: &Request| api.answer(request))?;
        Ok(Self { server })
    }

    /// The port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

impl Api {
    fn answer(&self, request: &Request) -> Response {
        if request.body.len() > MAX_BODY {
            return too_large();
        }
        let Some(path) = decoded_path(&request.path) else {
            return message(400, "Bad Request");
        };
        let Some(matched) = find(&self.routes, &request.method, &path, self.slash) else {
            return message(404, "Not Found");
        };
        let function = matched.route.function.as_str();
        let checkpoint = self.checkpoint.as_ref();
        let checkpoint = checkpoint.filter(|it| it.stands_at(matched.route) && !matched.bare);
        let mut event = event(request, &path, &matched);
        if let Some(checkpoint) = checkpoint {
            let ask = |question: &Value| self.invoke(checkpoint.function(), question);
            match checkpoint.who(&event, ask) {
                Ok(context) => event["requestContext"]["authorizer"] = json!({"lambda": context}),
                Err(refusal) => return refusal,
            }
        }
        match self.invoke(function, &event) {
            Invoked::Answer(answer) => response(&answer),
            Invoked::Failed => message(500, "Internal Server Error"),
            Invoked::TooLate => message(503, "Service Unavailable"),
            Invoked::TooLarge => too_large(),
        }
    }

    fn invoke(&self, function: &str, event: &Value) -> Invoked {
        let event = event.to_string();
        if event.len() > MAX_EVENT {
            return Invoked::TooLarge;
        }
        self.enter(function);
        let answer = self.invoke_now(function, event);
        self.leave(function);
        match answer {
            Ok(Some(body)) if body.len() <= MAX_ANSWER => {
                Invoked::Answer(serde_json::from_slice(&body).unwrap_or_default())
            }
            Err(ureq::Error::Timeout(_)) => Invoked::TooLate,
            Ok(_) | Err(_) => Invoked::Failed,
        }
    }

    /// A function's answer; `None` when the function fails.
    fn invoke_now(
        &self,
        function: &str,
        event: String,
    ) -> std::result::Result<Option<Vec<u8>>, ureq::Error> {
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.functions_url
        );
        let mut answer = self.agent.post(url).send(event)?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?;
        Ok(answer.status().is_success().then_some(body))
    }

    /// Waits until the function may have one more concurrent invocation.
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

/// The function that answers a request without an authorizer, and the function's event; `None` when
/// the gateway answers itself.
#[must_use]
pub fn invocation(routes: &[Route], request: &Request) -> Option<(String, Value)> {
    let path = decoded_path(&request.path)?;
    let matched = find(routes, &request.method, &path, Slash::default())?;
    let event = event(request, &path, &matched);
    Some((matched.route.function.clone(), event))
}

/// API Gateway's event in payload format 2.0.
fn event(request: &Request, path: &str, matched: &Matched) -> Value {
    let route_key = matched.route.key();
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
    if !matched.parameters.is_empty() {
        event["pathParameters"] = matched.parameters.clone().into();
    }
    put_body(&mut event, request);
    event
}

/// Puts the body into the event: text as text, everything else in base 64, also a body that is not
/// UTF-8 although its content type is text.
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

/// Joins the values of the same name with commas.
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

/// The HTTP answer that a function's answer describes.
fn response(answer: &Value) -> Response {
    let Some(status) = answer["statusCode"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
    else {
        // A function's answer may be only the body.
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
        // The server sets the headers that frame the body.
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

fn too_large() -> Response {
    message(413, "Request Entity Too Large")
}

fn message(status: u16, text: &str) -> Response {
    Response::json(status, &json!({"message": text}))
}

#[cfg(test)]
mod tests;
