//! Random sequences of all operations on a task's record, in any order and with leases of any age,
//! against a reference model that predicts each outcome.

mod reference;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::clock::stopped;
use crate::tasks::state::{Event, next};
use crate::tasks::task::{Next, Origin};
use reference::{Model, Outcome};

const START: u64 = 1_900_000_000_000;
/// How long a record is kept, in milliseconds. Some sequences last longer.
const RETENTION: u64 = 3_600_000;

/// An operation. A lease is named by its distance from the last lease; recent leases are chosen more
/// often, and any lease may be over.
#[derive(Debug, Clone)]
enum Op {
    Submit,
    Claim { earlier_run: bool },
    Extend(usize),
    Complete(usize, Given),
    Move(usize, Given),
    Fail(usize, Option<u64>, Given),
    Wait(usize, u64),
    Continue { generations: u32 },
    HandBack(usize),
    Stop(usize),
    Cancel,
    Revoke,
    FinishEffects { earlier_run: bool },
    Expire { earlier_run: bool },
    Reject { earlier_run: bool },
    Restart { again: bool },
    Pass(u64),
}

/// What the end of an attempt gives beside its outcome.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// The length of the calls of the end.
    calls: Option<usize>,
    is_rejected: bool,
    /// Whether the attempt does not count.
    is_asked: bool,
    /// The length of what the next attempt gets.
    next: Option<usize>,
}

impl Given {
    const NOTHING: Given = Given {
        calls: None,
        is_rejected: false,
        is_asked: false,
        next: None,
    };
}

fn given() -> impl Strategy<Value = Given> {
    // Some are too large for the record.
    let length =
        |most: usize| prop::option::weighted(0.4, prop_oneof![1 => 2usize..20, 1 => 2..most]);
    (length(40_000), any::<bool>(), any::<bool>(), length(3_000)).prop_map(
        |(calls, is_rejected, is_asked, next)| Given {
            calls,
            is_rejected,
            is_asked,
            next,
        },
    )
}

/// A JSON text of this length that does not compress well.
fn json_of(length: usize) -> Box<RawValue> {
    let random = || fastrand::alphanumeric();
    let text: String = std::iter::repeat_with(random)
        .take(length.saturating_sub(2))
        .collect();
    RawValue::from_string(format!("\"{text}\"")).unwrap()
}

fn op() -> impl Strategy<Value = Op> {
    let lease = prop_oneof![3 => Just(0usize), 1 => 0usize..4];
    let earlier = prop::bool::weighted(0.2);
    prop_oneof![
        1 => Just(Op::Submit),
        6 => earlier.prop_map(|earlier_run| Op::Claim { earlier_run }),
        1 => lease.clone().prop_map(Op::Extend),
        2 => (lease.clone(), given()).prop_map(|(lease, given)| Op::Complete(lease, given)),
        2 => (lease.clone(), given()).prop_map(|(lease, given)| Op::Move(lease, given)),
        3 => (lease.clone(), prop::option::weighted(0.7, 0u64..40_000), given())
            .prop_map(|(lease, delay, given)| Op::Fail(lease, delay, given)),
        1 => (lease.clone(), 0u64..40_000).prop_map(|(lease, delay)| Op::Wait(lease, delay)),
        3 => (0u32..3).prop_map(|generations| Op::Continue { generations }),
        1 => lease.clone().prop_map(Op::HandBack),
        2 => lease.prop_map(Op::Stop),
        1 => Just(Op::Cancel),
        1 => Just(Op::Revoke),
        4 => earlier.prop_map(|earlier_run| Op::FinishEffects { earlier_run }),
        1 => earlier.prop_map(|earlier_run| Op::Expire { earlier_run }),
        1 => earlier.prop_map(|earlier_run| Op::Reject { earlier_run }),
        3 => prop::bool::weighted(0.2).prop_map(|again| Op::Restart { again }),
        4 => prop_oneof![8 => 1u64..90_000, 1 => Just(RETENTION + 1_000)].prop_map(Op::Pass),
    ]
}

