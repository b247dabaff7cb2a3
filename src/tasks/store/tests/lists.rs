//! Lists of tasks.

use super::*;

/// Tasks of increasing age: the first is the newest.
async fn submitted(store: &TaskStore, count: u64) -> Vec<Task> {
    let now = now_ms();
    let mut tasks = Vec::new();
    for age in 0..count {
        let mut task = task();
        // Some tasks have the same time.
        task.submitted_at = now - age / 2;
        if age % 3 == 0 {
            task.job = "other".to_owned();
        }
        if age % 4 == 0 {
            task.id = TaskId::parse(&format!("ä-{age}-{}/\n", task.id)).unwrap();
        }
        store.submitted(&task).await.unwrap();
        tasks.push(task);
    }
    tasks.sort_by_key(|task| std::cmp::Reverse((task.submitted_at, task.id.to_string())));
    tasks
}

/// All pages of a list, one after the other.
async fn pages(store: &TaskStore, mut query: ListQuery) -> Vec<TaskId> {
    let mut ids = Vec::new();
    loop {
        let (records, next) = store.list(&Viewer::Everyone, &query).await.unwrap();
        assert!(records.len() <= query.limit);
        ids.extend(records.iter().map(|record| record.id.clone()));
        match next {
            Some(next) => query.after = Some(next),
            None => return ids,
        }
    }
}

fn of_state(state: State) -> TaskFilter {
    TaskFilter {
        state: Some(state),
        ..TaskFilter::default()
    }
}

fn ids<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<TaskId> {
    tasks.into_iter().map(|task| task.id.clone()).collect()
}

#[tokio::test]
async fn tasks_are_listed_newest_first_page_by_page() {
    let store = store();
    let tasks = submitted(&store, 45).await;
    for limit in [1, 7, 44, 45, 100] {
        let query = ListQuery {
            limit,
            ..ListQuery::default()
        };
        assert_eq!(pages(&store, query).await, ids(&tasks), "limit {limit}");
    }
}

#[tokio::test]
async fn tasks_are_listed_by_job_and_by_state() {
    let store = store();
    let tasks = submitted(&store, 30).await;
    for task in tasks.iter().step_by(5) {
        store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    }
    for task in tasks.iter().skip(1).step_by(5) {
        let lease = claimed(&store, task, LEASE).await;
        store.complete(&lease, "1").await.unwrap();
    }
    let query = ListQuery {
        limit: 4,
        ..ListQuery::default()
    };
    let of_state = |state| ListQuery {
        filter: of_state(state),
        ..query.clone()
    };
    let cancelled = pages(&store, of_state(State::Cancelled)).await;
    assert_eq!(cancelled, ids(tasks.iter().step_by(5)));
    let completed = pages(&store, of_state(State::Completed)).await;
    assert_eq!(completed, ids(tasks.iter().skip(1).step_by(5)));
    assert!(pages(&store, of_state(State::Failed)).await.is_empty());
    let mut both = of_state(State::Cancelled);
    both.filter.job = Some("other".to_owned());
    let mut of_job = both.clone();
    of_job.filter.state = None;
    let others = tasks.iter().filter(|task| task.job == "other");
    assert_eq!(pages(&store, of_job).await, ids(others));
    let both_of = tasks.iter().step_by(5).filter(|task| task.job == "other");
    assert_eq!(pages(&store, both).await, ids(both_of));
}

#[tokio::test]
async fn a_restarted_task_leaves_the_list_of_its_end() {
    let (store, task) = (store(), task());
    store.submitted(&task).await.unwrap();
    store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    let next = next_run(&store, &task.id).await;
    store.restart(&next).await.unwrap();
    let query = ListQuery {
        filter: of_state(State::Cancelled),
        limit: 10,
        ..ListQuery::default()
    };
    assert!(pages(&store, query).await.is_empty());
}

