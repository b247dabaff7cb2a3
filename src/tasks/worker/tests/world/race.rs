//! Races, under every order in which the racers' calls can reach AWS.
//!
//! Racers advance step by step, one call to AWS at a time. An order chooses the next racer of each
//! step, and each race runs once for every order. At the end the invariants of the property test must
//! hold ([`World::check`]).

use super::*;

/// A participant of a race.
pub(super) enum Racer {
    /// A worker that receives these messages.
    Worker(Vec<Delivery>),
    Submitter(Submission),
    Canceller(TaskId),
    Revoker(TaskId),
    Retrier(TaskId),
    /// A step of the clock by so many milliseconds.
    Clock(u64),
}

/// The outcome of a racer.
enum Outcome {
    Worked(Batch),
    Submitted(Submitted),
    Cancelled(Box<CancelOutcome>),
    Nothing,
}

/// The choices of one order: for each step the chosen racer's index, and the number of racers that
/// waited.
#[derive(Default)]
struct Order(Vec<(usize, usize)>);

impl Order {
    /// The next order; `None` after the last order.
    fn next(mut self) -> Option<Order> {
        while let Some((chosen, of)) = self.0.pop() {
            if chosen + 1 < of {
                self.0.push((chosen + 1, of));
                return Some(self);
            }
        }
        None
    }
}

impl World {
    fn start(&mut self, racer: Racer, gate: &Gate) -> JoinHandle<Outcome> {
        match racer {
            Racer::Worker(records) => {
                let running = self.start_work(records, gate);
                spawn_local(async move { Outcome::Worked(running.await.unwrap()) })
            }
            Racer::Submitter(submission) => {
                // `accept` skips the look-up of an earlier submission, which would multiply the orders.
                let (submitter, task) = self.submission(&submission, gate);
                spawn_local(async move {
                    Outcome::Submitted((submission, submitter.accept(task).await))
                })
            }
            Racer::Canceller(id) => self.start_canceller(&id, false, gate),
            Racer::Revoker(id) => self.start_canceller(&id, true, gate),
            Racer::Retrier(id) => {
                let running = self.start_retry(&id, gate);
                spawn_local(async move {
                    running.await.unwrap();
                    Outcome::Nothing
                })
            }
            Racer::Clock(passes) => {
                let gate = gate.clone();
                spawn_local(async move {
                    gate.call(|| stopped::set(now_ms() + passes)).await;
                    Outcome::Nothing
                })
            }
        }
    }

    fn start_canceller(&mut self, id: &TaskId, revokes: bool, gate: &Gate) -> JoinHandle<Outcome> {
        let running = self.start_cancel(id, revokes, gate);
        spawn_local(async move { Outcome::Cancelled(running.await.unwrap().into()) })
    }

    fn finish(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Worked(batch) => self.queue.delivered(batch),
            Outcome::Submitted((submission, result)) => self.submitted(submission, result),
            Outcome::Cancelled(outcome) => self.note_cancel(&outcome),
            Outcome::Nothing => {}
        }
    }

    /// Runs one race in the given order. After the order's last choice, the first racer that waits is
    /// next.
    async fn race(&mut self, racers: Vec<Racer>, order: &mut Order) {
        let mut running = Vec::new();
        for racer in racers {
            let gate = Gate::stepping();
            running.push((self.start(racer, &gate), gate));
        }
        let mut waiting = Vec::new();
        for racer in running {
            self.until_waiting(racer, &mut waiting).await;
        }
        let mut step = 0;
        while !waiting.is_empty() {
            if step == order.0.len() {
                order.0.push((0, waiting.len()));
            }
            let (chosen, of) = order.0[step];
            assert_eq!(of, waiting.len(), "the race is not deterministic");
            let racer = waiting.remove(chosen);
            racer.1.open();
            self.until_waiting(racer, &mut waiting).await;
            step += 1;
        }
    }

    /// Runs a racer until its next call or its end.
    async fn until_waiting(
        &mut self,
        (mut running, gate): (JoinHandle<Outcome>, Gate),
        waiting: &mut Vec<(JoinHandle<Outcome>, Gate)>,
    ) {
        tokio::select! {
            outcome = &mut running => self.finish(outcome.unwrap()),
            () = gate.stopped() => waiting.push((running, gate)),
        }
    }
}

/// Runs a race in every order, and returns the number of orders.
pub(super) fn every_order(
    set_up: impl AsyncFn(&mut World) -> Vec<Racer>,
    check: impl AsyncFn(&World),
) -> usize {
    on_one_thread(async {
        let (mut order, mut count) = (Order::default(), 0);
        loop {
            let mut world = World::new();
            let racers = set_up(&mut world).await;
            world.race(racers, &mut order).await;
            world.drain(false).await;
            world.check().await;
            check(&world).await;
            count += 1;
            match order.next() {
                Some(next) => order = next,
                None => {
                    println!("{count} orders");
                    return count;
                }
            }
        }
    })
}

fn id() -> TaskId {
    TaskId::from(Uuid::from_u128(5_000))
}

fn submission(outcomes: &str) -> Submission {
    Submission {
        id: id(),
        key: None,
        script: Script {
            outcomes: outcomes.to_owned(),
            tag: 0,
        },
        options: Options::default(),
    }
}

/// Two workers with the same message, as SQS may deliver it.
fn twice(world: &World) -> [Racer; 2] {
    [(); 2].map(|()| Racer::Worker(world.queue.receive(0, 1, true)))
}

