//! Numbers in the table.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{self, Faults, Gate, Rows, Side, TASKS};

const MINUTE: u64 = 60_000;
const START: u64 = 1_900_000_000_000 / MINUTE * MINUTE;

fn store(faults: &Faults) -> CountStore {
    CountStore::new(testing::faulty(faults), TASKS.to_owned())
}

/// One run of a job that completed after `ms`.
fn completed(job: &str, ms: u64) -> Counts {
    let mut counts = Counts::default();
    counts.of(job).entered(State::Completed);
    counts.of(job).run.record(ms);
    counts
}

fn sum(counts: impl IntoIterator<Item = Counts>) -> Counts {
    counts.into_iter().fold(Counts::default(), |mut sum, one| {
        sum.merge(&one);
        sum
    })
}

fn runs(counts: &Counts, job: &str) -> u64 {
    let counts = counts.jobs.get(job);
    counts.map_or(0, |counts| counts.ended(State::Completed))
}

async fn present(store: &CountStore) -> Counts {
    let minute = minute_of(now_ms());
    let minutes = store.minutes(minute, minute + 1, true).await.unwrap();
    sum(minutes.into_values())
}

#[tokio::test]
async fn numbers_add_up_over_writers() {
    stopped::set(START);
    let faults = Faults::default();
    let store = store(&faults);
    let mut first = completed("a", 5);
    first.of("a").entered(State::Retrying);
    first.of("a").wait.record(40);
    for state in State::ALL {
        first.of("größe/ü").entered(state);
    }
    let all = [first, completed("a", 70), completed("b", 1_000_000)];
    let expected = sum(all.clone());
    for counts in all {
        store.add(counts).await.unwrap();
    }
    assert_eq!(faults.calls("UpdateItem"), 3);
    assert_eq!(present(&store).await, expected);
    let a = &expected.jobs["a"];
    assert_eq!((a.ended(State::Completed), a.retries), (2, 1));
    assert_eq!(a.ended(State::Running), 0);
    assert_eq!(expected.sum().ended(State::Failed), 1);
}

#[tokio::test]
async fn nothing_is_written_for_nothing() {
    let faults = Faults::default();
    store(&faults).add(Counts::default()).await.unwrap();
    assert_eq!(faults.calls("UpdateItem"), 0);
}

#[tokio::test]
async fn a_lost_answer_does_not_count_twice() {
    stopped::set(START);
    let faults = Faults::default();
    let store = store(&faults);
    faults.lose_answer("UpdateItem");
    assert!(store.add(completed("a", 1)).await.is_err());
    assert_eq!(faults.calls("UpdateItem"), 1);
    assert_eq!(runs(&present(&store).await, "a"), 1);
}

#[tokio::test]
async fn a_throttled_write_is_tried_again() {
    stopped::set(START);
    let faults = Faults::default();
    let store = store(&faults);
    let name = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
    faults.refuse("UpdateItem", json!({"__type": name, "message": "too fast"}));
    store.add(completed("a", 1)).await.unwrap();
    assert_eq!(faults.calls("UpdateItem"), 2);
    assert_eq!(runs(&present(&store).await, "a"), 1);
}

#[tokio::test]
async fn a_row_has_a_bounded_number_of_jobs() {
    stopped::set(START);
    let faults = Faults::default();
    let store = store(&faults);
    // As many jobs for each shard as three rows take, in batches of ten.
    let count = 3 * MAX_JOBS * 4;
    for batch in 0..count / 10 {
        let jobs = (0..10).map(|at| completed(&format!("job-{batch}-{at}"), 1));
        store.add(sum(jobs)).await.unwrap();
    }
    let minute = minute_of(START);
    for (_, counts) in store.minutes(minute, minute + 1, true).await.unwrap() {
        assert_eq!(counts.sum().ended(State::Completed), count as u64);
        assert!(runs(&counts, OTHER_JOBS) > 0);
    }
    let rows = store.rows().await;
    assert!(!rows.is_empty());
    for row in &rows {
        assert!(row::jobs(row).len() <= MAX_JOBS, "{}", row::jobs(row).len());
    }
    // A job that the row has is still counted by its name.
    let before = present(&store).await;
    let known = row::jobs(&rows[0])
        .into_iter()
        .find(|job| job != OTHER_JOBS)
        .unwrap();
    for _ in 0..40 {
        store.add(completed(&known, 1)).await.unwrap();
    }
    assert!(runs(&present(&store).await, &known) > runs(&before, &known));
}

#[test]
fn a_full_row_is_below_the_limit_of_dynamodb() {
    let mut counts = Counts::default();
    for number in 0..MAX_JOBS {
        let job = format!("{number:0255}");
        for state in State::ALL {
            counts.of(&job).entered(state);
        }
        for bound in BOUNDS.into_iter().chain([u64::MAX / 1_000]) {
            counts.of(&job).wait.record(bound);
            counts.of(&job).run.record(bound);
        }
    }
    // As DynamoDB counts: a number takes a byte for two digits, and a byte; here for counts up to 10^9.
    let fields = row::fields(&counts);
    let size: usize = fields.iter().map(|(name, _)| name.len() + 6).sum();
    let names: usize = counts.jobs.keys().map(String::len).sum();
    assert!(size + names < 400_000, "{size} and {names}");
}

