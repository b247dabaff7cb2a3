//! Workflows of Celery: chains and chords, sent as clients of Celery send them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::poison::uuid;
use crate::service::Service;

/// The task of each step, which gives its arguments as they are.
const STEP: &str = "celery.accumulate";
/// The tasks of a chain, and the members of a chord.
const STEPS: usize = 3;

/// A workflow that the test sent.
#[derive(Debug)]
pub struct Workflow {
    /// Its tasks, in the order in which they may run. The last task gives the workflow's result.
    ids: Vec<String>,
    /// The result if no worker was lost too often.
    expected: Value,
}

/// Sends a chain and a chord. Each message is sent twice now and then.
pub fn send(service: &Service, random: &mut Rng) -> [Workflow; 2] {
    [send_chain(service, random), send_chord(service, random)]
}

fn send_chain(service: &Service, random: &mut Rng) -> Workflow {
    let ids: Vec<String> = (0..STEPS).map(|_| uuid(random)).collect();
    let steps = ids.iter().enumerate().skip(1);
    let rest: Vec<Value> = steps.rev().map(|(at, id)| signature(id, at)).collect();
    let embed = json!({"callbacks": null, "errbacks": null, "chain": rest, "chord": null});
    send_message(service, random, (&ids[0], 0), None, &embed);
    let expected = (1..STEPS).fold(json!([0]), |before, at| json!([before, at]));
    Workflow { ids, expected }
}

/// Stores a chord's rows, and then sends its members, as a client does.
fn send_chord(service: &Service, random: &mut Rng) -> Workflow {
    let ids: Vec<String> = (0..=STEPS).map(|_| uuid(random)).collect();
    let group = uuid(random);
    let (body, members) = ids.split_last().expect("a body");
    let tuples: Vec<Value> = members.iter().map(|id| json!([[id, null], null])).collect();
    let tuples = json!({"result": [[group, null], tuples]}).to_string();
    let counter = json!({"N": "0"});
    service.put_celery_row(&key("chord-unlock", &group), "chord_count", &counter);
    let tuples = json!({"B": STANDARD.encode(tuples)});
    service.put_celery_row(&key("celery-taskset-meta", &group), "result", &tuples);
    let chord = signature(body, STEPS);
    let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": chord});
    for (at, id) in members.iter().enumerate() {
        send_message(service, random, (id, at), Some(&group), &embed);
    }
    let values: Vec<Value> = (0..STEPS).map(|at| json!([at])).collect();
    Workflow {
        ids,
        expected: json!([values, STEPS]),
    }
}

fn signature(id: &str, at: usize) -> Value {
    json!({"task": STEP, "args": [at], "kwargs": {}, "options": {"task_id": id},
        "subtask_type": null, "immutable": false})
}

fn send_message(
    service: &Service,
    random: &mut Rng,
    (id, at): (&str, usize),
    group: Option<&str>,
    embed: &Value,
) {
    let headers = json!({"task": STEP, "id": id, "root_id": id, "group": group, "retries": 0});
    let info = json!({"exchange": "", "routing_key": "celery"});
    let message = json!({
        "body": json!([[at], {}, embed]).to_string(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": {"delivery_info": info, "correlation_id": id},
    });
    for _ in 0..1 + usize::from(random.u8(..5) == 0) {
        service.send_celery(&message.to_string());
    }
}

/// A key of Celery's table of results.
fn key(kind: &str, id: &str) -> String {
    format!("b'{kind}-{id}'")
}

/// The broken rules of workflows whose tasks have these records.
pub fn faults_of(
    service: &Service,
    workflows: &[Workflow],
    records: &HashMap<&str, &Value>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut completed = 0;
    for workflow in workflows {
        let lost = workflow.ids.iter().any(|id| {
            let record = records.get(id.as_str());
            record.is_some_and(|record| record["error"]["type"] == "WorkerLost")
        });
        for (at, id) in workflow.ids.iter().enumerate() {
            let stored = stored(service, id);
            let state = records.get(id.as_str()).map(|record| &record["state"]);
            let status = stored["status"].as_str().unwrap_or("no result");
            let is_last = at + 1 == workflow.ids.len();
            let right = match status {
                "SUCCESS" if is_last => stored["result"] == workflow.expected && !lost,
                "SUCCESS" => state.is_some_and(|state| state == "completed"),
                "FAILURE" => lost,
                _ => false,
            };
            completed += usize::from(status == "SUCCESS" && is_last);
            if !right {
                let workflow = format!("{workflow:?}, a worker was lost: {lost}");
                wrong.push(format!(
                    "task {id} is {state:?} and has the result {stored}: {workflow}\n{}",
                    service.last_lines_with(id, 20)
                ));
            }
        }
    }
    println!(
        "{completed} of {} workflows of Celery gave their value\n",
        workflows.len()
    );
    wrong
}

/// The JSON of a task's result; null if there is none.
fn stored(service: &Service, id: &str) -> Value {
    let row = service.celery_row(&key("celery-task-meta", id));
    let bytes = row["result"]["B"]
        .as_str()
        .map(|text| STANDARD.decode(text));
    let bytes = bytes.map(|bytes| bytes.expect("base64"));
    bytes.map_or(Value::Null, |bytes| {
        serde_json::from_slice(&bytes).expect("JSON")
    })
}
