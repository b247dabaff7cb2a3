//! The demo upstream. It serves users, data files and small documents, with a delay and faults on
//! request, and counts its requests for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Result;
use crate::http::{Body, Request, Response, Server};

mod data;

/// How many users exist; their ids are 1 to `USERS`.
pub const USERS: u64 = 1000;

/// How many records the data files have.
pub const RECORDS: u64 = 5000;

/// How many records a file below `/flaky/` has. The file is missing in its first requests.
pub const FLAKY_RECORDS: u64 = 20;

/// The longest delay of an answer, in milliseconds, whatever delay a request asks for.
const LONGEST_DELAY: u64 = 120_000;

/// The delay of routes in [`Mode::Slow`].
const SLOW: Duration = Duration::from_secs(10);

/// A running demo upstream; dropping it stops the server.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
}

/// How the routes below `/users/` behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Ok,
    /// Routes answer 500.
    Error,
    /// Routes answer after ten seconds.
    Slow,
    /// Routes close the connection in the middle of an answer.
    Down,
}

#[derive(Debug, Default)]
struct State {
    delay: AtomicU64,
    active: AtomicU64,
    most: AtomicU64,
    total: AtomicU64,
    paths: Mutex<BTreeMap<String, u64>>,
    users: Mutex<Mode>,
}

impl Upstream {
    /// Serves on a loopback port, or on any free port for 0. Every answer waits for `delay`, unless
    /// the request has `?delay_ms=`.
    ///
    /// # Errors
    /// When the server cannot listen on the port.
    pub fn start(port: u16, delay: Duration) -> Result<Self> {
        let state = Arc::new(State::default());
        state.delay.store(millis(delay), Ordering::SeqCst);
        let server = Server::start(port, move |request: &Request| state.answer(request))?;
        Ok(Self { server })
    }

    /// The port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

impl State {
    fn answer(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/stats" if request.method == "DELETE" => self.reset(),
            "/stats" => self.stats(),
            "/control" => self.control(request),
            _ => self.serve(request),
        }
    }

    /// Counts the request, waits, and answers the request.
    fn serve(&self, request: &Request) -> Response {
        let active = self.active.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(active, Ordering::SeqCst);
        self.total.fetch_add(1, Ordering::SeqCst);
        let asked = self.count(&request.path);

        let users = request.path.starts_with("/users");
        let mode = if users { *lock(&self.users) } else { Mode::Ok };
        self.wait(request, mode);
        let response = match mode {
            Mode::Error => Response::json(500, &json!({"detail": "the upstream has failed"})),
            // The announced length never arrives, so the client's connection breaks.
            Mode::Down => broken(),
            Mode::Ok | Mode::Slow => route(request, asked),
        };
        self.active.fetch_sub(1, Ordering::SeqCst);
        response
    }

    /// Counts a request for a path, and returns the number of requests for the path so far.
    fn count(&self, path: &str) -> u64 {
        let mut paths = lock(&self.paths);
        let asked = paths.entry(path.to_owned()).or_default();
        *asked += 1;
        *asked
    }

    fn wait(&self, request: &Request, mode: Mode) {
        if mode == Mode::Slow {
            // The wait ends early when the mode changes, so that one test does not slow the next.
            let end = Instant::now() + SLOW;
            while Instant::now() < end && *lock(&self.users) == Mode::Slow {
                thread::sleep(Duration::from_millis(10));
            }
            return;
        }
        let wanted = request.parameter("delay_ms").and_then(number);
        let wanted = wanted.unwrap_or_else(|| self.delay.load(Ordering::SeqCst));
        thread::sleep(Duration::from_millis(wanted.min(LONGEST_DELAY)));
    }

    fn stats(&self) -> Response {
        let stats = json!({
            "total": self.total.load(Ordering::SeqCst),
            "most_at_once": self.most.load(Ordering::SeqCst),
            "active": self.active.load(Ordering::SeqCst),
            "paths": *lock(&self.paths),
        });
        Response::json(200, &stats)
    }

    fn reset(&self) -> Response {
        lock(&self.paths).clear();
        self.total.store(0, Ordering::SeqCst);
        self.most
            .store(self.active.load(Ordering::SeqCst), Ordering::SeqCst);
        self.stats()
    }

    /// Sets the mode and the delay from a body such as
    /// `{"users":"ok|error|slow|down","delay_ms":n}`.
    fn control(&self, request: &Request) -> Response {
        let wanted: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mode = match wanted["users"].as_str() {
            Some("ok") => Some(Mode::Ok),
            Some("error") => Some(Mode::Error),
            Some("slow") => Some(Mode::Slow),
            Some("down") => Some(Mode::Down),
            _ => None,
        };
        let delay = wanted["delay_ms"].as_u64();
        if mode.is_none() && delay.is_none() {
            let help = r#"send {"users":"ok|error|slow|down"} or {"delay_ms":number}"#;
            return Response::json(422, &json!({"detail": help}));
        }
        if let Some(mode) = mode {
            *lock(&self.users) = mode;
        }
        if let Some(delay) = delay {
            self.delay.store(delay.min(LONGEST_DELAY), Ordering::SeqCst);
        }
        Response::json(200, &wanted)
    }
}

/// The answer to the request number `asked` for its path.
fn route(request: &Request, asked: u64) -> Response {
    let parts: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match parts[..] {
        ["users"] => list_users(request),
        ["users", id] => user_or_404(id),
        ["json", n] => {
            number(n).map_or_else(not_found, |n| Response::json(200, &data::document(n)))
        }
        ["headers"] => Response::json(200, &json!(BTreeMap::from_iter(request.headers.clone()))),
        ["status", code] => status(code),
        ["flaky", fails, _] => number(fails).map_or_else(not_found, |fails| flaky(asked, fails)),
        ["data", "people.csv"] => stream("text/csv", data::csv(RECORDS)),
        ["data", "people.jsonl"] => stream("application/jsonl", data::json_lines(RECORDS)),
        ["data", "large.jsonl"] => {
            let records = request
                .parameter("records")
                .and_then(number)
                .unwrap_or(100_000);
            stream("application/jsonl", data::json_lines(records))
        }
        _ => not_found(),
    }
}

