//! Random lives of a schedule: edits, pauses, jumps of the clock, ticks that are late, doubled, stopped at
//! any call, and go on later or never. The tasks must be those of the model.
//!
//! An actor that was stopped has taken effect or has not, and the test does not ask which: it follows both
//! models. At the end, the tasks must be those of one of them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::model::{Model, Rule};
use super::*;
use crate::dynamodb::testing::Side;

#[derive(Debug, Clone)]
enum Op {
    Create(Rule, Stop),
    Tick(Stop),
    Redefine(Rule, Stop),
    Pause(bool, Stop),
    Delete(Stop),
    /// Lets a stopped actor go on, or ends it.
    Resume {
        which: usize,
        dies: bool,
    },
    Pass(u64),
}

/// The number of the call at which an actor is stopped, if any, and whether it is stopped after the call.
type Stop = Option<(u32, bool)>;

/// What an actor does to the model, with the actor's own time.
#[derive(Debug, Clone)]
struct Effect {
    op: Op,
    now: u64,
}

struct Stopped {
    gate: Gate,
    running: JoinHandle<()>,
    effect: Effect,
}

struct Life {
    world: World,
    models: BTreeSet<Model>,
    stopped: Vec<Stopped>,
}

impl Effect {
    fn apply(&self, model: &mut Model) {
        let now = self.now;
        match &self.op {
            Op::Create(rule, _) if model.is_deleted() => model.create(rule.clone(), now),
            Op::Redefine(rule, _) => model.redefine(rule.clone(), now),
            Op::Pause(true, _) => model.pause(now),
            Op::Pause(false, _) => model.resume(now),
            Op::Delete(_) => model.delete(),
            _ => {}
        }
    }

    /// Whether what is due is handed out after the effect.
    fn ticks(&self) -> bool {
        !matches!(self.op, Op::Delete(_) | Op::Create(..))
    }
}

impl Life {
    async fn new(rule: Rule) -> Life {
        let world = World::new();
        let mut model = Model::new(rule.clone(), START);
        world.create("s", rule.definition()).await;
        model.tick(START);
        Life {
            world,
            models: BTreeSet::from([model]),
            stopped: Vec::new(),
        }
    }

