//! Whole workflows, with crashes, duplicates and reordered messages.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::flow::{Expected, Flow, flow};
use super::world::{World, on_one_thread};
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{Gate, Side, cases};
use crate::tasks::state::State;

#[derive(Debug, Clone)]
enum Op {
    Deliver {
        from: usize,
        count: usize,
        twice: bool,
        stop: Option<(u32, bool)>,
    },
    Resume {
        who: usize,
        dies: bool,
    },
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let stop = prop::option::weighted(0.7, (0u32..20, any::<bool>()));
    prop_oneof![
        6 => (0usize..8, 1usize..4, prop::bool::weighted(0.2), stop)
            .prop_map(|(from, count, twice, stop)| Op::Deliver { from, count, twice, stop }),
        3 => (0usize..8, prop::bool::weighted(0.5))
            .prop_map(|(who, dies)| Op::Resume { who, dies }),
        4 => (1u64..130_000).prop_map(Op::Pass),
    ]
}

impl World {
    async fn step(&mut self, op: Op) {
        match op {
            Op::Deliver {
                from,
                count,
                twice,
                stop,
            } => {
                let gate = stop.map_or_else(Gate::default, |(call, after)| {
                    Gate::stopping(call, if after { Side::After } else { Side::Before })
                });
                self.deliver(from, count, twice, gate).await;
            }
            Op::Resume { who, dies } => self.resume(who, dies).await,
            Op::Pass(time) => stopped::set(now_ms() + time),
        }
    }

    /// The number of writes that ended a task, other than by moving it on.
    fn ends_of(&self, name: &str) -> usize {
        let states = self.faults.states(name);
        let states = states.iter().filter_map(|name| State::from_name(name));
        states
            .filter(|state| state.is_final() && *state != State::Moved)
            .count()
    }

    /// Checks that everything of a workflow has happened, once.
    async fn check(&self, flow: &Flow) {
        let mut all = BTreeMap::new();
        flow.run("f", &Value::Null, &mut all);
        for (name, expected) in &all {
            let found = self.result(name).await;
            let status = found.as_ref().map(|found| found.status.as_str());
            let ends = self.ends_of(name);
            match expected {
                Expected::Success(value) => {
                    assert_eq!(status, Some("SUCCESS"), "{name}: {found:?}");
                    let result = found.as_ref().unwrap().result.to_string();
                    assert_eq!(result, value.to_string(), "{name}");
                    assert_eq!(ends, 1, "{name}");
                }
                Expected::Failure => {
                    assert_eq!(status, Some("FAILURE"), "{name}: {found:?}");
                    let exception = found.unwrap().exception().unwrap();
                    assert_eq!(exception.exc_type, "ValueError", "{name}");
                    assert_eq!(ends, 1, "{name}");
                }
                Expected::NeverRan => {
                    assert_eq!(status, Some("FAILURE"), "{name}: {found:?}");
                    assert_eq!(ends, 0, "{name}");
                }
                Expected::Nothing => {
                    // A header's last task may be told, too, that it never runs.
                    assert_ne!(status, Some("SUCCESS"), "{name}");
                    assert_eq!(ends, 0, "{name}");
                }
            }
        }
        assert_eq!(self.queue.dead_letters(), Vec::new());
    }
}

fn run(flow: &Flow, ops: Vec<Op>, dies: bool) {
    on_one_thread(async {
        let mut world = World::new();
        world.submit(flow.signature("f", false)).await;
        for op in ops {
            world.step(op).await;
        }
        world.drain(dies).await;
        world.check(flow).await;
    });
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn a_workflow_without_faults_gives_its_values(flow in flow()) {
        run(&flow, Vec::new(), false);
    }

    #[test]
    fn a_workflow_happens_once_whoever_dies(
        flow in flow(),
        ops in prop::collection::vec(op(), 1..40),
        dies in any::<bool>(),
    ) {
        run(&flow, ops, dies);
    }
}
