//! The numbers of tasks, queues and schedules.

use serde_json::{Value, json};

use crate::service::Service;

impl Service {
    /// The numbers of the last hour.
    fn numbers(&self) -> Value {
        let answer = self.get("/stats/");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// The numbers of a job.
fn of_job<'a>(stats: &'a Value, job: &str) -> &'a Value {
    let jobs = stats["jobs"].as_array().unwrap();
    let found = jobs.iter().find(|one| one["job"] == job);
    found.unwrap_or(&Value::Null)
}

/// How many runs of `process_data` ended in this state.
fn ended(stats: &Value, state: &str) -> u64 {
    of_job(stats, "process_data")[state].as_u64().unwrap_or(0)
}

pub fn show_what_ended(service: &Service) {
    let before = service.numbers();
    for number in 0..3 {
        let id = service.submit(&json!({"job": "process_data", "input": {"values": [number]}}));
        service.until_state(&id, "completed");
    }
    let source = service.upstream("/no-such-data");
    let id = service.submit(&json!({"job": "process_data", "input": {"source_url": source}}));
    service.until_state(&id, "failed");
    let eta = json!({"countdown": 3_600});
    let late = json!({"job": "process_data", "input": {}, "options": eta});
    let id = service.submit(&late);
    assert_eq!(service.delete(&format!("/tasks/{id}")).status, 200);

    let grew = [("completed", 3), ("failed", 1), ("cancelled", 1)];
    let stats = service.eventually("the numbers have the tasks", || {
        let stats = service.numbers();
        let has = |(state, by): &(&str, u64)| ended(&stats, state) >= ended(&before, state) + by;
        grew.iter().all(has).then_some(stats)
    });
    let job = of_job(&stats, "process_data");
    for times in ["wait_ms", "run_ms"] {
        let (p50, p95) = (job[times]["p50"].as_u64(), job[times]["p95"].as_u64());
        assert!(p50.is_some() && p50 <= p95, "{job}");
    }
    let steps = stats["steps"].as_array().unwrap();
    let of_steps = steps.iter();
    let of_steps = of_steps.filter_map(|step| step["jobs"]["process_data"]["completed"].as_u64());
    assert_eq!(of_steps.sum::<u64>(), ended(&stats, "completed"), "{stats}");
    assert_eq!(stats["window_seconds"], 3_600);
    assert_eq!(stats["step_seconds"], 60);
    show_states_and_queues(&stats);
}

fn show_states_and_queues(stats: &Value) {
    let states = stats["states"].as_object().unwrap();
    assert_eq!(states.len(), 9, "{stats}");
    for (state, least) in [("completed", 3), ("failed", 1), ("cancelled", 1)] {
        assert!(states[state]["count"].as_u64() >= Some(least), "{stats}");
    }
    let names = stats["queues"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|queue| &queue["name"]).collect();
    assert_eq!(names, ["tasks", "tasks-high", "celery"]);
    assert!(stats["queues"][0]["visible"].is_u64() && stats["dead_letters"].is_u64());
    assert!(stats["schedules"]["late"].is_u64(), "{stats}");
}

pub fn are_of_a_window_that_is_checked(service: &Service) {
    for wrong in ["59", "86401", "x", "1.5"] {
        let answer = service.get(&format!("/stats/?window={wrong}"));
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(
            answer.json()["detail"][0]["loc"],
            json!(["query", "window"])
        );
    }
    let day = service.get("/stats/?window=86400").json();
    assert_eq!(
        (&day["window_seconds"], &day["step_seconds"]),
        (&json!(86_400), &json!(900))
    );
}
