//! Schedules: their routes, their tasks, and the ticker.

use std::thread;

use jiff::Timestamp;
use serde_json::{Value, json};
use ureq::http::Request;

use crate::service::{Answer, Service};

const TABLE: &str = "async-service-schedules";

/// The present time, in milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time of an answer, in milliseconds since the Unix epoch.
fn time(task: &Value, name: &str) -> i64 {
    let text = task[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {task}"));
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

impl Service {
    fn create_schedule(&self, schedule: &Value) -> Value {
        let answer = self.post("/schedules/", &schedule.to_string());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    fn schedule_of(&self, name: &str) -> Value {
        let answer = self.get(&format!("/schedules/{name}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The tasks of a schedule, newest first.
    fn tasks_of(&self, name: &str) -> Vec<Value> {
        let answer = self.get(&format!("/tasks/?schedule={name}&limit=100"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().as_array().unwrap().clone()
    }

    /// A request with `If-Match`.
    fn if_match(&self, method: &str, path: &str, tag: &str, body: &Value) -> Answer {
        let mut headers = vec![("content-type", "application/json"), ("if-match", tag)];
        if let Some(key) = self.key() {
            headers.push(("x-api-key", key));
        }
        self.bare(method, path, &headers, &body.to_string())
    }

    fn patch(&self, path: &str, body: &Value) -> Answer {
        let json = Some("application/json");
        self.method("PATCH", path, json, body.to_string().as_bytes())
    }

    /// Calls the ticker, as the rule does once a minute. `None` if the ticker died.
    fn tick(&self) -> Option<Answer> {
        let url = format!(
            "{}/2015-03-31/functions/ticker/invocations",
            self.aws_endpoint()
        );
        let answer = self.ask(Request::post(url).body(b"{}".to_vec()));
        let failed = answer.header("x-amz-function-error").is_some();
        (answer.status == 200 && !failed).then_some(answer)
    }

    /// The row of a schedule.
    fn row(&self, name: &str) -> Value {
        let key = json!({"id": {"S": name}});
        let wanted = json!({"TableName": TABLE, "Key": key, "ConsistentRead": true});
        self.dynamodb("GetItem", wanted)["Item"].clone()
    }

    /// Sets the next time of a schedule to `next`, and the first moment of its times if the definition has
    /// one: as if no ticker had run since then.
    fn rewind(&self, name: &str, next: i64) {
        let mut row = self.row(name);
        let definition = row["definition"]["S"].as_str().unwrap();
        let mut definition: Value = serde_json::from_str(definition).unwrap();
        if definition["start"].is_u64() {
            definition["start"] = next.into();
            definition["end"] = (next + 29_000).into();
        }
        row["definition"]["S"] = definition.to_string().into();
        for name in ["next", "due"] {
            row[name] = json!({"N": next.to_string()});
        }
        self.dynamodb("PutItem", json!({"TableName": TABLE, "Item": row}));
    }
}

pub fn are_created_changed_and_deleted(service: &Service) {
    let daily = json!({
        "name": "daily report",
        "job": "process_data",
        "input": {"values": [1, 2, 3]},
        "rule": {"crontab": {"minute": 30, "hour": "2"}},
        "timezone": "Europe/Berlin",
        "options": {"priority": "high", "expires": 600},
    });
    let created = service.post("/schedules/", &daily.to_string());
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(
        created.header("location"),
        Some("/schedules/daily%20report")
    );
    assert_eq!(created.header("etag"), Some("\"1\""));
    let path = "/schedules/daily%20report";
    let read = service.get(path);
    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")));
    let schedule = read.json();
    assert_eq!(schedule["rule"]["crontab"]["minute"], "30");
    assert_eq!(
        (&schedule["missed"], &schedule["count"]),
        (&json!("one"), &json!(0))
    );
    assert!(
        schedule["next"].is_string() && schedule["last"].is_null(),
        "{schedule}"
    );

    let taken = service.post("/schedules/", &daily.to_string());
    taken.is(409, r#"{"detail":"A schedule with this name exists"}"#);
    let times = service.get(&format!("{path}/next?count=3")).json();
    let times = times["times"].as_array().unwrap();
    assert_eq!((times.len(), &times[0]), (3, &schedule["next"]));

    let hourly = json!({"rule": {"cron": "0 * * * *"}, "timezone": null});
    let changed = service.if_match("PATCH", path, "\"1\"", &hourly);
    assert_eq!(
        (changed.status, changed.header("etag")),
        (200, Some("\"2\""))
    );
    assert_eq!(changed.json()["timezone"], "UTC");
    assert_eq!(changed.json()["options"]["expires"], 600);
    let stale = service.if_match("PATCH", path, "\"1\"", &hourly);
    stale.is(412, r#"{"detail":"The schedule has version 2"}"#);
    let stale = service.patch(path, &json!({"missed": "all", "version": 1}));
    assert_eq!(stale.status, 412, "{stale:?}");
    let replaced = json!({"job": "process_data", "rule": {"every": 3600}, "version": 2});
    let replaced = service.put(path, &replaced.to_string());
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert!(replaced.json()["options"].is_null());

    let paused = service.post(&format!("{path}/pause"), "");
    assert_eq!(
        (paused.status, &paused.json()["paused"]),
        (200, &json!(true))
    );
    assert!(service.get(path).json()["next"].is_null());
    let resumed = service.post(&format!("{path}/resume"), "");
    assert!(resumed.json()["next"].is_string(), "{resumed:?}");
    let listed = service.get("/schedules/?limit=100").json();
    let names = listed.as_array().unwrap().iter().map(|one| &one["name"]);
    assert!(names.into_iter().any(|name| name == "daily report"));
    assert_eq!(service.delete(path).status, 204);
    for gone in [service.get(path), service.delete(path)] {
        gone.is(404, r#"{"detail":"Schedule not found"}"#);
    }
}

pub fn are_checked_before_they_are_stored(service: &Service) {
    let wrong = |change: Value| {
        let mut schedule = json!({
            "name": "wrong", "job": "process_data", "rule": {"every": 60},
        });
        for (name, value) in change.as_object().unwrap() {
            schedule[name] = value.clone();
        }
        let answer = service.post("/schedules/", &schedule.to_string());
        assert_eq!(answer.status, 422, "{answer:?}");
        answer.json()["detail"][0]["loc"].to_string()
    };
    for (change, loc) in [
        (json!({"name": "a/b"}), r#"["body","name"]"#),
        (json!({"job": "no such job"}), r#"["body","job"]"#),
        (
            json!({"rule": {"every": 0.5}}),
            r#"["body","rule","every"]"#,
        ),
        (
            json!({"rule": {"crontab": {"minute": "61"}}}),
            r#"["body","rule","crontab","minute"]"#,
        ),
        (
            json!({"rule": {"at": "2020-01-01T00:00:00Z"}}),
            r#"["body","rule"]"#,
        ),
        (
            json!({"timezone": "Mars/Olympus"}),
            r#"["body","timezone"]"#,
        ),
        (json!({"missed": "some"}), r#"["body","missed"]"#),
        (
            json!({"options": {"eta": "2030-01-01T00:00:00Z"}}),
            r#"["body","options","eta"]"#,
        ),
        (json!({"celery": {"task": "proj.add"}}), r#"["body","job"]"#),
        (json!({"more": 1}), r#"["body","more"]"#),
    ] {
        assert_eq!(wrong(change), loc);
    }
    let unknown = service.post("/schedules/wrong/stop", "");
    assert_eq!(unknown.status, 422, "{unknown:?}");
    assert_eq!(unknown.json()["detail"][0]["type"], "enum");
    assert_eq!(service.get("/schedules/wrong").status, 404);
}

pub fn run_at_once(service: &Service) {
    service.create_schedule(&json!({
        "name": "now and then", "job": "process_data", "rule": {"every": 86400},
    }));
    let path = "/schedules/now%20and%20then";
    let run = service.post(&format!("{path}/run"), "");
    assert_eq!(run.status, 202, "{run:?}");
    let id = run.json()["task_id"].as_str().unwrap().to_owned();
    let task = service.until_state(&id, "completed");
    assert_eq!(task["schedule"], "now and then");
    assert_eq!(
        service.tasks_of("now%20and%20then")[0]["task_id"],
        json!(id)
    );
    assert_eq!(service.delete(path).status, 204);
}

/// An interval of two seconds for half a minute, with a ticker that is killed while it hands out the times.
pub fn fire_once_for_each_time_though_a_ticker_dies(service: &Service) {
    // Out of reach of the hand-out at the creation: only the ticker hands these times out.
    let hour = |hours: i64| {
        let at = Timestamp::from_second(now_ms() / 1000 + hours * 3600);
        at.unwrap().to_string()
    };
    service.create_schedule(&json!({
        "name": "often", "job": "process_data", "rule": {"every": 2},
        "start": hour(1), "end": hour(2),
    }));
    let next = now_ms() / 1000 * 1000 + 3_000;
    service.rewind("often", next);
    let killed = thread::scope(|scope| {
        let ticking = scope.spawn(|| service.tick());
        service.eventually("the ticker has claimed the times", || {
            (!service.row("often")["claimed"].is_null() || ticking.is_finished()).then_some(())
        });
        let pids = service.pids_of("ticker");
        pids.into_iter().for_each(local_stack::process::kill_now);
        ticking.join().unwrap().is_none()
    });
    println!("the ticker was killed during its call: {killed}");
    service.eventually("another tick goes on", || service.tick());
    let tasks = service.eventually("the tasks have ended", || {
        let tasks = service.tasks_of("often");
        let mut done = tasks.iter();
        (now_ms() > next + 30_000 && done.all(|task| task["state"] == "completed")).then_some(tasks)
    });
    assert!((14..=16).contains(&tasks.len()), "{}", tasks.len());
    let mut times: Vec<i64> = tasks.iter().map(|task| time(task, "eta")).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), tasks.len(), "two tasks of one time");
    // The tick after the killed one was late for the first times.
    let late = tasks.iter().map(|task| {
        let due = time(task, "eta").max(time(task, "created_at"));
        time(task, "started_at") - due
    });
    let latest = late.max().unwrap();
    println!("the latest task started {latest} ms after its time");
    assert!(latest < 2_000, "{latest}");
    let schedule = service.schedule_of("often");
    assert_eq!(schedule["count"], json!(tasks.len()));
    assert!(schedule["next"].is_null(), "{schedule}");
    assert_eq!(service.delete("/schedules/often").status, 204);
}

/// The stack was off for ten minutes of a schedule that fires each minute.
pub fn make_up_for_missed_times_as_they_say(service: &Service) {
    for (missed, made_up) in [("one", 1..=1), ("none", 0..=0), ("all", 10..=11)] {
        let name = format!("minutely-{missed}");
        service.create_schedule(&json!({
            "name": name, "job": "process_data", "rule": {"crontab": {}}, "missed": missed,
        }));
        service.rewind(&name, (now_ms() / 60_000 - 10) * 60_000);
        let before = now_ms();
        service.eventually("a tick", || service.tick());
        let after = now_ms();
        let path = format!("/schedules/{name}");
        let count = service.get(&path).json()["count"].as_u64().unwrap();
        // The times that were handed out at the creation were handed out again, as the same tasks.
        let tasks = service.eventually("the tasks are listed", || {
            let tasks = service.tasks_of(&name);
            let last = time(&service.get(&path).json(), "last");
            tasks
                .iter()
                .any(|task| time(task, "eta") == last)
                .then_some(tasks)
        });
        let late = |now: i64| {
            let late = tasks.iter().filter(|task| time(task, "eta") < now - 60_000);
            late.count()
        };
        let found = [late(before), late(after)];
        assert!(
            found.iter().any(|late| made_up.contains(late)),
            "{missed}: {found:?} of {count}"
        );
        let mut times: Vec<i64> = tasks.iter().map(|task| time(task, "eta")).collect();
        times.dedup();
        assert_eq!(times.len(), tasks.len(), "two tasks of one time");
        assert_eq!(service.delete(&path).status, 204);
    }
}