async fn state_of(world: &World) -> State {
    let store = world.store(&Gate::default());
    store.get(&id()).await.unwrap().unwrap().state
}

fn attempts(world: &World) -> usize {
    world.begun.lock().unwrap().len()
}

#[test]
fn two_workers_with_one_message_run_the_task_once() {
    let orders = every_order(
        async |world| {
            world.submit(submission("o"), Gate::default()).await;
            twice(world).into()
        },
        async |world| {
            assert_eq!(state_of(world).await, State::Completed);
            assert_eq!(attempts(world), 1);
        },
    );
    assert!(orders >= 20, "{orders}");
}

#[test]
#[ignore = "a long race: `cargo xtask faults` runs it"]
fn three_workers_with_one_message_run_the_task_once() {
    let orders = every_order(
        async |world| {
            world.submit(submission("o"), Gate::default()).await;
            let third = world.queue.receive(0, 1, true);
            let mut racers: Vec<Racer> = twice(world).into();
            racers.push(Racer::Worker(third));
            racers
        },
        async |world| {
            assert_eq!(state_of(world).await, State::Completed);
            assert_eq!(attempts(world), 1);
        },
    );
    assert!(orders >= 1_000, "{orders}");
}

#[test]
fn a_worker_that_loses_its_lease_at_any_call_does_not_end_the_task_twice() {
    for outcomes in ["oo", "to", "po"] {
        let orders = every_order(
            async |world| {
                world.submit(submission(outcomes), Gate::default()).await;
                let mut racers: Vec<Racer> = twice(world).into();
                racers.push(Racer::Clock(LEASE.as_millis() as u64 + 1));
                racers
            },
            async |world| assert!(state_of(world).await.is_final()),
        );
        assert!(orders >= 100, "{orders}");
    }
}

#[test]
fn an_accepted_cancellation_is_kept_and_a_late_cancellation_is_refused() {
    for outcomes in ["o", "t", "p"] {
        let orders = every_order(
            async |world| {
                world.submit(submission(outcomes), Gate::default()).await;
                let records = world.queue.receive(0, 1, true);
                vec![Racer::Worker(records), Racer::Canceller(id())]
            },
            async |world| {
                let cancelled = world.cancelled.contains_key(&id());
                let state = state_of(world).await;
                assert_eq!(state == State::Cancelled, cancelled, "{state}");
            },
        );
        assert!(orders >= 4, "{orders}");
    }
}

/// A race of so many workers with one message, a caller who cancels, and a clock that passes the end
/// of the leases.
fn cancel_among(workers: usize) -> usize {
    every_order(
        async |world| {
            world.submit(submission("oo"), Gate::default()).await;
            let mut racers: Vec<Racer> = twice(world).into_iter().take(workers).collect();
            racers.push(Racer::Canceller(id()));
            racers.push(Racer::Clock(LEASE.as_millis() as u64 + 1));
            racers
        },
        async |world| {
            let cancelled = world.cancelled.contains_key(&id());
            assert_eq!(state_of(world).await == State::Cancelled, cancelled);
        },
    )
}

#[test]
fn a_cancelled_worker_with_a_lost_lease_leaves_a_cancelled_task() {
    let orders = cancel_among(1);
    assert!(orders >= 20, "{orders}");
}

#[test]
#[ignore = "a long race: `cargo xtask faults` runs it"]
fn a_cancelled_worker_and_its_successor_leave_a_cancelled_task() {
    let orders = cancel_among(2);
    assert!(orders >= 500, "{orders}");
}

#[test]
fn a_submitter_and_a_faster_worker_make_one_record() {
    let orders = every_order(
        async |world| {
            // The first submitter dies after it sent the message and before it writes the record.
            let stopped = Gate::stopping(1, Side::Before);
            world.submit(submission("o"), stopped).await;
            world.resume(0, true).await;
            let records = world.queue.receive(0, 1, true);
            vec![Racer::Worker(records), Racer::Submitter(submission("o"))]
        },
        async |world| {
            assert_eq!(state_of(world).await, State::Completed);
            assert_eq!(attempts(world), 1);
        },
    );
    assert!(orders >= 10, "{orders}");
}

#[test]
fn submissions_that_share_a_key_make_one_task() {
    let of = |tag: u8, outcomes: &str| Submission {
        id: TaskId::from(Uuid::from_u128(0)),
        key: Some(0),
        script: Script {
            outcomes: outcomes.to_owned(),
            tag,
        },
        options: Options::default(),
    };
    // An input that is too long for the record is stored before the message is sent.
    let long = "o".repeat(2_000);
    for outcomes in ["o", &long] {
        let orders = every_order(
            async |_| {
                let submitters = [of(0, outcomes), of(1, outcomes), of(0, outcomes)];
                submitters.map(Racer::Submitter).into()
            },
            async |world| {
                let first = world.accepted[0].script.tag;
                assert!(world.accepted.iter().all(|task| task.script.tag == first));
                assert_eq!(attempts(world), 1);
            },
        );
        assert!(orders >= 20, "{orders}");
    }
}

#[test]
fn two_concurrent_restarts_of_a_task_make_one_run() {
    let orders = every_order(
        async |world| {
            world.submit(submission("p"), Gate::default()).await;
            world.deliver(0, 1, false, Gate::default()).await;
            assert_eq!(state_of(world).await, State::Failed);
            vec![Racer::Retrier(id()), Racer::Retrier(id())]
        },
        async |world| assert_eq!(attempts(world), 2),
    );
    assert!(orders >= 20, "{orders}");
}
