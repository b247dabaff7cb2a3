use serde_json::json;

use super::*;
use crate::clock::now_ms;
use crate::tasks::client::testing::{World, new_task, next_millisecond};
use crate::tasks::task::Task;

fn bulk(action: BulkAction, filter: TaskFilter) -> Bulk {
    Bulk {
        action,
        filter,
        dry_run: false,
        began: now_ms(),
    }
}

fn of_job(job: &str) -> TaskFilter {
    TaskFilter {
        job: Some(job.to_owned()),
        ..TaskFilter::default()
    }
}

fn counts(matched: u64, changed: u64, refused: u64) -> Counts {
    Counts {
        matched,
        changed,
        refused,
    }
}

/// All steps of an action.
async fn all(world: &World, viewer: &Viewer, bulk: &Bulk, limit: usize) -> Counts {
    let (client, mut after) = (world.bulk(), None);
    let mut sum = Counts::default();
    loop {
        let step = client.step(viewer, bulk, limit, after, None).await.unwrap();
        sum.add(step.counts);
        after = step.next;
        if after.is_none() {
            return sum;
        }
    }
}

#[tokio::test]
async fn all_failed_tasks_of_a_job_are_counted_and_run_again() {
    let world = World::new();
    let mut failed = Vec::new();
    for _ in 0..7 {
        failed.push(world.task("mail", None, State::Failed).await);
    }
    let cancelled = world.task("mail", None, State::Cancelled).await;
    let done = world.task("mail", None, State::Completed).await;
    let other = world.task("report", None, State::Failed).await;
    let everyone = Viewer::Everyone;
    let mut action = bulk(BulkAction::Retry, of_job("mail"));
    action.dry_run = true;
    assert_eq!(all(&world, &everyone, &action, 3).await, counts(7, 0, 0));
    assert_eq!(world.messages(), 0, "a dry run changes nothing");

    action.dry_run = false;
    assert_eq!(all(&world, &everyone, &action, 3).await, counts(7, 7, 0));
    assert_eq!(world.messages(), 7);
    for task in &failed {
        assert_eq!(world.state(task).await, State::Pending);
    }
    for (task, state) in [
        (&cancelled, State::Cancelled),
        (&done, State::Completed),
        (&other, State::Failed),
    ] {
        assert_eq!(world.state(task).await, state);
    }
    assert_eq!(all(&world, &everyone, &action, 3).await, counts(0, 0, 0));

    let mut filter = of_job("mail");
    filter.state = Some(State::Cancelled);
    let action = bulk(BulkAction::Retry, filter);
    assert_eq!(all(&world, &everyone, &action, 3).await, counts(1, 1, 0));
}

#[tokio::test]
async fn a_task_that_fails_again_is_not_retried_a_second_time() {
    let world = World::new();
    let task = world.task("mail", None, State::Failed).await;
    let everyone = Viewer::Everyone;
    let action = bulk(BulkAction::Retry, of_job("mail"));
    assert_eq!(all(&world, &everyone, &action, 10).await, counts(1, 1, 0));
    next_millisecond().await;
    let again = world.store.get(&task.id).await.unwrap().unwrap();
    let mut run = new_task("mail", None);
    (run.id, run.run, run.submitted_at) = (task.id.clone(), again.run, again.created_at);
    world.fail(&run).await;
    assert_eq!(world.state(&task).await, State::Failed);
    // The search finds the task. Its end is later than the action's beginning.
    assert_eq!(all(&world, &everyone, &action, 10).await, counts(0, 0, 0));
    let submitter = world.submitter();
    let late = submitter.retry_ended(&everyone, &task.id, action.began);
    assert!(matches!(late.await.unwrap(), RetryOutcome::Overtaken));
    let later = bulk(BulkAction::Retry, of_job("mail"));
    assert_eq!(all(&world, &everyone, &later, 10).await, counts(1, 1, 0));
}

