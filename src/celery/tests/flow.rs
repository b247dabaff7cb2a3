//! Random workflows, and what must come of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::world::result_of;
use crate::json::{Json, Object};

/// A workflow. Each task gets a name of its own, by its place.
#[derive(Debug, Clone)]
pub enum Flow {
    Task(Task),
    Chain(Vec<Flow>),
    /// At least two members; none is a group.
    Group(Vec<Flow>),
    Chord(Vec<Flow>, Box<Flow>),
}

/// A task of a workflow.
#[derive(Debug, Clone)]
pub struct Task {
    pub outcomes: &'static str,
    pub has_link: bool,
    pub has_errback: bool,
    /// Whether the task, its callback and its error callback have a remote body.
    pub is_remote: bool,
}

/// What must be found for a task's id at the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// The task ran and has this result.
    Success(Value),
    /// The task ran and failed.
    Failure,
    /// The task never ran, and has failed: clients wait for it.
    NeverRan,
    /// The task never ran, and nobody waits for it.
    Nothing,
}

fn task() -> impl Strategy<Value = Flow> {
    let outcomes = prop_oneof![8 => Just(""), 2 => Just("t"), 1 => Just("p"), 1 => Just("tp")];
    let of_remote = prop_oneof![
        6 => Just(""), 2 => Just("t"), 1 => Just("p"), 1 => Just("tp"),
        1 => Just("m"), 1 => Just("mp"), 1 => Just("tmt"), 1 => Just("c")
    ];
    let outcomes = prop_oneof![
        outcomes.prop_map(|outcomes| (outcomes, false)),
        of_remote.prop_map(|outcomes| (outcomes, true)),
    ];
    (
        outcomes,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
    )
        .prop_map(|((outcomes, is_remote), has_link, has_errback)| {
            Flow::Task(Task {
                outcomes,
                has_link,
                has_errback,
                is_remote,
            })
        })
}

/// A workflow with one result: no group at its end.
fn single() -> impl Strategy<Value = Flow> {
    task().prop_recursive(3, 16, 3, |inner| {
        let body = || prop_oneof![3 => task(), 1 => prop::collection::vec(task(), 2..4).prop_map(Flow::Chain)];
        let group = prop::collection::vec(inner.clone(), 2..4).prop_map(Flow::Group);
        let chord = (prop::collection::vec(inner.clone(), 1..4), body())
            .prop_map(|(header, body)| Flow::Chord(header, Box::new(body)));
        // A group that a task follows becomes a chord.
        let step = prop_oneof![3 => inner, 1 => group];
        let chain = (prop::collection::vec(step, 1..4), task()).prop_map(|(mut steps, last)| {
            steps.push(last);
            Flow::chain(steps)
        });
        prop_oneof![1 => chain, 1 => chord]
    })
}

/// Any workflow.
pub fn flow() -> impl Strategy<Value = Flow> {
    let group = || prop::collection::vec(single(), 2..4).prop_map(Flow::Group);
    let ends_in_group =
        (prop::collection::vec(single(), 1..3), group()).prop_map(|(mut steps, last)| {
            steps.push(last);
            Flow::Chain(steps)
        });
    let of_groups = || {
        let parts = (prop::collection::vec(single(), 1..3), group());
        parts.prop_map(|(header, body)| Flow::Chord(header, Box::new(body)))
    };
    let nested = (prop::collection::vec(of_groups(), 1..3), task())
        .prop_map(|(header, body)| Flow::Chord(header, Box::new(body)));
    prop_oneof![4 => single(), 1 => group(), 1 => ends_in_group, 1 => of_groups(), 1 => nested]
}

impl Flow {
    /// A chain of steps, with the steps of the chains in it.
    fn chain(steps: Vec<Flow>) -> Flow {
        let steps = steps.into_iter().flat_map(|step| match step {
            Flow::Chain(steps) => steps,
            step => vec![step],
        });
        Flow::Chain(steps.collect())
    }

    /// The signature, in which each task has the id of its name. `has_before` says whether a value comes from
    /// the step before.
    pub fn signature(&self, name: &str, has_before: bool) -> Json {
        let all = |flows: &[Flow], has_before: bool| -> Vec<Json> {
            let numbered = flows.iter().enumerate();
            numbered
                .map(|(at, flow)| flow.signature(&format!("{name}.{at}"), has_before))
                .collect()
        };
        match self {
            Flow::Task(task) => task.signature(name, has_before),
            Flow::Chain(steps) => {
                let steps = steps.iter().enumerate();
                let steps = steps.map(|(at, step)| {
                    step.signature(&format!("{name}.{at}"), has_before || at > 0)
                });
                composite("chain", [("tasks", steps.collect::<Vec<Json>>().into())])
            }
            Flow::Group(members) => {
                composite("group", [("tasks", all(members, has_before).into())])
            }
            Flow::Chord(header, body) => composite(
                "chord",
                [
                    ("kwargs", Object::new().into()),
                    (
                        "header",
                        composite("group", [("tasks", all(header, has_before).into())]),
                    ),
                    ("body", body.signature(&format!("{name}.b"), true)),
                ],
            ),
        }
    }

