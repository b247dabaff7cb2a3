//! Many tasks at once: submitted in one request, found by filters, cancelled and run again by a filter.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::service::Service;

impl Service {
    /// Submits tasks in one request and returns their ids. The keys begin with `key`, so the request is repeated
    /// if the gateway does not wait for the answer: on a busy machine the emulators take long for 1,000 tasks.
    fn submit_all(&self, key: &str, tasks: &[Value]) -> Vec<String> {
        let mut tasks = tasks.to_vec();
        for (number, task) in tasks.iter_mut().enumerate() {
            task["idempotency_key"] = json!(format!("{key}-{number}"));
        }
        let body = json!({ "tasks": tasks }).to_string();
        let answer = self.eventually("a batch is answered", || {
            let answer = self.post("/tasks/batch", &body);
            (answer.status != 503).then_some(answer)
        });
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        let counts = (&answer["accepted"], &answer["refused"]);
        assert_eq!(counts, (&json!(tasks.len()), &json!(0)), "{answer}");
        let outcomes = answer["outcomes"].as_array().unwrap().iter();
        let id = |outcome: &Value| outcome["task"]["task_id"].as_str().unwrap().to_owned();
        outcomes.map(id).collect()
    }

    /// A filter for the tasks of this job that are not older than the oldest of these.
    fn since_oldest(&self, ids: &[String], job: &str) -> Value {
        let created = ids.iter().map(|id| self.task(id)["created_at"].clone());
        let oldest = created.min_by_key(Value::to_string);
        json!({"job": job, "created_after": oldest})
    }

    /// The ids of all completed tasks that a query finds.
    fn completed(&self, query: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let mut next = Some(format!("/tasks/?limit=100&{query}"));
        while let Some(path) = next {
            let page = self.get(&path);
            assert_eq!(page.status, 200, "{page:?}");
            let tasks = page.json();
            let tasks = tasks.as_array().unwrap().iter();
            let completed = tasks.filter(|task| task["state"] == "completed");
            ids.extend(completed.map(|task| task["task_id"].as_str().unwrap().to_owned()));
            next = page.next();
        }
        ids
    }

    /// One step of an action on many tasks.
    fn change(&self, action: &str, request: &Value) -> Value {
        let answer = self.post(&format!("/tasks/{action}"), &request.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// The numbers in an answer or a result.
fn counts(answer: &Value) -> [u64; 3] {
    ["matched", "changed", "refused"].map(|name| answer[name].as_u64().unwrap())
}

pub fn are_submitted_in_one_request(service: &Service) {
    let task = |number: usize| json!({"job": "process_data", "input": {"values": [number]}});
    let tasks: Vec<Value> = (0..1_000).map(task).collect();
    let since = jiff::Timestamp::now();
    let ids = service.submit_all("e2e-batch", &tasks);
    let all: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(all.len(), 1_000);
    assert_eq!(
        service.submit_all("e2e-batch", &tasks),
        ids,
        "a repeated batch makes no task"
    );
    // Some of the tasks first: the emulators may take minutes for all on a busy machine.
    for id in ids.iter().step_by(50) {
        let done = service.until_state(id, "completed");
        assert_eq!(done["attempts"].as_array().unwrap().len(), 1);
    }
    let query = format!("job=process_data&created_after={since}");
    service.eventually("all tasks are completed", || {
        all.is_subset(&service.completed(&query)).then_some(())
    });

    let mut some = tasks[..2].to_vec();
    some[0]["idempotency_key"] = json!("e2e-batch-0");
    some[1]["idempotency_key"] = json!("e2e-batch-1");
    some[1]["input"] = json!({"values": []});
    some.push(json!({"job": "no_such_job"}));
    let answer = service.post("/tasks/batch", &json!({ "tasks": some }).to_string());
    let answer = answer.json();
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(1), &json!(2))
    );
    let all = &answer["outcomes"];
    assert_eq!(all[0]["task"]["task_id"], json!(ids[0]));
    assert_eq!(
        all[1]["detail"][0]["loc"],
        json!(["body", "idempotency_key"])
    );
    let single = service.post("/tasks/", &some[2].to_string());
    assert_eq!(all[2]["status"], json!(single.status));
    assert_eq!(all[2]["detail"], single.json()["detail"]);
    let none = service.post("/tasks/batch", r#"{"tasks": []}"#);
    assert_eq!(
        (none.status, &none.json()["detail"][0]["type"]),
        (422, &json!("too_short"))
    );
}

pub fn are_counted_and_run_again_by_a_filter(service: &Service) {
    // Each of the sources answers an error once.
    let task = |number: usize| {
        let source = service.upstream(&format!("/flaky/1/bulk-{number}"));
        json!({"job": "process_data", "input": {"source_url": source},
            "options": {"max_retries": 0}})
    };
    let ids = service.submit_all("e2e-flaky", &(0..5).map(task).collect::<Vec<_>>());
    for id in &ids {
        let failed = service.until_state(id, "failed");
        assert_eq!(failed["error"]["type"], "SourceFailed", "{failed}");
    }
    let mut filter = service.since_oldest(&ids, "process_data");
    filter["error"] = json!("SourceFailed");
    let mut request = json!({"filter": filter, "dry_run": true});
    let dry = service.eventually("all failed tasks are found", || {
        let answer = service.change("retry", &request);
        (answer["matched"] == 5).then_some(answer)
    });
    assert_eq!((counts(&dry), &dry["dry_run"]), ([5, 0, 0], &json!(true)));
    assert!(ids.iter().all(|id| service.task(id)["run"] == 1));

    request = json!({"filter": filter, "limit": 2});
    let mut sum = [0, 0, 0];
    let mut cursors = Vec::new();
    loop {
        let answer = service.change("retry", &request);
        for (sum, count) in sum.iter_mut().zip(counts(&answer)) {
            *sum += count;
        }
        request["cursor"] = answer["cursor"].clone();
        if answer["cursor"].is_null() {
            break;
        }
        cursors.push(answer["cursor"].clone());
    }
    assert_eq!((sum, cursors.len() >= 2), ([5, 5, 0], true));
    for id in &ids {
        assert_eq!(service.until_state(id, "completed")["run"], 2);
    }
    // Neither the action again, nor a step of it again, changes anything.
    for cursor in [Value::Null, cursors[0].clone()] {
        request["cursor"] = cursor;
        assert_eq!(counts(&service.change("retry", &request)), [0, 0, 0]);
    }
    assert!(ids.iter().all(|id| service.task(id)["run"] == 2));
    let foreign = service.post("/tasks/cancel", &request.to_string());
    let error = &foreign.json()["detail"][0];
    assert_eq!(
        (foreign.status, &error["loc"]),
        (422, &json!(["body", "cursor"]))
    );
}

pub fn are_changed_by_a_task_in_the_background(service: &Service) {
    let task = json!({"job": "process_data", "options": {"countdown": 600}});
    let ids = service.submit_all("e2e-late", &vec![task; 7]);
    let mut filter = service.since_oldest(&ids, "process_data");
    filter["state"] = json!("scheduled");
    let cancel = json!({"filter": filter, "background": true});
    let accepted = service.post("/tasks/cancel", &cancel.to_string());
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = accepted.json()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), Some(&*format!("/tasks/{id}")));
    let done = service.until_state(&id, "completed");
    let result = json!({"dry_run": false, "matched": 7, "changed": 7, "refused": 0});
    assert_eq!(done["result"], result);
    assert!(
        ids.iter()
            .all(|id| service.task(id)["state"] == "cancelled")
    );

