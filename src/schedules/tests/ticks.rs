//! The ticker: crashes at each call, two tickers, many schedules, and failures.

use std::collections::HashSet;

use uuid::Uuid;

use super::*;
use crate::dynamodb::testing::Side;

/// The ids of the tasks in the queue's messages: each message once.
fn sent(world: &World) -> Vec<String> {
    let all = world.queue.receive(0, 100_000, true);
    let task = |body: &str| -> serde_json::Value { serde_json::from_str(body).unwrap() };
    let ids = all
        .iter()
        .map(|delivery| task(&delivery.body)["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn each_time_is_one_task_at_its_time() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(10)).await;
        for _ in 0..5 {
            pass(MINUTE);
            let ticked = world.tick().await;
            assert_eq!((ticked.handed.lag, ticked.handed.failed), (0, 0));
        }
        let expected: Vec<i64> = (1..=37).map(|time| time * 10).collect();
        assert_eq!(world.seconds_of("s").await, expected);
        assert_eq!(sent(&world).len(), 37);
        let schedule = world.get("s").await;
        assert_eq!(
            (schedule.count, schedule.next.map(seconds)),
            (37, Some(380))
        );
        assert!(schedule.claimed.is_empty());
        let last = schedule.last.map(|at| schedule.task_id(at)).unwrap();
        assert_eq!(world.tasks_of("s").await.last().unwrap().id, last);
    });
}

/// Whatever call the ticker dies at, and on whichever side, the next ticks hand out each time once.
#[test]
fn a_ticker_that_dies_at_any_call_loses_and_doubles_nothing() {
    on_one_thread(async {
        for side in [Side::Before, Side::After] {
            let mut call = 0;
            loop {
                let world = World::new();
                let mut of_twenty = every(20);
                of_twenty.missed = Missed::None;
                world.create("s", of_twenty).await;
                pass(MINUTE);
                let gate = Gate::stopping(call, side);
                let mut running = world.start_tick(&gate);
                let was_killed = tokio::select! {
                    done = &mut running => done.unwrap().is_err(),
                    () = gate.stopped() => {
                        running.abort();
                        running.await.is_err()
                    }
                };
                pass(MINUTE);
                world.tick().await;
                let expected: Vec<i64> = (1..=9).map(|time| time * 20).collect();
                assert_eq!(
                    world.seconds_of("s").await,
                    expected,
                    "call {call} {side:?}"
                );
                let ids: HashSet<String> = sent(&world).into_iter().collect();
                assert_eq!(ids.len(), 9, "call {call} {side:?}");
                let schedule = world.get("s").await;
                assert_eq!(schedule.count, 9);
                assert!(schedule.claimed.is_empty());
                if !was_killed {
                    break;
                }
                call += 1;
            }
            // Eight queries, a batch of rows, a claim, a batch of messages, three records, a write.
            assert!(call >= 14, "{call}");
        }
    });
}

#[test]
fn two_tickers_at_once_hand_out_each_time_once() {
    on_one_thread(async {
        let world = World::new();
        let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
        for name in &names {
            world.create(name, every(30)).await;
        }
        pass(MINUTE);
        let gates = [Gate::stepping(), Gate::stepping()];
        let mut running = gates.each_ref().map(|gate| world.start_tick(gate));
        let mut turn = 0usize;
        while running.iter().any(|tick| !tick.is_finished()) {
            gates[turn % 2].open();
            turn += 1;
            tokio::task::yield_now().await;
        }
        for tick in &mut running {
            tick.await.unwrap().unwrap();
        }
        for name in &names {
            assert_eq!(world.seconds_of(name).await, [30, 60, 90, 120]);
            let schedule = world.get(name).await;
            assert_eq!((schedule.count, schedule.claimed.len()), (4, 0));
        }
        let ids: HashSet<String> = sent(&world).into_iter().collect();
        assert_eq!(ids.len(), 40);
    });
}