struct Fixture {
    store: TaskStore,
    task: Task,
    model: Model,
    leases: Vec<Lease>,
}

impl Fixture {
    fn new(has_effects: bool) -> Fixture {
        stopped::set(START);
        let mut task = task();
        let effects = has_effects.then(|| vec!["result".to_owned()]);
        task.origin =
            effects.map(|effects| Origin::new("test", effects, RawValue::NULL.to_owned()));
        let (client, retention) = (testing::client(), Duration::from_millis(RETENTION));
        Fixture {
            store: TaskStore::new(client, testing::TASKS.to_owned(), retention),
            task,
            model: Model {
                now: START,
                has_effects,
                ..Model::default()
            },
            leases: Vec::new(),
        }
    }

    /// A message of the task's present run, or of the run before.
    fn message(&self, earlier: bool) -> Task {
        let mut message = self.task.clone();
        let run = self.model.visible().map_or(1, |record| record.run);
        message.run = if earlier {
            run.saturating_sub(1).max(1)
        } else {
            run
        };
        let record = self.model.visible();
        message.generation = record.map_or(0, |record| record.generation);
        message
    }

    /// The lease that was given `back` leases before the last lease.
    fn lease(&self, back: usize) -> Option<(usize, Lease)> {
        let at = self.leases.len().checked_sub(back + 1)?;
        Some((at, self.leases[at].clone()))
    }

    async fn step(&mut self, op: &Op) -> TestCaseResult {
        match op {
            Op::Pass(time) => {
                self.model.now += time;
                stopped::set(self.model.now);
            }
            Op::Submit => self.submit().await?,
            Op::Claim { earlier_run } => self.claim(*earlier_run).await?,
            Op::Cancel => self.cancel().await?,
            Op::Revoke => self.revoke().await?,
            Op::FinishEffects { earlier_run } => self.finish_effects(*earlier_run).await?,
            Op::Expire { earlier_run } => self.expire(*earlier_run).await?,
            Op::Reject { earlier_run } => self.reject(*earlier_run).await?,
            Op::Restart { again } => self.restart(*again).await?,
            Op::Continue { generations } => self.go_on(*generations).await?,
            under_lease => self.under_lease(under_lease).await?,
        }
        self.compare().await
    }

    async fn submit(&mut self) -> TestCaseResult {
        let submitted = self.store.submitted(&self.task).await.unwrap();
        prop_assert_eq!(submitted, Submitted::Recorded);
        if self.model.visible().is_none() {
            self.model.record = None;
            self.model.go(Event::Submit);
        }
        Ok(())
    }

    async fn claim(&mut self, earlier: bool) -> TestCaseResult {
        let message = self.message(earlier);
        let claim = self.store.claim(&message, LEASE, WORKER).await.unwrap();
        let seen = match claim {
            ClaimOutcome::Claimed(lease) => {
                let (attempt, counted) = (lease.attempt, lease.counted);
                let task = self.store.for_attempt(&message, &lease).await.unwrap();
                let next = task.map(|task| task.input().unwrap().get().to_owned());
                let record = self.model.record.as_ref();
                prop_assert_eq!(next, record.and_then(|record| record.next.clone()));
                self.leases.push(lease);
                Outcome::Claimed { attempt, counted }
            }
            ClaimOutcome::Held { ends_in } => Outcome::Held(millis(ends_in)),
            ClaimOutcome::Ended => Outcome::Ended,
            ClaimOutcome::EffectsLeft(left) => {
                let (end, _) = self.store.read_end(&message, *left).await.unwrap();
                Outcome::EffectsLeft(end.state)
            }
        };
        prop_assert_eq!(seen, self.model.claim(message.run));
        Ok(())
    }

