use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::clock::now_ms;
use crate::dynamodb::testing::Gate;
use crate::jobs::CATALOG;
use crate::tasks::client::BulkAction;
use crate::tasks::client::testing::{World, next_millisecond};
use crate::tasks::metrics::Counter;
use crate::tasks::queue::DeadLetters;
use crate::tasks::record::TaskRecord;
use crate::tasks::registry::Registry;
use crate::tasks::state::State;
use crate::tasks::store::TaskFilter;
use crate::tasks::worker::testing::DEAD_LETTERS;
use crate::tasks::worker::{Runner, Worker};

fn seal() -> BulkSeal {
    BulkSeal::new("secret")
}

fn retry_of(job: &str) -> Bulk {
    Bulk {
        action: BulkAction::Retry,
        filter: TaskFilter {
            job: Some(job.to_owned()),
            ..TaskFilter::default()
        },
        dry_run: false,
        began: now_ms(),
    }
}

fn task_of(bulk: Bulk, viewer: &Viewer) -> Task {
    let task = seal().task(bulk, viewer, None, Some("ada"), now_ms());
    task.unwrap()
}

fn worker(world: &World) -> Worker {
    let letters = world.queue.client(&Gate::default());
    Worker {
        tasks: world.store.clone(),
        queue: world.task_queue(),
        dead_letters: DeadLetters::new(letters, DEAD_LETTERS.to_owned()),
        jobs: Registry::default().with(ChangeTasks::new(world.bulk(), seal())),
        runner: Arc::new(Runner::start().unwrap()),
        lease: Duration::from_secs(60),
        counter: Counter::new(world.store.counts()),
        name: "worker".to_owned(),
        formats: Vec::new(),
        delays: None,
    }
}

/// Submits a task and runs it.
async fn run(world: &World, task: Task) -> TaskRecord {
    let id = task.id.clone();
    world.submitter().submit(task).await.unwrap();
    let received = world.queue.receive(0, 1, false);
    let again = worker(world).run_batch(received, now_ms() + 300_000).await;
    assert!(again.is_empty(), "{again:?}");
    world.store.get(&id).await.unwrap().unwrap()
}

fn result(record: &TaskRecord) -> Value {
    assert_eq!(record.state, State::Completed, "{:?}", record.error);
    serde_json::from_str(record.result.as_ref().unwrap().get()).unwrap()
}

#[tokio::test]
async fn a_task_changes_all_tasks_in_many_steps() {
    let world = World::new();
    let count = STEP as u64 + 3;
    for _ in 0..count {
        world.task("mail", None, State::Failed).await;
    }
    let record = run(&world, task_of(retry_of("mail"), &Viewer::Everyone)).await;
    let expected = serde_json::json!({
        "dry_run": false, "matched": count, "changed": count, "refused": 0,
    });
    assert_eq!(result(&record), expected);
    assert_eq!(world.queue.sent() as u64, count + 1);
    // Two steps have one checkpoint between them.
    assert_eq!(world.faults.calls("TransactWriteItems"), 1);
}

#[tokio::test]
async fn a_task_acts_for_the_viewer_of_its_request() {
    let world = World::new();
    let own = world.task("mail", Some("ada"), State::Failed).await;
    let other = world.task("mail", Some("grace"), State::Failed).await;
    let viewer = Viewer::Caller("ada".to_owned());
    let record = run(&world, task_of(retry_of("mail"), &viewer)).await;
    assert_eq!(record.caller.as_deref(), Some("ada"));
    assert_eq!(result(&record)["matched"], 1);
    assert_eq!(world.state(&own).await, State::Pending);
    assert_eq!(world.state(&other).await, State::Failed);
}

/// Whoever can submit a task of any name and input, as a pattern of remote jobs may let callers do, cannot make
/// this job act for somebody else.
#[tokio::test]
async fn an_input_that_the_routes_did_not_make_is_refused() {
    let world = World::new();
    let other = world.task("mail", Some("grace"), State::Failed).await;
    next_millisecond().await;
    let own = task_of(retry_of("mail"), &Viewer::Caller("ada".to_owned()));
    let of_everyone = task_of(retry_of("mail"), &Viewer::Everyone);
    let (id, input) = (own.id.clone(), own.input().unwrap().get().to_owned());
    let foreign = BulkSeal::new("another secret");
    let foreign = foreign.task(retry_of("mail"), &Viewer::Everyone, None, None, now_ms());
    for forged in [
        // The own viewer is replaced.
        input.replace(r#""only":"ada""#, r#""only":null"#),
        // The filter is.
        input.replace(r#""job":"mail""#, r#""job":"report""#),
        // The input of another task.
        of_everyone.input().unwrap().get().to_owned(),
        foreign.unwrap().input().unwrap().get().to_owned(),
        input.replace(r#""seal":""#, r#""seal":"00"#),
    ] {
        assert_ne!(forged, input);
        let forged = RawValue::from_string(forged).unwrap();
        let task = Task::new(Uuid::new_v4(), ChangeTasks::NAME, forged.clone(), now_ms());
        let record = run(&world, task).await;
        assert_eq!(record.error.unwrap().kind, "Forbidden");
        // Under the id of the task whose input was altered, too.
        let context = TaskContext::detached(id.clone());
        let input = serde_json::from_str(forged.get()).unwrap();
        let job = ChangeTasks::new(world.bulk(), seal());
        let refused = Job::run(&job, input, &context).await.unwrap_err();
        assert_eq!(refused.kind(), "Forbidden");
    }
    assert_eq!(world.state(&other).await, State::Failed);
}

#[test]
fn callers_cannot_submit_the_job() {
    assert!(CATALOG.iter().all(|job| job.name != ChangeTasks::NAME));
}
