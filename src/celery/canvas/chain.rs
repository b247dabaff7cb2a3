//! Chains.

use std::collections::VecDeque;

use super::freeze::Place;
use super::{Call, Canvas, Pending, Unsendable, group};
use crate::celery::signature::{NotASignature, Shape, Signature, links};
use crate::json::Json;

/// Options of a chain that concern its last task, or all of its tasks; the others are handed on to its
/// first task.
const OF_CHAIN: [&str; 8] = [
    "chord",
    "group_id",
    "group_index",
    "link",
    "link_error",
    "parent_id",
    "root_id",
    "task_id",
];

/// The most steps of a chain: more than fit a message with their ids.
const MAX_STEPS: usize = 5_000;

impl Canvas<'_> {
    /// Sends the first task of a chain, with the others in its message.
    pub(super) fn apply_chain(
        &mut self,
        mut chain: Signature,
        call: &Call,
        is_child: bool,
    ) -> Result<Option<Pending>, Unsendable> {
        let mut options = std::mem::take(&mut chain.options);
        options.extend(call.options.clone());
        let [chord, group, index, link, errbacks, _, root, id] =
            OF_CHAIN.map(|name| options.remove(name));
        let text = |value: Option<Json>| value.and_then(|value| value.as_str().map(str::to_owned));
        let place = Place {
            id: text(id),
            group: text(group),
            index: index.and_then(|index| index.as_int()?.as_u64()),
            chord,
            root: text(root),
            parent: None,
        };
        let (mut tasks, pending) =
            self.prepare(chain.take_tasks()?, Some(call), &place, &links(errbacks))?;
        if let Some(last) = tasks.first_mut() {
            for callback in links(link) {
                last.add_link("link", callback);
            }
        }
        let Some(first) = tasks.pop() else {
            return Ok(None);
        };
        let is_alone = tasks.is_empty();
        let mut rest = links(options.remove("chain"));
        rest.extend(tasks.into_iter().map(Signature::into_json));
        options.insert("chain", rest);
        let call = Call {
            options,
            ..Call::default()
        };
        let sent = self.apply(first, &call, is_child)?;
        Ok(if is_alone { sent } else { pending })
    }

    /// Makes the tasks of a chain ready: nested chains are spliced in, a group that more follows becomes a
    /// chord, and every task gets its id. Returns the tasks, **the last first**, and the chain's result.
    ///
    /// With `call` the chain is about to be sent, and its first task gets the arguments.
    pub(super) fn prepare(
        &mut self,
        tasks: Vec<Signature>,
        call: Option<&Call>,
        place: &Place,
        errbacks: &[Json],
    ) -> Result<(Vec<Signature>, Option<Pending>), Unsendable> {
        let mut steps = with_real_head(tasks)?;
        let (mut tasks, mut results) = (Vec::<Signature>::new(), Vec::new());
        let mut is_last = true;
        let of_last = Place {
            // The parent of the last task is the task before it.
            parent: None,
            ..place.clone()
        };
        let of_others = Place {
            root: place.root.clone(),
            ..Place::default()
        };
        while let Some(step) = steps.pop_back() {
            let Some(mut task) = ready(step, &mut steps, call, is_last)? else {
                continue;
            };
            if tasks.len() >= MAX_STEPS {
                return Err(Unsendable::TooMuch);
            }
            if task.shape()? == Shape::Group
                && let Some(body) = tasks.pop()
            {
                results.pop();
                task = Signature::chord(task, body);
            }
            let place = if is_last { &of_last } else { &of_others };
            let pending = self.freeze(&mut task, place)?;
            is_last = false;
            for errback in errbacks {
                link_error(&mut task, errback)?;
            }
            tasks.push(task);
            results.extend(pending);
        }
        Ok((tasks, one_after_the_other(results)))
    }
}