    // Nobody submits this job in another way.
    let job = json!({"job": "change_tasks", "input": {}});
    let refused = service.post("/tasks/", &job.to_string());
    let kind = &refused.json()["detail"][0]["type"];
    assert_eq!((refused.status, kind), (422, &json!("literal_error")));
    let empty = service.post("/tasks/cancel", r#"{"filter": {}}"#);
    let error = &empty.json()["detail"][0];
    assert_eq!(
        (empty.status, &error["loc"]),
        (422, &json!(["body", "filter"]))
    );
}

pub fn are_found_by_filters(service: &Service) {
    let missing = service.upstream("/data/nothing.csv");
    let failing = json!({"job": "process_data", "input": {"source_url": missing}});
    let ids = service.submit_all("e2e-found", &[json!({"job": "process_data"}), failing]);
    service.until_state(&ids[0], "completed");
    let failed = service.until_state(&ids[1], "failed");
    let created = failed["created_at"].as_str().unwrap();
    let found = |query: &str| -> Vec<String> {
        let answer = service.get(&format!("/tasks/?limit=100&{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let tasks = answer.json();
        let tasks = tasks.as_array().unwrap().iter();
        let id = |task: &Value| task["task_id"].as_str().unwrap().to_owned();
        tasks.map(id).filter(|id| ids.contains(id)).collect()
    };
    let (both, last): (Vec<_>, _) = (ids.iter().rev().cloned().collect(), vec![ids[1].clone()]);
    service.eventually("the failed task is listed", || {
        (found("error=SourceRefused") == last).then_some(())
    });
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(found("job_prefix=process_")), sorted(both));
    assert!(found("job_prefix=fetch").is_empty());
    assert!(found("error=Other").is_empty() && found("caller=nobody").is_empty());
    assert!(found(&format!("created_before={created}")).is_empty());
    assert!(found(&format!("created_after={created}")).contains(&ids[1]));
    for length in [1, 8, 23, 36] {
        let prefix = &ids[1][..length];
        assert!(
            found(&format!("id_prefix={prefix}")).contains(&ids[1]),
            "{prefix}"
        );
    }
    let wrong = service.get("/tasks/?created_after=yesterday");
    assert_eq!(
        (wrong.status, &wrong.json()["detail"][0]["type"]),
        (422, &json!("datetime_parsing"))
    );
}