    /// Notes what must come of every task, and gives the workflow's value; `None` if it failed.
    pub fn run(
        &self,
        name: &str,
        before: &Value,
        all: &mut BTreeMap<String, Expected>,
    ) -> Option<Value> {
        match self {
            Flow::Task(task) => task.run(name, before, all),
            Flow::Chain(steps) => {
                let (mut value, mut is_body) = (Some(before.clone()), false);
                for (at, step) in steps.iter().enumerate() {
                    let name = format!("{name}.{at}");
                    match &value {
                        Some(before) => {
                            value = match step {
                                Flow::Chord(header, body) => {
                                    run_chord((header, body), true, &name, before, all)
                                }
                                step => step.run(&name, before, all),
                            };
                            is_body = matches!(step, Flow::Group(_));
                            continue;
                        }
                        // A group that a step follows is the header of a chord.
                        None => {
                            let is_header = matches!(step, Flow::Group(_)) && at + 1 < steps.len();
                            step.skip(&name, is_body, is_header, all);
                        }
                    }
                    is_body = false;
                }
                value
            }
            Flow::Group(members) => {
                let numbered = members.iter().enumerate();
                let values: Vec<Option<Value>> = numbered
                    .map(|(at, member)| member.run(&format!("{name}.{at}"), before, all))
                    .collect();
                values
                    .into_iter()
                    .collect::<Option<Vec<Value>>>()
                    .map(Value::from)
            }
            Flow::Chord(header, body) => run_chord((header, body), false, name, before, all),
        }
    }

    /// Notes the tasks of a workflow that never runs. `is_body` says whether it is a chord's body, whose error
    /// callbacks run; `is_header` whether it is a chord's header.
    fn skip(
        &self,
        name: &str,
        is_body: bool,
        is_header: bool,
        all: &mut BTreeMap<String, Expected>,
    ) {
        match self {
            Flow::Task(task) => {
                let expected = if is_header {
                    Expected::Nothing
                } else {
                    Expected::NeverRan
                };
                all.insert(name.to_owned(), expected);
                task.skip_links(name, is_body, all);
            }
            Flow::Chain(steps) => {
                for (at, step) in steps.iter().enumerate() {
                    let is_header =
                        is_header || (matches!(step, Flow::Group(_)) && at + 1 < steps.len());
                    let is_body = is_body && at == 0;
                    step.skip(&format!("{name}.{at}"), is_body, is_header, all);
                }
            }
            Flow::Group(members) => {
                for (at, member) in members.iter().enumerate() {
                    let is_body = is_body && !is_header && matches!(member, Flow::Task(_));
                    member.skip(&format!("{name}.{at}"), is_body, is_header, all);
                }
            }
            Flow::Chord(header, body) => {
                for (at, member) in header.iter().enumerate() {
                    member.skip(&format!("{name}.{at}"), false, true, all);
                }
                body.skip(&format!("{name}.b"), false, is_header, all);
            }
        }
    }
}

/// As [`Flow::run`] for a chord. In a chain, the first task of a body that is a chain is the body.
fn run_chord(
    (header, body): (&[Flow], &Flow),
    is_in_chain: bool,
    name: &str,
    before: &Value,
    all: &mut BTreeMap<String, Expected>,
) -> Option<Value> {
    let header = Flow::Group(header.to_vec()).run(name, before, all);
    let name = format!("{name}.b");
    let Some(values) = header else {
        let is_body = is_in_chain || !matches!(body, Flow::Chain(_));
        body.skip(&name, is_body, false, all);
        return None;
    };
    body.run(&name, &values, all)
}

impl Task {
    fn signature(&self, name: &str, has_before: bool) -> Json {
        let mut options = Object::new();
        options.insert("task_id", name);
        let call = |name: &str, has_before, outcomes| {
            let task = if self.is_remote {
                "remote.step"
            } else {
                "step"
            };
            call(task, name, has_before, outcomes)
        };
        if self.has_link {
            options.insert("link", vec![call(&format!("{name}-l"), true, "")]);
        }
        if self.has_errback {
            options.insert("link_error", vec![call(&format!("{name}-e"), true, "")]);
        }
        with_options(call(name, has_before, self.outcomes), options)
    }

    fn run(
        &self,
        name: &str,
        before: &Value,
        all: &mut BTreeMap<String, Expected>,
    ) -> Option<Value> {
        let value = (!self.outcomes.contains('p')).then(|| result_of(name, before));
        let expected = value.clone().map_or(Expected::Failure, Expected::Success);
        all.insert(name.to_owned(), expected);
        self.skip_links(name, value.is_none(), all);
        if let Some(value) = &value
            && self.has_link
        {
            let link = format!("{name}-l");
            let result = result_of(&link, value);
            all.insert(link, Expected::Success(result));
        }
        value
    }

    /// Notes the callbacks as those that do not run, and the error callback if it runs.
    fn skip_links(&self, name: &str, fails: bool, all: &mut BTreeMap<String, Expected>) {
        if self.has_link {
            all.insert(format!("{name}-l"), Expected::Nothing);
        }
        if self.has_errback {
            let errback = format!("{name}-e");
            let result = result_of(&errback, &name.into());
            let expected = if fails {
                Expected::Success(result)
            } else {
                Expected::Nothing
            };
            all.insert(errback, expected);
        }
    }
}

/// A signature of a job.
fn call(task: &str, name: &str, has_before: bool, outcomes: &str) -> Json {
    let before = (!has_before).then_some(Json::Null);
    let args = before.into_iter().chain([name.into(), outcomes.into()]);
    let options = Json::object([("task_id", Json::from(name))]);
    Json::object([
        ("task", task.into()),
        ("args", args.collect::<Vec<Json>>().into()),
        ("kwargs", Object::new().into()),
        ("options", options),
        ("subtask_type", Json::Null),
        ("immutable", false.into()),
    ])
}

fn with_options(signature: Json, options: Object) -> Json {
    let mut signature = signature.into_object().unwrap();
    signature.insert("options", options);
    signature.into()
}

fn composite<const N: usize>(kind: &str, parts: [(&str, Json); N]) -> Json {
    Json::object([
        ("task", Json::from(format!("celery.{kind}"))),
        ("args", Vec::new().into()),
        ("kwargs", Json::object(parts)),
        ("options", Object::new().into()),
        ("subtask_type", kind.into()),
        ("immutable", false.into()),
    ])
}