/// A step as a task of its own, with the arguments if it is the first. `None` for a step that is left out,
/// or whose parts are steps now. `steps` are the steps before it.
fn ready(
    step: Signature,
    steps: &mut VecDeque<Signature>,
    call: Option<&Call>,
    is_last: bool,
) -> Result<Option<Signature>, Unsendable> {
    let is_first = steps.is_empty();
    let mut task = group::unrolled(step)?;
    let shape = task.shape()?;
    match shape {
        Shape::Group if group::is_empty(&task) && !(is_first && is_last) => return Ok(None),
        Shape::Chord if call.is_some() && is_led_by_task(&task)? => {
            steps.extend(split_body(task)?);
            return Ok(None);
        }
        Shape::Chain => {
            steps.extend(task.take_tasks()?);
            return Ok(None);
        }
        _ => {}
    }
    Ok(Some(match call {
        // Celery loses the arguments of a group here.
        Some(call) if is_first && shape != Shape::Group => with_call(task, call, shape),
        _ => task,
    }))
}

/// The result of a chain of these results, the last first.
fn one_after_the_other(results: Vec<Pending>) -> Option<Pending> {
    results.into_iter().rev().reduce(|before, mut result| {
        result.set_first_parent(before);
        result
    })
}

/// The steps of a chain. Its first one is a task of its own: nested chains are spliced in, and empty groups
/// are left out.
fn with_real_head(tasks: Vec<Signature>) -> Result<VecDeque<Signature>, Unsendable> {
    let mut steps = VecDeque::from(tasks);
    let mut empty = None;
    while let Some(head) = steps.pop_front() {
        let mut head = group::unrolled(head)?;
        match head.shape()? {
            Shape::Chain => {
                for task in head.take_tasks()?.into_iter().rev() {
                    steps.push_front(task);
                }
            }
            Shape::Group if group::is_empty(&head) && !steps.is_empty() => empty = Some(head),
            _ => {
                steps.push_front(head);
                return Ok(steps);
            }
        }
    }
    steps.extend(empty);
    Ok(steps)
}

/// The first task of a chain, with the arguments that the chain is sent with.
fn with_call(task: Signature, call: &Call, shape: Shape) -> Signature {
    let mut task = task.with_args(&call.args);
    if shape == Shape::Task && !task.immutable {
        task.kwargs.extend(call.kwargs.clone());
    }
    task
}

/// Whether the body of a chord is a chain that does not begin with a group.
fn is_led_by_task(chord: &Signature) -> Result<bool, NotASignature> {
    let kind = |value: &Json| {
        value
            .get("subtask_type")
            .and_then(Json::as_str)
            .map(str::to_owned)
    };
    let Some(body) = chord.kwargs.get("body") else {
        return Ok(false);
    };
    let tasks = body.get("kwargs").and_then(|kwargs| kwargs.get("tasks"));
    let first = tasks.and_then(Json::as_array).and_then(<[Json]>::first);
    let is_chain = kind(body).as_deref() == Some("chain");
    Ok(is_chain && first.is_some_and(|first| kind(first).as_deref() != Some("group")))
}

/// A chord with the first task of its body, and the other tasks of the body as steps of their own. Each
/// member of the header has a copy of the body, so the body had better be short.
fn split_body(mut chord: Signature) -> Result<Vec<Signature>, Unsendable> {
    let mut body = super::chord::read_body(&mut chord)?;
    let mut tasks = body.take_tasks()?;
    let [link, errbacks] = ["link", "link_error"].map(|name| links(body.options.remove(name)));
    if let Some(last) = tasks.last_mut() {
        for callback in link {
            last.add_link("link", callback);
        }
    }
    for task in &mut tasks {
        for errback in &errbacks {
            link_error(task, errback)?;
        }
    }
    let mut tasks = tasks.into_iter();
    if let Some(mut first) = tasks.next() {
        let options = body.options.into_iter();
        let options = options.filter(|(name, _)| !OF_CHAIN.contains(&&**name));
        first.merge(options.collect());
        chord.kwargs.insert("body", first.into_json());
    }
    Ok(std::iter::once(chord).chain(tasks).collect())
}

/// Adds an error callback: to the members of a group, and to the body of a chord.
pub(super) fn link_error(task: &mut Signature, errback: &Json) -> Result<(), Unsendable> {
    match task.shape()? {
        Shape::Group => {
            let mut tasks = task.take_tasks()?;
            for task in &mut tasks {
                link_error(task, errback)?;
            }
            task.set_tasks(tasks);
        }
        Shape::Chord => {
            let mut body = super::chord::read_body(task)?;
            link_error(&mut body, errback)?;
            task.kwargs.insert("body", body.into_json());
        }
        _ => task.add_link("link_error", errback.clone()),
    }
    Ok(())
}
