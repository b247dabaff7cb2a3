//! Tasks from submission to end, as callers see them.

use serde_json::{Value, json};

use crate::service::{Answer, Service};

impl Service {
    /// Submits a task and returns its id.
    pub fn submit(&self, task: &Value) -> String {
        let answer = self.post("/tasks/", &task.to_string());
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.json()["task_id"].as_str().unwrap().to_owned();
        let location = format!("/tasks/{id}");
        assert_eq!(answer.header("location"), Some(location.as_str()));
        id
    }

    pub fn task(&self, id: &str) -> Value {
        let answer = self.get(&format!("/tasks/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub fn until_state(&self, id: &str, state: &str) -> Value {
        self.eventually(&format!("task {id} is {state}"), || {
            let task = self.task(id);
            (task["state"] == state).then_some(task)
        })
    }

    /// An input with the URL of a file whose answer starts after this delay.
    fn slow_source(&self, milliseconds: u32) -> Value {
        json!({"source_url": self.upstream(&format!("/data/people.csv?delay_ms={milliseconds}"))})
    }
}

/// The location and type of each validation error.
fn wrong(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 422, "{answer:?}");
    let answer = answer.json();
    let errors = answer["detail"].as_array().unwrap().iter();
    errors
        .map(|error| {
            (
                error["loc"].to_string(),
                error["type"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

pub fn show_their_whole_record(service: &Service) {
    let id = service.submit(&json!({"job": "process_data", "input": {"values": [1, 2, 3]}}));
    let waited = service.get(&format!("/tasks/{id}?wait=20"));
    assert_eq!(waited.status, 200, "{waited:?}");
    let task = waited.json();
    assert_eq!(task["state"], "completed");
    assert_eq!(
        (&task["task_id"], &task["job"]),
        (&json!(id), &json!("process_data"))
    );
    assert_eq!(task["result"]["fields"]["values[]"]["mean"], json!(2.0));
    assert_eq!(task["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(task["attempts"][0]["outcome"], "completed");
    assert!(
        task["next"].is_null() && task["queue_wait_ms"].is_u64(),
        "{task}"
    );
    let times = ["created_at", "started_at", "finished_at"].map(|name| task[name].as_str());
    assert!(times.is_sorted() && times[0].is_some(), "{task}");
    let result = service.result(&id);
    assert_eq!(result["result"], task["result"]);
    assert!(task["input"].is_null());
    let with_input = service.get(&format!("/tasks/{id}?input=true")).json();
    assert_eq!(with_input["input"], json!({"values": [1, 2, 3]}));

    for unknown in ["nope", "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e"] {
        let path = format!("/tasks/{unknown}");
        let detail = r#"{"detail":"Task not found"}"#;
        service.get(&path).is(404, detail);
        service.delete(&path).is(404, detail);
        service.post(&format!("{path}/retry"), "").is(404, detail);
    }
    let long = service.get(&format!("/tasks/{id}?wait=21"));
    let place = r#"["query","wait"]"#.to_owned();
    assert_eq!(wrong(&long), [(place, "less_than_equal".to_owned())]);
    let unclear = service.get(&format!("/tasks/{id}?input=perhaps"));
    let place = r#"["query","input"]"#.to_owned();
    assert_eq!(wrong(&unclear), [(place, "bool_parsing".to_owned())]);
}

pub fn are_validated_before_they_are_queued(service: &Service) {
    for (task, errors) in [
        (json!({}), vec![(r#"["body","job"]"#, "missing")]),
        (
            json!({"job": "no_such_job"}),
            vec![(r#"["body","job"]"#, "literal_error")],
        ),
        (
            json!({"job": "fetch_urls", "input": {"urls": 5}, "options": {"max_retries": -1}}),
            vec![
                (r#"["body","input"]"#, "value_error"),
                (r#"["body","options","max_retries"]"#, "greater_than_equal"),
            ],
        ),
    ] {
        let answer = service.post("/tasks/", &task.to_string());
        let errors: Vec<_> = errors
            .into_iter()
            .map(|(place, kind)| (place.to_owned(), kind.to_owned()))
            .collect();
        assert_eq!(wrong(&answer), errors, "{task}");
    }
}

pub fn are_submitted_once_for_each_idempotency_key(service: &Service) {
    let submit = |key: &str, task: &Value| {
        let key = [("idempotency-key", key)];
        service.post_with("/tasks/", &key, &task.to_string())
    };
    let task = json!({"job": "process_data", "input": {"a": 1}, "options": {"countdown": 1}});
    let first = submit("e2e-1", &task);
    assert_eq!(first.status, 202, "{first:?}");
    let again = submit("e2e-1", &task);
    assert_eq!((again.status, &again.body), (202, &first.body));
    let id = first.json()["task_id"].as_str().unwrap().to_owned();
    service.until_state(&id, "completed");
    let later = submit("e2e-1", &task);
    assert_eq!((later.status, &later.body), (202, &first.body));
    assert_eq!(service.task(&id)["attempts"].as_array().unwrap().len(), 1);

    let other = json!({"job": "process_data", "input": {"a": 2}});
    let place = r#"["header","idempotency-key"]"#.to_owned();
    let refused = wrong(&submit("e2e-1", &other));
    assert_eq!(refused, [(place, "value_error".to_owned())]);
    assert_ne!(submit("e2e-2", &task).json()["task_id"], json!(id));
}

pub fn wait_for_their_time_and_expire(service: &Service) {
    let soon = service.submit(&json!({"job": "process_data", "options": {"countdown": 2}}));
    let task = service.task(&soon);
    assert_eq!(task["state"], "scheduled");
    assert_eq!(
        task["next"],
        json!({"action": "attempt", "at": task["eta"]})
    );
    assert_eq!(
        service.get(&format!("/result/{soon}")).body,
        r#"{"status":"pending"}"#
    );
    let done = service.until_state(&soon, "completed");
    assert!(
        done["started_at"].as_str() >= done["eta"].as_str(),
        "{done}"
    );

    let past = json!({"expires": "2001-01-01T00:00:00Z"});
    let over = service.submit(&json!({"job": "process_data", "options": past}));
    service.until_state(&over, "expired");
    assert_eq!(service.result(&over), json!({"status": "expired"}));
}

pub fn are_cancelled(service: &Service) {
    let waiting = service.submit(&json!({"job": "process_data", "options": {"countdown": 600}}));
    let cancelled = service.delete(&format!("/tasks/{waiting}"));
    assert_eq!(
        (cancelled.status, &cancelled.json()["state"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(
        service.delete(&format!("/tasks/{waiting}")).status,
        200,
        "again"
    );
    assert_eq!(service.result(&waiting), json!({"status": "cancelled"}));

    let input = service.slow_source(30_000);
    let running = service.submit(&json!({"job": "process_data", "input": input}));
    service.until_state(&running, "running");
    let asked = service.delete(&format!("/tasks/{running}"));
    assert_eq!(
        (asked.status, &asked.json()["next"]["action"]),
        (202, &json!("cancel"))
    );
    let stopped = service.until_state(&running, "cancelled");
    assert_eq!(stopped["attempts"][0]["outcome"], "cancelled");

    let ended = service.process("{}");
    service.result(&ended);
    service
        .delete(&format!("/tasks/{ended}"))
        .is(409, r#"{"detail":"The task is completed"}"#);
}

pub fn run_again_after_a_failure(service: &Service) {
    let input = json!({"source_url": service.upstream("/data/nothing.csv")});
    let id = service.submit(&json!({"job": "process_data", "input": input}));
    let failed = service.until_state(&id, "failed");
    assert_eq!(
        (&failed["run"], &failed["error"]["type"]),
        (&json!(1), &json!("SourceRefused"))
    );
    let retried = service.post(&format!("/tasks/{id}/retry"), "");
    assert_eq!(retried.status, 202, "{retried:?}");
    let again = service.eventually("the task has run again", || {
        let task = service.task(&id);
        (task["state"] == "failed" && task["run"] == 2).then_some(task)
    });
    assert_eq!(again["attempts"].as_array().unwrap().len(), 1);

    let done = service.process("{}");
    service.result(&done);
    service
        .post(&format!("/tasks/{done}/retry"), "")
        .is(409, r#"{"detail":"The task is completed"}"#);
}

pub fn are_listed_newest_first(service: &Service) {
    let ids: Vec<String> = (0..5)
        .map(|_| {
            let high = json!({"priority": "high"});
            service.submit(&json!({"job": "process_data", "options": high}))
        })
        .collect();
    for id in &ids {
        service.until_state(id, "completed");
    }
    let newest = service.get("/tasks/?limit=3&job=process_data&state=completed");
    let link = newest.header("link").unwrap().to_owned();
    let found = |answer: &Answer| -> Vec<String> {
        let tasks = answer.json();
        let tasks = tasks.as_array().unwrap().iter();
        tasks
            .inspect(|task| assert_eq!(task["priority"], "high"))
            .map(|task| task["task_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let mut all = found(&newest);
    assert_eq!(all.len(), 3);
    all.extend(found(&service.get(&next.replace("limit=3", "limit=2"))));
    all.reverse();
    let (mut all, mut ids) = (all, ids);
    // Tasks of the same millisecond are in order of their ids.
    all.sort();
    ids.sort();
    assert_eq!(all, ids);

    let state = service.get("/tasks/?state=lost");
    assert_eq!(wrong(&state)[0].1, "literal_error");
    let cursor = service.get("/tasks/?cursor=x");
    assert_eq!(wrong(&cursor)[0].1, "value_error");
}

pub fn have_jobs_that_describe_themselves(service: &Service) {
    let jobs = service.get("/jobs/").json();
    let mut jobs = jobs.as_array().unwrap().iter();
    let job = jobs.find(|job| job["name"] == "fetch_urls").unwrap();
    let input = &job["input_schema"];
    let name = input["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(input["$defs"][name]["required"], json!(["urls"]));
}

pub fn carry_the_trace_of_their_request(service: &Service) {
    const TRACE: &str = "7c1f2f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let submission = |traceparent: &str| {
        let body = json!({
            "job": "fetch_urls",
            "input": {"urls": [service.upstream("/headers")]},
        });
        let headers = [("traceparent", traceparent), ("tracestate", "vendor=1")];
        let accepted = service.post_with("/tasks/", &headers, &body.to_string());
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let id = accepted.json()["task_id"].as_str().unwrap().to_owned();
        service.until_state(&id, "completed")
    };
    let traced = submission(&parent);
    assert_eq!(traced["trace_id"], TRACE, "{traced}");
    let seen = &traced["result"]["results"][0]["json"];
    let sent = seen["traceparent"]
        .as_str()
        .unwrap_or_else(|| panic!("{traced}"));
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01"));
    assert_ne!(sent, parent, "the attempt has a span of its own");
    assert!(seen.get("tracestate").is_none(), "{seen}");
    let line = format!(r#""trace_id":"{TRACE}""#);
    service.eventually("the attempt's log line has the trace", || {
        service.logs().contains(&line).then_some(())
    });
    // A header that is not valid is ignored. The trace is then that of X-Ray, if the runtime has one.
    let other = submission("00-not-a-trace");
    if let Some(id) = other.get("trace_id").map(|id| id.as_str().unwrap()) {
        let (time, rest) = id.split_at(8);
        let root = format!("Root=1-{time}-{rest}");
        assert!(service.logs().contains(&root), "{other}");
    }
}
