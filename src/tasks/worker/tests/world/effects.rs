//! Races about what the ends of tasks set off.

use super::foreign::Published;
use super::race::{Racer, every_order};
use super::*;

fn id() -> TaskId {
    TaskId::parse("test/1").unwrap()
}

fn published(outcomes: &str) -> Published {
    Published {
        id: id(),
        script: Script {
            outcomes: outcomes.to_owned(),
            tag: 0,
        },
        options: Options::default(),
        is_large: false,
        generation: 0,
    }
}

async fn state_of(world: &World) -> State {
    let store = world.store(&Gate::default());
    store.get(&id()).await.unwrap().unwrap().state
}

/// A race of two workers with the same message, and others.
fn race(outcomes: &str, workers: usize, others: impl Fn() -> Vec<Racer>) -> usize {
    every_order(
        async |world| {
            world.publish(&published(outcomes));
            let mut racers = others();
            for _ in 0..workers {
                racers.push(Racer::Worker(world.queue.receive(0, 1, true)));
            }
            racers
        },
        async |world| {
            assert!(state_of(world).await.is_final());
            assert!(world.performed(&id()) >= 1);
        },
    )
}

#[test]
fn two_workers_perform_the_effects_of_one_end() {
    let orders = race("x", 2, Vec::new);
    assert!(orders >= 20, "{orders}");
}

#[test]
#[ignore = "a long race: `cargo xtask faults` runs it"]
fn two_workers_run_a_task_once_and_perform_its_effects() {
    for outcomes in ["o", "p"] {
        let orders = race(outcomes, 2, Vec::new);
        assert!(orders >= 500, "{orders}");
    }
}

#[test]
fn a_cancellation_and_an_end_have_the_effects_of_the_end_that_was_written() {
    for racer in [Racer::Canceller, Racer::Revoker] {
        for outcomes in ["o", "t"] {
            let orders = race(outcomes, 1, || vec![racer(id())]);
            assert!(orders >= 4, "{orders}");
        }
    }
}

#[test]
#[ignore = "a long race: `cargo xtask faults` runs it"]
fn a_worker_that_loses_its_lease_performs_no_effects_of_another_end() {
    let clock = || vec![Racer::Clock(LEASE.as_millis() as u64 + 1)];
    let orders = race("o", 2, clock);
    assert!(orders >= 500, "{orders}");
}

#[test]
fn a_task_that_was_revoked_before_its_message_came_has_effects_and_never_runs() {
    on_one_thread(async {
        let mut world = World::new();
        world.cancel(&id(), true, Gate::default()).await;
        assert_eq!(state_of(&world).await, State::Cancelled);
        world.publish(&published("o"));
        world.drain(false).await;
        world.check().await;
        assert_eq!(world.performed(&id()), 1);
        assert!(world.begun.lock().unwrap().is_empty());
    });
}

#[test]
fn a_cancelled_task_is_sent_again_for_its_effects() {
    on_one_thread(async {
        let mut world = World::new();
        world.publish(&published("t"));
        world.deliver(0, 1, false, Gate::default()).await;
        assert_eq!(state_of(&world).await, State::Retrying);
        world.cancel(&id(), false, Gate::default()).await;
        // The message that was sent again is visible at once, and the first message after its backoff.
        assert_eq!(world.queue.next_visible(), Some(now_ms()));
        world.deliver(0, 1, false, Gate::default()).await;
        assert_eq!(world.performed(&id()), 1);
        world.drain(false).await;
        world.check().await;
        assert_eq!(world.performed(&id()), 1);
    });
}

#[test]
fn a_restart_waits_for_the_effects_of_the_ended_run() {
    on_one_thread(async {
        let mut world = World::new();
        let mut published = published("p");
        published.script.tag = 1;
        world.publish(&published);
        // The first try of the effects fails.
        world.deliver(0, 1, false, Gate::default()).await;
        let retry = || world.submitter(&Gate::default());
        let refused = retry().retry(&Viewer::Everyone, &id()).await.unwrap();
        assert!(matches!(refused, RetryOutcome::EffectsLeft), "{refused:?}");
        world.drain(false).await;
        let accepted = world.submitter(&Gate::default());
        let accepted = accepted.retry(&Viewer::Everyone, &id()).await.unwrap();
        assert!(
            matches!(accepted, RetryOutcome::Accepted(_)),
            "{accepted:?}"
        );
        world.drain(false).await;
        world.check().await;
    });
}
