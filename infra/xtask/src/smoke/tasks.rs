//! Tasks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Caller;
use super::{Findings, Service, first};

/// The longest wait for a task without a delay: the worker's start, and a few polls of the queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// A delay within SQS' maximum, in seconds.
const DELAY: u64 = 3;

/// A delay above SQS' maximum, in seconds, for which the service uses a one-time schedule.
const LONG_DELAY: u64 = 3600;

/// How many numbers the large input has, whose size is some 4 MB.
const NUMBERS: u64 = 600_000;

/// How many fields the large input has, whose profile is some 200 KB.
const FIELDS: usize = 900;

type Step<T> = Result<T, String>;

pub fn runs(service: &Service) -> Findings {
    first(|| {
        let answer = service
            .client
            .post("/process/", &json!({"values": [1, 2, 3]}))?;
        let id = answer.expect(200)?.text("task_id")?;
        let result = result(service, &id)?;
        let mean = &result["fields"]["values[]"]["mean"];
        match mean.as_f64() == Some(2.0) {
            true => Ok(()),
            false => Err(format!("task {id}: the mean of 1, 2 and 3 is {mean}")),
        }
    })
}

pub fn waits(service: &Service) -> Findings {
    first(|| {
        let id = submit(service, &json!({"countdown": DELAY}))?;
        let task = ended(service, &id)?;
        let time = |name: &str| task[name].as_str().unwrap_or_default().to_owned();
        // The times have one format, so they can be compared as texts.
        match !time("eta").is_empty() && time("started_at") >= time("eta") {
            true => Ok(()),
            false => Err(format!("task {id} started before its eta: {task}")),
        }
    })
}

pub fn is_cancelled(service: &Service) -> Findings {
    first(|| {
        let id = submit(service, &json!({"countdown": LONG_DELAY}))?;
        let path = format!("/tasks/{id}");
        is_in(
            &service
                .client
                .get(&path, Caller::Known)?
                .expect(200)?
                .json()?,
            "scheduled",
        )?;
        is_in(
            &service.client.delete(&path)?.expect(200)?.json()?,
            "cancelled",
        )?;
        is_in(
            &service
                .client
                .get(&path, Caller::Known)?
                .expect(200)?
                .json()?,
            "cancelled",
        )?;
        let again =
            service
                .client
                .send("POST", &format!("{path}/retry"), Caller::Known, &[], None)?;
        again.expect(202)?;
        ended(service, &id).map(drop)
    })
}

pub fn carries_much(service: &Service) -> Findings {
    first(|| {
        let mut input = json!({"values": (0..NUMBERS).collect::<Vec<u64>>()});
        for n in 0..FIELDS {
            input[format!("a field of a large input, number {n:03}")] = json!(format!("value {n}"));
        }
        let answer = service.client.post("/process/", &input)?;
        let id = answer.expect(200)?.text("task_id")?;
        let result = result(service, &id)?;
        match (result.to_string().len(), result["records"].as_u64()) {
            (100_000.., Some(1)) => Ok(()),
            (size, records) => Err(format!(
                "task {id}: a result of {size} bytes and {records:?} records"
            )),
        }
    })
}

pub fn refuses_too_much(service: &Service) -> Findings {
    first(|| {
        // The service refuses the first size, API Gateway or Lambda the second one.
        for size in [5_500_000, 7_000_000] {
            let input = json!({"text": "x".repeat(size)});
            service.client.post("/process/", &input)?.expect(413)?;
        }
        Ok(())
    })
}

fn submit(service: &Service, options: &Value) -> Step<String> {
    let task = json!({"job": "process_data", "input": {"values": [1, 2, 3]}, "options": options});
    service
        .client
        .post("/tasks/", &task)?
        .expect(202)?
        .text("task_id")
}

fn is_in(task: &Value, state: &str) -> Step<()> {
    match task["state"] == state {
        true => Ok(()),
        false => Err(format!("the task is not {state}: {task}")),
    }
}

/// Waits until a task has completed, and returns the task.
fn ended(service: &Service, id: &str) -> Step<Value> {
    let started = Instant::now();
    loop {
        let path = format!("/tasks/{id}?wait=10");
        let task = service
            .client
            .get(&path, Caller::Known)?
            .expect(200)?
            .json()?;
        match task["state"].as_str() {
            Some("completed") => return Ok(task),
            Some("scheduled" | "pending" | "running" | "retrying")
                if started.elapsed() < PATIENCE => {}
            _ => return Err(format!("task {id} did not complete: {task:.200}")),
        }
    }
}

/// Waits until a task has completed, and returns its result.
fn result(service: &Service, id: &str) -> Step<Value> {
    let started = Instant::now();
    loop {
        let path = format!("/result/{id}");
        let mut answer = service
            .client
            .get(&path, Caller::Known)?
            .expect(200)?
            .json()?;
        match answer["status"].as_str() {
            Some("completed") => return Ok(answer["result"].take()),
            Some("pending") if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(200))
            }
            _ => return Err(format!("task {id} did not complete: {answer:.200}")),
        }
    }
}