    /// Starts the actor of an operation behind a gate.
    fn start(&self, op: &Op, gate: &Gate) -> JoinHandle<()> {
        let schedules = self.world.schedules(gate);
        let (op, now) = (op.clone(), now_ms());
        if let Op::Tick(_) = op {
            let ticking = self.world.start_tick(gate);
            return spawn_local(async move {
                ticking.await.unwrap().unwrap();
            });
        }
        spawn_local(async move {
            let change = match &op {
                Op::Create(rule, _) => {
                    let schedule = Schedule::new("s".to_owned(), None, rule.definition(), now);
                    match schedules.create(schedule.unwrap(), now).await {
                        Ok(_) | Err(ScheduleError::Taken) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
                Op::Delete(_) => {
                    return match schedules.delete(&Viewer::Everyone, "s", None, now).await {
                        Ok(()) | Err(ScheduleError::Unknown) => {}
                        Err(error) => panic!("{error}"),
                    };
                }
                Op::Redefine(rule, _) => Change {
                    definition: Some(rule.definition()),
                    paused: None,
                },
                Op::Pause(paused, _) => Change {
                    definition: None,
                    paused: Some(*paused),
                },
                Op::Tick(_) | Op::Resume { .. } | Op::Pass(_) => unreachable!(),
            };
            let edit = |_: &Schedule| Ok::<_, ScheduleError>(change.clone());
            match schedules
                .change(&Viewer::Everyone, "s", None, now, edit)
                .await
            {
                Ok(_) | Err(ScheduleError::Unknown) => {}
                Err(error) => panic!("{error}"),
            }
        })
    }

    async fn step(&mut self, op: Op) {
        let stop = match &op {
            Op::Pass(time) => return pass(*time),
            Op::Resume { which, dies } => return self.resume(*which, *dies).await,
            Op::Create(_, stop) | Op::Tick(stop) | Op::Redefine(_, stop) => *stop,
            Op::Pause(_, stop) | Op::Delete(stop) => *stop,
        };
        let side = |after| if after { Side::After } else { Side::Before };
        let gate = stop.map_or(Gate::default(), |(call, after)| {
            Gate::stopping(call, side(after))
        });
        let mut running = self.start(&op, &gate);
        let effect = Effect { op, now: now_ms() };
        tokio::select! {
            done = &mut running => {
                done.unwrap();
                self.happened(&effect, true);
            }
            () = gate.stopped() => {
                self.happened(&effect, false);
                self.stopped.push(Stopped { gate, running, effect });
            }
        }
    }

    /// Notes an effect that has happened for certain, or may have happened in part.
    fn happened(&mut self, effect: &Effect, certain: bool) {
        let mut models = BTreeSet::new();
        for before in &self.models {
            let mut edited = before.clone();
            effect.apply(&mut edited);
            let mut ticked = edited.clone();
            if effect.ticks() || before.is_deleted() {
                ticked.tick(effect.now);
            }
            if !certain {
                models.extend([before.clone(), edited]);
            }
            models.insert(ticked);
        }
        self.models = models;
    }

    async fn resume(&mut self, which: usize, dies: bool) {
        if self.stopped.is_empty() {
            return;
        }
        let stopped = self.stopped.remove(which % self.stopped.len());
        if dies {
            stopped.running.abort();
            let _ = stopped.running.await;
            return;
        }
        stopped.gate.open();
        stopped.running.await.unwrap();
        self.happened(&stopped.effect, false);
    }

    /// Ends all actors, ticks, and compares.
    async fn check(mut self, dies: bool) {
        while !self.stopped.is_empty() {
            self.resume(0, dies).await;
        }
        pass(SECOND);
        self.step(Op::Tick(None)).await;
        let tasks = self.world.tasks_of("s").await;
        let times: Vec<u64> = tasks.iter().map(|task| task.options.eta.unwrap()).collect();
        let mut allowed = BTreeSet::new();
        for model in self.models {
            let mut fired = model.fired;
            fired.sort_unstable();
            allowed.insert(fired);
        }
        let in_seconds =
            |times: &Vec<u64>| -> Vec<i64> { times.iter().copied().map(seconds).collect() };
        assert!(
            allowed.contains(&times),
            "{:?} is none of {:?}",
            in_seconds(&times),
            allowed.iter().map(in_seconds).collect::<Vec<_>>()
        );
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let intervals = prop::sample::select(vec![1u64, 7, 20, 60, 90, 600]);
    let minutes = prop::sample::select(vec![1u64, 2, 5, 30]);
    let end = prop::option::weighted(0.2, 0..1_000u64);
    let max_runs = prop::option::weighted(0.2, 1..40u64);
    (intervals, minutes, any::<bool>(), end, max_runs, 0..3u8).prop_map(
        |(interval, minutes, by_crontab, end, max_runs, missed)| Rule {
            every: if by_crontab { minutes } else { interval },
            by_crontab,
            end,
            max_runs,
            missed,
        },
    )
}

fn stop() -> impl Strategy<Value = Stop> {
    prop::option::weighted(0.3, (0u32..20, any::<bool>()))
}

fn op() -> impl Strategy<Value = Op> {
    // Ticks come each minute, and late, and too often; the clock also stands still.
    let time = prop_oneof![
        5 => Just(MINUTE),
        2 => 0..20 * SECOND,
        1 => 0..10 * MINUTE,
    ];
    prop_oneof![
        6 => stop().prop_map(Op::Tick),
        6 => time.prop_map(Op::Pass),
        2 => (rule(), stop()).prop_map(|(rule, stop)| Op::Redefine(rule, stop)),
        2 => (any::<bool>(), stop()).prop_map(|(paused, stop)| Op::Pause(paused, stop)),
        1 => stop().prop_map(Op::Delete),
        1 => (rule(), stop()).prop_map(|(rule, stop)| Op::Create(rule, stop)),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, dies)| Op::Resume { which, dies }),
    ]
}

proptest! {
    #![proptest_config(testing::cases(25))]

    #[test]
    fn no_time_is_lost_or_doubled(
        rule in rule(),
        ops in prop::collection::vec(op(), 1..25),
        dies in any::<bool>(),
    ) {
        on_one_thread(async {
            let mut life = Life::new(rule).await;
            for op in ops {
                life.step(op).await;
            }
            life.check(dies).await;
        });
    }
}