#[tokio::test]
async fn a_successful_small_task_costs_three_writes() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    let kept = store.put_input(&task).await.unwrap();
    assert_eq!(kept, StoredInput::Chunks(0));
    store.submitted(&task).await.unwrap();
    let lease = claimed(&store, &task, LEASE).await;
    store.complete(&lease, "1").await.unwrap();
    let calls = ["PutItem", "UpdateItem", "GetItem", "Query"].map(|call| faults.calls(call));
    assert_eq!(calls, [1, 2, 0, 0]);
}

#[tokio::test]
async fn a_caller_lists_only_own_tasks() {
    let store = store();
    for caller in ["ada", "grace", "ada"] {
        let mut task = task();
        task.caller = Some(caller.to_owned());
        store.submitted(&task).await.unwrap();
    }
    store.submitted(&task()).await.unwrap();
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    for (caller, count) in [("ada", 2), ("grace", 1), ("", 0)] {
        let viewer = Viewer::Caller(caller.to_owned());
        let (records, _) = store.list(&viewer, &query).await.unwrap();
        assert_eq!(records.len(), count, "{caller}");
        assert!(
            records
                .iter()
                .all(|record| record.caller.as_deref() == Some(caller))
        );
    }
}

#[tokio::test]
async fn another_callers_task_costs_the_same_reads_as_an_unknown_id() {
    let faults = Faults::default();
    let (store, mut task) = (faulty(&faults), task());
    task.caller = Some("ada".to_owned());
    store.submitted(&task).await.unwrap();
    let lease = claimed(&store, &task, LEASE).await;
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    store.complete(&lease, &large).await.unwrap();
    let reads = || ["GetItem", "Query", "BatchGetItem"].map(|call| faults.calls(call));
    let (ada, grace) = (
        Viewer::Caller("ada".to_owned()),
        Viewer::Caller("grace".to_owned()),
    );
    for (viewer, id, found) in [
        (&grace, task.id.clone(), false),
        (&grace, TaskId::from(Uuid::new_v4()), false),
        (&ada, task.id.clone(), true),
    ] {
        let before = reads();
        let task = store.find(viewer, &id).await.unwrap();
        assert_eq!(task.is_some(), found);
        assert_eq!(reads(), [before[0] + 1, before[1], before[2]]);
    }
    let refused = store.cancel(&grace, &task.id).await.unwrap();
    assert_eq!(refused, Cancelled::Unknown, "although the task has ended");
    let next = store.next_run(&grace, &task.id).await.unwrap();
    assert!(matches!(next, NextRun::Unknown));
}

#[tokio::test]
async fn a_list_does_not_depend_on_other_callers_tasks() {
    let store = store();
    let of = |caller: &str| {
        let mut task = task();
        task.caller = Some(caller.to_owned());
        task
    };
    for _ in 0..60 {
        store.submitted(&of("grace")).await.unwrap();
    }
    let own = of("ada");
    store.submitted(&own).await.unwrap();
    for (limit, state, job) in [
        (1, None, None),
        (10, None, None),
        (10, Some(State::Failed), None),
        (10, Some(State::Completed), Some("other")),
    ] {
        let query = ListQuery {
            filter: TaskFilter {
                state,
                job: job.map(str::to_owned),
                ..TaskFilter::default()
            },
            limit,
            ..ListQuery::default()
        };
        let nobody = Viewer::Caller("nobody".to_owned());
        let (records, next) = store.list(&nobody, &query).await.unwrap();
        assert!(records.is_empty() && next.is_none(), "{query:?}");
        let ada = Viewer::Caller("ada".to_owned());
        let (records, next) = store.list(&ada, &query).await.unwrap();
        let expected = usize::from(state.is_none());
        assert_eq!(records.len(), expected, "{query:?}");
        // A full page has a cursor: the position of an own task.
        let own_place = format!("{:013}-{}", own.submitted_at, own.id);
        assert!(next.is_none_or(|TaskPosition(place)| place == own_place));
    }
}
