//! The invariants of the world, under random sequences of operations.

use proptest::prelude::*;

use super::foreign::Published;
use super::*;

#[derive(Debug, Clone)]
enum Op {
    Submit {
        key: Option<u8>,
        script: Script,
        options: Plan,
        stop: Stop,
    },
    Deliver {
        from: usize,
        count: usize,
        twice: bool,
        stop: Stop,
    },
    Resume {
        who: usize,
        dies: bool,
    },
    Publish {
        script: Script,
        options: Plan,
        is_large: bool,
        twice: bool,
    },
    Cancel {
        which: usize,
        revokes: bool,
        stop: Stop,
    },
    Retry(usize, Stop),
    Pass(u64),
}

/// The number of the call at which an actor is stopped, if any, and whether it is stopped after the
/// call.
type Stop = Option<(u32, bool)>;

/// A submission's options, in milliseconds from the submission.
#[derive(Debug, Clone)]
struct Plan {
    eta: Option<u64>,
    expires: Option<u64>,
    max_retries: Option<u32>,
}

fn stop(often: f64) -> impl Strategy<Value = Stop> {
    prop::option::weighted(often, (0u32..9, any::<bool>()))
}

fn plan() -> impl Strategy<Value = Plan> {
    let some = |most: u64| prop::option::weighted(0.2, 1..most);
    (
        some(50_000),
        some(120_000),
        prop::option::weighted(0.6, 0u32..4),
    )
        .prop_map(|(eta, expires, max_retries)| Plan {
            eta,
            // The service refuses an expiry before the eta.
            expires: expires.map(|time| time + eta.unwrap_or(0)),
            max_retries,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let script = ("[ottp]{0,3}", 0u8..2).prop_map(|(outcomes, tag)| Script { outcomes, tag });
    let key = prop::option::weighted(0.4, 0u8..2);
    prop_oneof![
        3 => (key, script, plan(), stop(0.3)).prop_map(|(key, script, options, stop)| {
            Op::Submit { key, script, options, stop }
        }),
        6 => (0usize..8, 1usize..3, prop::bool::weighted(0.2), stop(0.5))
            .prop_map(|(from, count, twice, stop)| Op::Deliver { from, count, twice, stop }),
        3 => (0usize..8, prop::bool::weighted(0.4))
            .prop_map(|(who, dies)| Op::Resume { who, dies }),
        3 => ("[ottp]{0,3}|x|[ottpaawmmcd]{1,5}", 0u8..2, plan(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(outcomes, tag, options, is_large, twice)| {
                let script = Script { outcomes, tag };
                Op::Publish { script, options, is_large, twice }
            }),
        2 => (0usize..8, any::<bool>(), stop(0.4))
            .prop_map(|(which, revokes, stop)| Op::Cancel { which, revokes, stop }),
        1 => ((0usize..8), stop(0.3)).prop_map(|(id, stop)| Op::Retry(id, stop)),
        4 => (1u64..130_000).prop_map(Op::Pass),
    ]
}

fn gate(stop: &Stop) -> Gate {
    stop.map_or_else(Gate::default, |(call, after)| {
        Gate::stopping(call, if after { Side::After } else { Side::Before })
    })
}

/// A submission. A fingerprint covers the whole submission, so submissions with the same key and tag
/// must be equal.
fn submission_of(
    id: &TaskId,
    key: Option<u8>,
    mut script: Script,
    mut options: Options,
) -> Submission {
    if key.is_some() {
        script.outcomes = ["to", "p"][usize::from(script.tag)].to_owned();
        options = Options::default();
    }
    Submission {
        id: id.clone(),
        key,
        script,
        options,
    }
}

impl World {
    async fn step(&mut self, number: usize, op: Op) {
        match op {
            Op::Submit {
                key,
                script,
                options,
                stop,
            } => {
                let own = 1_000 + number as u128;
                let id = TaskId::from(Uuid::from_u128(key.map_or(own, u128::from)));
                let options = options.at(now_ms());
                let submission = submission_of(&id, key, script, options);
                self.submit(submission, gate(&stop)).await;
            }
            Op::Deliver {
                from,
                count,
                twice,
                stop,
            } => self.deliver(from, count, twice, gate(&stop)).await,
            Op::Resume { who, dies } => self.resume(who, dies).await,
            Op::Publish {
                script,
                options,
                is_large,
                twice,
            } => {
                let published = Published {
                    id: TaskId::parse(&format!("test/{number}")).unwrap(),
                    script,
                    options: options.at(now_ms()),
                    is_large,
                    generation: 0,
                };
                (0..1 + usize::from(twice)).for_each(|_| self.publish(&published));
            }
            Op::Cancel {
                which,
                revokes,
                stop,
            } => {
                if let Some(id) = self.choose(which) {
                    let is_own = id.as_str() != id.uuid().to_string();
                    self.cancel(&id, revokes && is_own, gate(&stop)).await;
                }
            }
            Op::Retry(which, stop) => {
                if let Some(id) = self.choose(which) {
                    self.retry(&id, gate(&stop)).await;
                }
            }
            Op::Pass(time) => stopped::set(now_ms() + time),
        }
    }

    fn choose(&self, which: usize) -> Option<TaskId> {
        let at = which.checked_rem(self.ids.len())?;
        Some(self.ids[at].clone())
    }

    /// Checks the invariants at the end.
    pub(super) async fn check(&self) {
        for submission in &self.accepted {
            let record = self.record(&submission.id).await;
            assert!(record.is_some(), "lost: {submission:?}");
        }
        for id in &self.ids {
            let Some(record) = self.record(id).await else {
                // Its submitter died before it sent the message.
                assert!(self.begun(id).is_empty(), "it ran and left no record");
                continue;
            };
            assert!(record.state.is_final(), "it never ended: {record:?}");
            let ends = ends(&self.faults, id);
            assert_eq!(ends, record.run, "one end for each run: {record:?}");
            self.check_attempts(&record);
            self.check_state(&record);
            self.check_effects(&record);
        }
        self.check_keys();
    }

    /// The numbers never exceed the ends of the records, and miss at most the ends of actors that were stopped.
    async fn check_numbers(&self) {
        let counted = self.store(&Gate::default()).counts().all().await.sum();
        let ids: HashSet<&TaskId> = self.ids.iter().collect();
        let written = ids.iter().flat_map(|id| self.faults.states(id.as_str()));
        let written: Vec<State> = written.filter_map(|name| State::from_name(&name)).collect();
        let mut missing = 0;
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            let ends = written.iter().filter(|one| **one == state).count() as u64;
            let counted = counted.ended(state);
            assert!(counted <= ends, "{counted} of {ends} counted as {state}");
            missing += ends - counted;
        }
        assert!(
            missing <= self.uncounted,
            "{missing} of {} missing",
            self.uncounted
        );
    }

    /// Each attempt of a run begins at most once, and their number stays within the retry limit.
    fn check_attempts(&self, record: &crate::tasks::record::TaskRecord) {
        let begun = self.begun(&record.id);
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for (attempt, _) in &begun {
            *counts.entry(*attempt).or_default() += 1;
        }
        // An attempt that its body asked for does not count.
        let asked = |(_, script): &(u32, Script)| script.outcomes.matches('a').count();
        let asked = begun.iter().map(asked).max().unwrap_or(0);
        let allowed = record.options.max_retries.unwrap_or(3) + 1;
        let allowed = allowed + u32::try_from(asked).unwrap();
        for (attempt, count) in counts {
            assert!(attempt <= allowed, "attempt {attempt} of {allowed}");
            assert!(count <= record.run, "attempt {attempt} ran {count} times");
        }
    }

    fn check_state(&self, record: &crate::tasks::record::TaskRecord) {
        let begun = self.begun(&record.id);
        let kind = record.error.as_ref().map(|error| error.kind.as_str());
        match record.state {
            State::Completed => {
                let result: Value =
                    serde_json::from_str(record.result.as_ref().unwrap().get()).unwrap();
                let attempt = result["attempt"].as_u64().unwrap();
                let of = |(n, script): &&(u32, Script)| {
                    u64::from(*n) == attempt && result["tag"] == script.tag
                };
                assert!(begun.iter().any(|begun| of(&begun)), "{result}");
                assert_eq!(record.attempts.len() as u64, attempt, "the last attempt");
            }
            State::Failed => match kind {
                Some("Permanent" | "Transient") => assert!(!begun.is_empty()),
                Some("WorkerLost" | "UnknownJob") => {}
                Some("Rejected") => {
                    let letters = self.queue.dead_letters();
                    let is_of_task = |(body, reason): &(String, String)| {
                        body.contains(record.id.as_str()) && reason == "refused"
                    };
                    assert!(letters.iter().any(is_of_task), "{letters:?}");
                }
                other => panic!("failed for {other:?}"),
            },
            State::Expired => assert!(record.options.expires.is_some()),
            State::Cancelled => assert!(self.cancelling.contains(&record.id)),
            state => panic!("{state} is not final"),
        }
        if self.cancelled.get(&record.id) == Some(&record.run) {
            assert_eq!(
                record.state,
                State::Cancelled,
                "its cancellation was accepted"
            );
        }
    }

    /// Of the submissions that share a key, only one submission is accepted and runs. Its repetitions
    /// are accepted too.
    fn check_keys(&self) {
        for key in 0..2u8 {
            let id = TaskId::from(Uuid::from_u128(key.into()));
            let accepted = self.accepted.iter().filter(|task| task.id == id);
            let mut tags: Vec<u8> = accepted.map(|task| task.script.tag).collect();
            tags.extend(self.begun(&id).iter().map(|(_, script)| script.tag));
            tags.dedup();
            assert!(tags.len() <= 1, "two tasks of one key: {tags:?}");
        }
    }

    async fn record(&self, id: &TaskId) -> Option<crate::tasks::record::TaskRecord> {
        self.store(&Gate::default()).get(id).await.unwrap()
    }

    fn begun(&self, id: &TaskId) -> Vec<(u32, Script)> {
        let begun = self.begun.lock().unwrap();
        let of_task = begun.iter().filter(|(task, ..)| *task == *id);
        of_task
            .map(|(_, attempt, script)| (*attempt, script.clone()))
            .collect()
    }
}

impl Plan {
    fn at(&self, now: u64) -> Options {
        Options {
            eta: self.eta.map(|time| now + time),
            expires: self.expires.map(|time| now + time),
            max_retries: self.max_retries,
            ..Options::default()
        }
    }
}

fn run(ops: Vec<Op>, dies: bool) {
    on_one_thread(async {
        let mut world = World::new();
        for (number, op) in ops.into_iter().enumerate() {
            world.step(number, op).await;
        }
        world.drain(dies).await;
        world.check().await;
        world.check_numbers().await;
    });
}

proptest! {
    #![proptest_config(testing::cases(40))]

    #[test]
    fn no_task_is_lost_or_ends_twice(
        ops in prop::collection::vec(op(), 1..30),
        dies in any::<bool>(),
    ) {
        run(ops, dies);
    }
}