    async fn cancel(&mut self) -> TestCaseResult {
        let seen = self
            .store
            .cancel(&Viewer::Everyone, &self.task.id)
            .await
            .unwrap();
        let state = self.model.visible().map(|record| record.state);
        let expected = match state {
            None => Cancelled::Unknown,
            Some(State::Running) => Cancelled::Requested,
            Some(state) if state.is_final() => Cancelled::Ended(state),
            Some(_) => Cancelled::Now,
        };
        match expected {
            Cancelled::Now => drop(self.model.go(Event::Cancel)),
            Cancelled::Requested => {
                self.model.go(Event::RequestCancel).cancel_requested = true;
            }
            _ => {}
        }
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    async fn revoke(&mut self) -> TestCaseResult {
        let seen = self.store.revoke(&self.task.id, true).await.unwrap();
        let visible = self.model.visible().is_some();
        let expected = match self.model.state() {
            Some(_) if !visible => Cancelled::Unknown,
            Some(State::Running) => Cancelled::Requested,
            Some(state) if state.is_final() => Cancelled::Ended(state),
            _ => Cancelled::Now,
        };
        match expected {
            Cancelled::Now => drop(self.model.go(Event::Revoke)),
            Cancelled::Requested => {
                self.model.go(Event::RequestCancel).cancel_requested = true;
            }
            _ => {}
        }
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    /// As a worker does after it has performed the effects of an ended run.
    async fn finish_effects(&mut self, earlier: bool) -> TestCaseResult {
        let message = self.message(earlier);
        let left = self.store.unfinished(&message).await.unwrap();
        prop_assert_eq!(left.is_some(), self.model.has_effects_left(message.run));
        let Some(left) = left else {
            return Ok(());
        };
        let (end, _) = self.store.read_end(&message, left).await.unwrap();
        let record = self.model.record.as_ref().unwrap();
        prop_assert_eq!(
            (end.state, end.run, end.attempt),
            (record.state, record.run, record.attempts)
        );
        let calls = end.calls.as_ref().map(|calls| calls.get().to_owned());
        prop_assert_eq!(&calls, &record.calls);
        prop_assert_eq!(end.is_rejected, record.is_dead);
        let has_result = end.result.is_some();
        prop_assert_eq!(has_result, end.state == State::Completed);
        self.store.finish_effects(&message, &end).await.unwrap();
        self.model.finish_effects(message.run);
        Ok(())
    }

    async fn expire(&mut self, earlier: bool) -> TestCaseResult {
        let message = self.message(earlier);
        let seen = self.store.expire(&message).await.unwrap();
        let expected = match &self.model.record {
            None => true,
            Some(record) => {
                record.run == message.run && next(Some(record.state), Event::Expire).is_ok()
            }
        };
        if expected {
            self.model.go(Event::Expire).run = message.run;
        }
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    async fn reject(&mut self, earlier: bool) -> TestCaseResult {
        let message = self.message(earlier);
        let reason = TaskError::new("Rejected", "the message cannot be processed");
        let seen = match self.store.reject(&message, &reason).await.unwrap() {
            Rejected::Written | Rejected::Repeated => Outcome::Done,
            Rejected::Ended => Outcome::Ended,
            Rejected::Held { ends_in } => Outcome::Held(millis(ends_in)),
        };
        let state = self.model.state();
        let expected = match self.model.obstacle(message.run) {
            // A second rejection meets the first rejection.
            Some(Outcome::Ended) if self.model.is_rejected() => Outcome::Done,
            // A rejection does not wait for the end of a backoff.
            None | Some(Outcome::Held(_)) if state != Some(State::Running) => {
                self.model.reject(message.run)
            }
            None => self.model.reject(message.run),
            Some(outcome) => outcome,
        };
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    async fn restart(&mut self, again: bool) -> TestCaseResult {
        let Some(record) = self.model.visible().cloned() else {
            return Ok(());
        };
        let mut message = self.message(false);
        message.run = if again { record.run } else { record.run + 1 };
        let seen = self.store.restart(&message).await.unwrap();
        let blocks = self.model.has_effects && record.is_described;
        let blocks = blocks || record.calls.is_some() || record.is_dead;
        let is_done = record.effects_done == Some(record.run);
        let allowed =
            !again && next(Some(record.state), Event::Restart).is_ok() && (is_done || !blocks);
        if allowed {
            self.model.restart(message.run);
        }
        let expected = if allowed || again {
            Restarted::Written
        } else {
            Restarted::Refused
        };
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    async fn under_lease(&mut self, op: &Op) -> TestCaseResult {
        let (Op::Extend(back)
        | Op::Complete(back, _)
        | Op::Move(back, _)
        | Op::HandBack(back)
        | Op::Stop(back)
        | Op::Wait(back, _)
        | Op::Fail(back, ..)) = op
        else {
            return Ok(());
        };
        let Some((at, lease)) = self.lease(*back) else {
            return Ok(());
        };
        // An attempt ends once, though the write of its end may be repeated: another end would overwrite the
        // chunks of the first.
        let has_ended = self.model.has_ended(at);
        let once = |given: Given| if has_ended { Given::NOTHING } else { given };
        let (store, model) = (&self.store, &mut self.model);
        let (seen, expected) = match op {
            Op::Extend(_) => {
                let seen = store.extend(&lease, LEASE, None).await;
                (seen.unwrap(), model.extend(at))
            }
            Op::Complete(_, given) => self.end(at, &lease, Event::Complete, once(*given)).await,
            Op::Move(_, given) => self.end(at, &lease, Event::Move, once(*given)).await,
            Op::Wait(_, delay) => self.wait(at, &lease, *delay).await,
            Op::HandBack(_) => self.hand_back(at, &lease).await,
            Op::Stop(_) if model.is_cancel_requested() => {
                let seen = store.stop(&lease).await;
                (seen.unwrap(), model.fenced(at, Event::Stop))
            }
            Op::Fail(_, delay, given) => self.fail(at, &lease, *delay, once(*given)).await,
            // A worker stops only a cancelled task.
            _ => return Ok(()),
        };
        prop_assert_eq!(seen, expected);
        Ok(())
    }

    /// Hands the task back. The result holds the outcome and the model's prediction.
    async fn hand_back(&mut self, at: usize, lease: &Lease) -> (Fenced, Fenced) {
        let before = self.model.state();
        let seen = self.store.hand_back(lease).await;
        let expected = self.model.fenced(at, Event::HandBack);
        if let Some(record) = &mut self.model.record
            && before == Some(State::Running)
            && record.state == State::Pending
        {
            record.continued += 1;
        }
        (seen.unwrap(), expected)
    }

    /// Fails the attempt. The result holds the outcome and the model's prediction.
    async fn fail(
        &mut self,
        at: usize,
        lease: &Lease,
        delay: Option<u64>,
        given: Given,
    ) -> (Fenced, Fenced) {
        let error = error();
        let calls = given.calls.map(json_of);
        let next = given.next.map(|length| Next {
            input: Some(json_of(length)),
            origin: None,
        });
        let failure = TaskFailure {
            is_counted: !given.is_asked,
            is_rejected: given.is_rejected,
            calls: calls.as_deref(),
            next: next.as_ref(),
            ..TaskFailure::new(&error, delay.map(Duration::from_millis))
        };
        let before = self.model.state();
        let seen = self.store.fail(lease, failure).await;
        let event = delay.map_or(Event::Fail, |_| Event::Retry);
        let expected = self.model.fenced(at, event);
        let now = self.model.now;
        if let Some(record) = &mut self.model.record
            && before == Some(State::Running)
            && record.state != State::Running
            && expected == Fenced::Written
        {
            match delay {
                Some(delay) => {
                    record.next_at = Some(now + delay);
                    record.continued += u32::from(given.is_asked);
                    let next = next.and_then(|next| next.input);
                    record.next = next
                        .map(|json| json.get().to_owned())
                        .or(record.next.take());
                }
                None => {
                    record.calls = calls.map(|json| json.get().to_owned());
                    record.is_dead = given.is_rejected;
                }
            }
        }
        (seen.unwrap(), expected)
    }

    /// Ends the run without an error. The result holds the outcome and the model's prediction.
    async fn end(
        &mut self,
        at: usize,
        lease: &Lease,
        event: Event,
        given: Given,
    ) -> (Fenced, Fenced) {
        let calls = given.calls.map(json_of);
        let before = self.model.state();
        let seen = match event {
            Event::Move => self.store.move_on(lease, calls.as_deref()).await,
            _ => self.store.complete_with(lease, "1", calls.as_deref()).await,
        };
        let expected = self.model.fenced(at, event);
        if let Some(record) = &mut self.model.record
            && before == Some(State::Running)
            && record.state.is_final()
        {
            record.calls = calls.map(|json| json.get().to_owned());
        }
        (seen.unwrap(), expected)
    }

    /// Waits as if the attempt had not begun. The result holds the outcome and the model's prediction.
    async fn wait(&mut self, at: usize, lease: &Lease, delay: u64) -> (Fenced, Fenced) {
        let before = self.model.state();
        let seen = self
            .store
            .wait(lease, &error(), Duration::from_millis(delay))
            .await;
        let expected = self.model.fenced(at, Event::Retry);
        let now = self.model.now;
        if let Some(record) = &mut self.model.record
            && before == Some(State::Running)
            && record.state == State::Retrying
        {
            record.next_at = Some(now + delay);
            record.attempts -= 1;
        }
        (seen.unwrap(), expected)
    }

    /// The message in which the task goes on, this many generations later.
    async fn go_on(&mut self, generations: u32) -> TestCaseResult {
        let mut message = self.message(false);
        message.run = 1;
        message.generation += generations;
        let seen = self.store.place(&mut message).await.unwrap();
        let Some(record) = self.model.visible().cloned() else {
            prop_assert_eq!((seen, message.run), (Place::Now, 1));
            return Ok(());
        };
        let has_effects = self.model.has_effects_left(record.run) && record.is_described;
        let has_effects = has_effects || self.model.has_calls_left();
        let expected = match record.state {
            _ if generations == 0 => Place::Now,
            State::Moved if has_effects => Place::Early,
            State::Moved => {
                self.model.go_on(message.generation);
                Place::Now
            }
            state if state.is_final() => Place::Past,
            _ => Place::Early,
        };
        prop_assert_eq!(seen, expected);
        if seen == Place::Now {
            let record = self.model.record.as_ref().unwrap();
            prop_assert_eq!(message.run, record.run);
            // A late message of an earlier generation changes nothing.
            message.generation = record.generation.saturating_sub(1);
            let is_late = message.generation < record.generation;
            let place = self.store.place(&mut message).await.unwrap();
            prop_assert_eq!(place, if is_late { Place::Past } else { Place::Now });
        }
        Ok(())
    }

    /// Compares the record with the model.
    async fn compare(&self) -> TestCaseResult {
        let seen = self.store.get(&self.task.id).await.unwrap();
        let expected = self.model.visible();
        prop_assert_eq!(seen.is_some(), expected.is_some());
        let (Some(seen), Some(expected)) = (seen, expected) else {
            return Ok(());
        };
        prop_assert_eq!(
            (seen.state, seen.run, seen.attempts.len()),
            (expected.state, expected.run, expected.attempts as usize)
        );
        prop_assert_eq!(seen.next_at, expected.next_at);
        prop_assert_eq!(
            seen.cancel_requested_at.is_some(),
            expected.cancel_requested
        );
        prop_assert_eq!(seen.finished_at.is_some(), expected.state.is_final());
        let has_effects = self.model.has_effects && expected.is_described;
        prop_assert_eq!(!seen.effects.is_empty(), has_effects);
        let is_done = expected.state.is_final() && expected.effects_done == Some(expected.run);
        prop_assert_eq!(seen.are_effects_done, is_done);
        prop_assert_eq!(seen.attempt, expected.attempts);
        let result = seen.result.is_some();
        prop_assert_eq!(result, expected.state == State::Completed);
        if expected.state == State::Running {
            prop_assert_eq!(seen.lease_until, expected.lease_until);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(testing::cases(60))]

    #[test]
    fn a_record_follows_the_reference_model(
        ops in prop::collection::vec(op(), 1..40),
        has_effects in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut fixture = Fixture::new(has_effects);
            for op in &ops {
                fixture.step(op).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