#[test]
fn a_partial_tick_goes_on_with_the_next() {
    on_one_thread(async {
        let world = World::new();
        // All in one partition of the index, and more than a page.
        let count = 150u32;
        for number in 0..count {
            let name = format!("s{number}");
            let mut schedule = Schedule::new(name, None, every(600), START).unwrap();
            schedule.uid = Uuid::from_u128(number.into());
            let schedules = world.schedules(&Gate::default());
            schedules.create(schedule, START).await.unwrap();
        }
        pass(9 * MINUTE);
        let ticker = world.ticker(&Gate::default());
        // A deadline in the past: one page of each partition, what is due first at the front.
        let first = ticker.tick(0).await.unwrap();
        assert!(first.is_partial && first.handed.times == 100);
        let second = world.tick().await;
        assert!(!second.is_partial);
        assert_eq!(second.handed.times, 50);
        assert_eq!(sent(&world).len(), 150);
    });
}

#[test]
fn a_late_tick_says_how_late() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(60)).await;
        pass(2 * MINUTE + 5 * SECOND);
        let ticked = world.tick().await;
        assert_eq!(ticked.handed.times, 2);
        assert_eq!(ticked.handed.lag, 5 * SECOND);
        pass(SECOND);
        assert_eq!(world.tick().await, Ticked::default());
    });
}

#[test]
fn a_schedule_that_cannot_be_handed_out_holds_up_no_other() {
    on_one_thread(async {
        let world = World::new();
        let mut unknown = every(60);
        unknown.work = celery::work(serde_json::json!({"queue": "unknown"}));
        // The queue was known when the schedule was created.
        let mut schedule = Schedule::new("a".to_owned(), None, unknown, START).unwrap();
        let store = world.hand_out(&Gate::default()).schedules;
        store.create(&mut schedule).await.unwrap();
        world.create("b", every(60)).await;
        pass(MINUTE);
        let ticked = world.tick().await;
        assert_eq!((ticked.handed.times, ticked.handed.failed), (1, 1));
        assert_eq!(world.seconds_of("b").await, [60, 120]);
        // The claimed times stay until the queue is known.
        assert_eq!(world.get("a").await.claimed.len(), 2);
    });
}

#[test]
fn a_lost_answer_changes_nothing() {
    on_one_thread(async {
        for operation in ["PutItem", "BatchGetItem", "Query"] {
            let world = World::new();
            world.create("s", every(60)).await;
            pass(MINUTE);
            world.faults.lose_answer(operation);
            world.tick().await;
            assert_eq!(world.seconds_of("s").await, [60, 120], "{operation}");
            assert_eq!(world.get("s").await.count, 2, "{operation}");
        }
    });
}

#[test]
fn a_table_that_does_not_answer_fails_the_tick() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(60)).await;
        pass(MINUTE);
        world.faults.fail("Query");
        let ticker = world.ticker(&Gate::default());
        assert!(ticker.tick(NO_DEADLINE).await.is_err());
        world.faults.mend();
        world.tick().await;
        assert_eq!(world.seconds_of("s").await, [60, 120]);
    });
}

/// What a time costs: two writes of the schedule, the record of the task, and a share of the reads.
#[test]
fn a_time_costs_three_writes_and_shares_of_reads() {
    on_one_thread(async {
        let world = World::new();
        for number in 0..100 {
            world.create(&format!("s{number}"), every(600)).await;
        }
        pass(9 * MINUTE);
        let calls = |operation: &str| world.faults.calls(operation);
        let before = ["PutItem", "Query", "BatchGetItem", "GetItem"].map(calls);
        assert_eq!(world.tick().await.handed.times, 100);
        let after = ["PutItem", "Query", "BatchGetItem", "GetItem"].map(calls);
        let made: Vec<usize> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        // Beside the times and the eight partitions of schedules: the first totals of the numbers of tasks, and one
        // hour of the numbers, in four partitions.
        assert_eq!(made[..2], [300 + 1, 8 + 4]);
        // A read for each partition with schedules; all eight have some. And the totals of the numbers.
        assert_eq!(made[2..], [8, 1]);
    });
}