/// A data file that is 404 for the first `fails` requests. Each file name has its own count.
fn flaky(asked: u64, fails: u64) -> Response {
    if asked <= fails {
        return status("503");
    }
    stream("application/jsonl", data::json_lines(FLAKY_RECORDS))
}

fn list_users(request: &Request) -> Response {
    let limit = request
        .parameter("limit")
        .and_then(number)
        .unwrap_or(10)
        .min(USERS);
    let users: Vec<Value> = (1..=limit).map(data::user).collect();
    Response::json(200, &Value::Array(users))
}

fn user_or_404(id: &str) -> Response {
    match number(id) {
        Some(id) if (1..=USERS).contains(&id) => Response::json(200, &data::user(id)),
        _ => Response::json(404, &json!({"detail": "User not found"})),
    }
}

fn status(code: &str) -> Response {
    match code.parse() {
        Ok(code @ (204 | 304)) => Response {
            status: code,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
        },
        Ok(code @ 200..=599) => Response::json(code, &json!({"status": code})),
        _ => not_found(),
    }
}

fn stream(content_type: &str, pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: Body::Pieces(Box::new(pieces)),
    }
}

fn broken() -> Response {
    let headers = vec![("connection".to_owned(), "close".to_owned())];
    Response {
        status: 200,
        headers,
        body: Body::Broken,
    }
}

fn not_found() -> Response {
    Response::json(404, &json!({"detail": "Not Found"}))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(LONGEST_DELAY)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(upstream: &Upstream, path: &str) -> (u16, String) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let url = format!("http://127.0.0.1:{}{path}", upstream.port());
        let mut answer = agent.get(url).call().unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    fn control(upstream: &Upstream, body: &str) {
        let url = format!("http://127.0.0.1:{}/control", upstream.port());
        ureq::post(url).send(body).unwrap();
    }

    #[test]
    fn users_have_the_ids_1_to_1000() {
        let upstream = Upstream::start(0, Duration::ZERO).unwrap();
        let (status, user) = get(&upstream, "/users/1000");
        let user: Value = serde_json::from_str(&user).unwrap();
        assert_eq!((status, &user["id"]), (200, &json!(1000)));
        assert!(user["name"].is_string() && user["email"].is_string());
        assert_eq!(get(&upstream, "/users/1001").0, 404);
        assert_eq!(get(&upstream, "/users/x").0, 404);
        let (_, users) = get(&upstream, "/users/?limit=3");
        assert_eq!(
            serde_json::from_str::<Value>(&users)
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }

    #[test]
    fn hundreds_of_requests_are_served_concurrently() {
        let upstream = Upstream::start(0, Duration::from_secs(2)).unwrap();
        thread::scope(|scope| {
            for n in 0..300 {
                let upstream = &upstream;
                scope.spawn(move || assert_eq!(get(upstream, &format!("/json/{n}")).0, 200));
            }
        });
        let stats: Value = serde_json::from_str(&get(&upstream, "/stats").1).unwrap();
        assert_eq!(stats["total"], 300);
        // On a busy machine the first requests are answered before the last ones start.
        let most = stats["most_at_once"].as_u64().unwrap();
        assert!(most > 100, "{most} concurrent requests");
    }

    #[test]
    fn data_files_are_deterministic_and_have_missing_values() {
        let upstream = Upstream::start(0, Duration::ZERO).unwrap();
        let (_, lines) = get(&upstream, "/data/people.jsonl");
        assert_eq!(lines, get(&upstream, "/data/people.jsonl").1);
        let records: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(records.len() as u64, RECORDS);
        assert!(records.iter().any(|record| record.get("age").is_none()));
        assert!(records.iter().any(|record| record["age"].is_string()));
        assert!(records.iter().any(|record| record["age"].is_u64()));
        let (_, csv) = get(&upstream, "/data/people.csv");
        assert_eq!(csv.lines().count() as u64, RECORDS + 1);
        let (_, large) = get(&upstream, "/data/large.jsonl?records=20000");
        assert_eq!(large.lines().count(), 20_000);
    }

    #[test]
    fn a_flaky_file_exists_after_failed_requests() {
        let upstream = Upstream::start(0, Duration::ZERO).unwrap();
        let statuses = [1, 2, 3].map(|_| get(&upstream, "/flaky/2/a").0);
        assert_eq!(statuses, [503, 503, 200]);
        assert_eq!(get(&upstream, "/flaky/1/a").0, 503);
        let (_, lines) = get(&upstream, "/flaky/0/b");
        assert_eq!(lines.lines().count() as u64, FLAKY_RECORDS);
    }

    #[test]
    fn faults_can_be_turned_on_and_off() {
        let upstream = Upstream::start(0, Duration::ZERO).unwrap();
        control(&upstream, r#"{"users":"error"}"#);
        assert_eq!(get(&upstream, "/users/1").0, 500);
        assert_eq!(get(&upstream, "/json/1").0, 200);
        control(&upstream, r#"{"users":"down"}"#);
        let url = format!("http://127.0.0.1:{}/users/1", upstream.port());
        let read = ureq::get(url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string());
        assert!(read.is_err());
        control(&upstream, r#"{"users":"ok"}"#);
        assert_eq!(get(&upstream, "/users/1").0, 200);
        assert_eq!(get(&upstream, "/status/418").0, 418);
    }
}