#[tokio::test]
async fn tasks_that_have_not_ended_are_cancelled() {
    let world = World::new();
    let mut tasks: Vec<(Task, State)> = Vec::new();
    for (before, after) in [
        (State::Scheduled, State::Cancelled),
        (State::Pending, State::Cancelled),
        (State::Running, State::Running),
        (State::Completed, State::Completed),
        (State::Failed, State::Failed),
    ] {
        for _ in 0..2 {
            tasks.push((world.task("mail", None, before).await, after));
        }
    }
    let everyone = Viewer::Everyone;
    let action = bulk(BulkAction::Cancel, of_job("mail"));
    next_millisecond().await;
    let late = world.task("mail", None, State::Pending).await;
    tasks.push((late, State::Pending));
    assert_eq!(all(&world, &everyone, &action, 2).await, counts(6, 6, 0));
    for (task, state) in &tasks {
        let found = world.store.get(&task.id).await.unwrap().unwrap();
        assert_eq!(found.state, *state);
        let is_asked = found.cancel_requested_at.is_some();
        assert_eq!(is_asked, *state == State::Running);
    }
    assert_eq!(all(&world, &everyone, &action, 2).await, counts(0, 0, 0));
}

#[tokio::test]
async fn a_task_that_has_begun_to_run_is_not_among_the_scheduled_ones() {
    let world = World::new();
    let task = world.task("mail", None, State::Scheduled).await;
    let client = world.bulk();
    let mut filter = of_job("mail");
    filter.state = Some(State::Scheduled);
    let action = bulk(BulkAction::Cancel, filter);
    world.claim(&task).await;
    let changed = client.change(&Viewer::Everyone, &action, task.id.clone());
    assert!(!changed.await);
    let found = world.store.get(&task.id).await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.cancel_requested_at),
        (State::Running, None)
    );
}

#[tokio::test]
async fn a_viewer_changes_only_own_tasks() {
    let world = World::new();
    let ada = world.task("mail", Some("ada"), State::Failed).await;
    let grace = world.task("mail", Some("grace"), State::Failed).await;
    let nobody = world.task("mail", None, State::Failed).await;
    let viewer = Viewer::Caller("ada".to_owned());
    let mut filter = of_job("mail");
    filter.caller = Some("grace".to_owned());
    let others = bulk(BulkAction::Retry, filter);
    assert_eq!(all(&world, &viewer, &others, 10).await, counts(0, 0, 0));
    let own = bulk(BulkAction::Retry, of_job("mail"));
    assert_eq!(all(&world, &viewer, &own, 10).await, counts(1, 1, 0));
    let states = [&ada, &grace, &nobody].map(|task| world.state(task));
    let [ada, grace, nobody] = states;
    let states = [ada.await, grace.await, nobody.await];
    assert_eq!(states, [State::Pending, State::Failed, State::Failed]);
}

#[tokio::test]
async fn an_error_of_one_task_does_not_stop_the_step() {
    let world = World::new();
    for _ in 0..3 {
        world.task("mail", None, State::Failed).await;
    }
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ValidationException",
        "message": "no",
    });
    world.faults.refuse("UpdateItem", refusal);
    let action = bulk(BulkAction::Retry, of_job("mail"));
    let everyone = Viewer::Everyone;
    assert_eq!(all(&world, &everyone, &action, 10).await, counts(3, 2, 1));
    assert_eq!(all(&world, &everyone, &action, 10).await, counts(1, 1, 0));
}

#[tokio::test]
async fn the_task_that_performs_the_action_is_left_alone() {
    let world = World::new();
    let own = world.task("mail", None, State::Running).await;
    world.task("mail", None, State::Running).await;
    let action = bulk(BulkAction::Cancel, of_job("mail"));
    let client = world.bulk();
    let step = client.step(&Viewer::Everyone, &action, 10, None, Some(&own.id));
    assert_eq!(step.await.unwrap().counts, counts(1, 1, 0));
    let found = world.store.get(&own.id).await.unwrap().unwrap();
    assert_eq!(found.cancel_requested_at, None);
}