#[tokio::test]
async fn a_window_is_read_by_its_minutes() {
    let faults = Faults::default();
    let store = store(&faults);
    // Over the end of an hour.
    let first = minute_of(START) / 60 * 60 + 58;
    for minute in first..first + 4 {
        stopped::set(minute * MINUTE);
        for _ in 0..8 {
            store.add(completed("a", minute)).await.unwrap();
        }
    }
    let queries = faults.calls("Query");
    let minutes = store.minutes(first + 1, first + 3, false).await.unwrap();
    assert_eq!(
        minutes.keys().copied().collect::<Vec<_>>(),
        [first + 1, first + 2]
    );
    assert!(minutes.values().all(|counts| runs(counts, "a") == 8));
    assert_eq!(
        faults.calls("Query") - queries,
        8,
        "one for each shard and hour"
    );
    assert!(store.minutes(first, first, false).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_with_the_id_of_a_partition_is_no_row_of_numbers() {
    stopped::set(START);
    let store = store(&Faults::default());
    let hour = minute_of(START) / 60;
    for shard in 0..4 {
        let put = store.client().put_item().table_name(TASKS);
        let put = put.item("id", AttributeValue::S(format!("counts#{hour}#{shard}")));
        put.item("part", AttributeValue::N("0".to_owned()))
            .send()
            .await
            .unwrap();
    }
    store.add(completed("a", 1)).await.unwrap();
    assert_eq!(runs(&present(&store).await, "a"), 1);
}

#[tokio::test]
async fn totals_have_each_number_once() {
    let faults = Faults::default();
    let store = store(&faults);
    for minute in 0..90 {
        stopped::set(START + minute * MINUTE);
        store.add(completed("a", minute)).await.unwrap();
        if minute % 3 == 0 {
            store.fold().await.unwrap();
        }
        assert_eq!(
            runs(&store.totals().await.unwrap(), "a"),
            minute + 1,
            "minute {minute}"
        );
    }
    stopped::set(START + 100 * MINUTE);
    store.fold().await.unwrap();
    let before = (faults.calls("Query"), faults.calls("GetItem"));
    assert_eq!(runs(&store.totals().await.unwrap(), "a"), 90);
    assert!(faults.calls("Query") - before.0 <= 8 && faults.calls("GetItem") - before.1 == 1);
}

#[tokio::test]
async fn totals_after_an_outage_of_the_ticker_are_made_up_for_and_never_fall() {
    stopped::set(START);
    let store = store(&Faults::default());
    store.add(completed("a", 1)).await.unwrap();
    stopped::set(START + 3 * MINUTE);
    store.fold().await.unwrap();
    for minute in 4..300 {
        stopped::set(START + minute * MINUTE);
        store.add(completed("a", 1)).await.unwrap();
    }
    let mut before = runs(&store.totals().await.unwrap(), "a");
    assert!(before > 50, "{before}");
    for _ in 0..6 {
        store.fold().await.unwrap();
        let now = runs(&store.totals().await.unwrap(), "a");
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    assert_eq!(before, 297);
}

#[tokio::test]
async fn an_idle_service_writes_its_totals_rarely() {
    stopped::set(START);
    let faults = Faults::default();
    let store = store(&faults);
    store.add(completed("a", 1)).await.unwrap();
    for minute in 0..70 {
        stopped::set(START + minute * MINUTE);
        store.fold().await.unwrap();
    }
    let writes = faults.calls("PutItem");
    assert!((2..=8).contains(&writes), "{writes}");
    assert_eq!(runs(&store.totals().await.unwrap(), "a"), 1);
}

#[test]
fn a_fold_that_dies_or_runs_twice_adds_each_minute_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for call in 0..6 {
        for side in [Side::Before, Side::After] {
            let world = tokio::task::LocalSet::new();
            world.block_on(&runtime, async {
                stopped::set(START);
                let rows = Rows::new(&Faults::default());
                let store = |gate: &Gate| CountStore::new(rows.client(gate), TASKS.to_owned());
                let free = store(&Gate::default());
                for minute in 0..5 {
                    stopped::set(START + minute * MINUTE);
                    free.add(completed("a", 1)).await.unwrap();
                }
                let gate = Gate::stopping(call, side);
                let stopping = store(&gate);
                let mut running = tokio::task::spawn_local(async move { stopping.fold().await });
                let is_stopped = tokio::select! {
                    () = gate.stopped() => true,
                    done = &mut running => { done.unwrap().unwrap(); false }
                };
                stopped::set(START + 6 * MINUTE);
                join_all([free.fold(), free.fold()]).await;
                if is_stopped {
                    gate.open();
                    running.await.unwrap().unwrap();
                }
                assert_eq!(
                    runs(&free.totals().await.unwrap(), "a"),
                    5,
                    "{call} {side:?}"
                );
                stopped::set(START + 20 * MINUTE);
                free.fold().await.unwrap();
                assert_eq!(
                    runs(&free.totals().await.unwrap(), "a"),
                    5,
                    "{call} {side:?}"
                );
            });
        }
    }
}
