//! The place of a task in its workflow, from the data that its record keeps. Nothing is decoded and nothing is
//! sent.

use serde_json::value::RawValue;

use super::canvas::{Outgoing, Sender, Sent, Unsendable, chord_body, on_failure, on_success};
use super::message::Embed;
use super::origin::Source;
use super::signature::links;
use crate::json::Json;

/// The most tasks that follow.
const MAX_FOLLOWS: usize = 100;
/// How deep signatures may contain signatures.
const MAX_DEPTH: u32 = 20;

/// The place of a task in its workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// The id of the first task of the workflow.
    pub root_id: String,
    /// The id of the task that sent this task.
    pub parent_id: Option<String>,
    /// The id of the group or chord that the task is a member of.
    pub group_id: Option<String>,
    /// What the end of the run sets off directly; of very many tasks only some.
    pub follows: Vec<Follow>,
}

/// A task that an end sets off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// The task's id; `None` if the function of a remote body will make it up.
    pub id: Option<String>,
    /// The name of the task.
    pub task: String,
    /// Which end sets the task off.
    pub on: On,
}

/// Which end sets a task off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// A success of this task.
    Success,
    /// A failure of this task.
    Failure,
    /// The success of all members of the chord that this task is a member of.
    Chord,
}

/// The workflow of the run `run` of the task `id`, by the data of the task's origin. `None` for a task that came
/// alone and sets nothing off, and for data that is unreadable.
pub fn workflow(id: &str, run: u32, data: &RawValue) -> Option<Workflow> {
    let source = Source::of_data(data)?;
    let headers = &source.headers;
    let mut follows = match source.is_remote {
        true => named(&source.embed),
        false => derived(id, run, &source),
    };
    follows.truncate(MAX_FOLLOWS);
    let workflow = Workflow {
        root_id: headers.root_id.clone().unwrap_or_else(|| id.to_owned()),
        parent_id: headers.parent_id.clone(),
        group_id: headers.group.clone(),
        follows,
    };
    let is_alone = workflow.root_id == id
        && workflow.parent_id.is_none()
        && workflow.group_id.is_none()
        && workflow.follows.is_empty();
    (!is_alone).then_some(workflow)
}

/// What a worker sends after the end, with the ids that it derives.
fn derived(id: &str, run: u32, source: &Source) -> Vec<Follow> {
    let Source { headers, embed, .. } = source;
    let seed = format!("{id}/{run}");
    let sender = Sender {
        id,
        root_id: headers.root_id.as_deref(),
        seed: &seed,
        now: 0,
        default_queue: "",
        origin: "",
        trace: None,
    };
    let mut follows = sent(on_success(&sender, embed, &Json::Null), On::Success);
    follows.extend(sent(on_failure(&sender, &embed.errbacks), On::Failure));
    if let (Some(body), Some(group)) = (&embed.chord, &headers.group) {
        let of_chord = Sender {
            seed: group,
            ..sender
        };
        follows.extend(sent(chord_body(&of_chord, body, Vec::new()), On::Chord));
    }
    follows
}

fn sent(sent: Result<Sent, Unsendable>, on: On) -> Vec<Follow> {
    let messages = sent.map(|sent| sent.messages).unwrap_or_default();
    let follow = |message: Outgoing| Follow {
        id: Some(message.id),
        task: message.task,
        on,
    };
    messages.into_iter().map(follow).collect()
}

/// What Celery's own code sends after the end. Ids that the client did not choose are random there.
fn named(embed: &Embed) -> Vec<Follow> {
    let mut follows = Vec::new();
    let next = embed.chain.last().into_iter();
    for signature in embed.callbacks.iter().chain(next) {
        add_first(&mut follows, signature, On::Success, 0);
    }
    for signature in &embed.errbacks {
        add_first(&mut follows, signature, On::Failure, 0);
    }
    if let Some(body) = &embed.chord {
        add_first(&mut follows, body, On::Chord, 0);
    }
    follows
}

/// Adds the tasks of a signature that are sent at once: all of a group or of a chord's header, the first of a
/// chain.
fn add_first(follows: &mut Vec<Follow>, signature: &Json, on: On, depth: u32) {
    if depth > MAX_DEPTH || follows.len() >= MAX_FOLLOWS {
        return;
    }
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    let part = |name| signature.get("kwargs").and_then(|parts| parts.get(name));
    let kind = signature.get("subtask_type").and_then(Json::as_str);
    let parts = match kind {
        Some("group") => links(part("tasks").cloned()),
        Some("chain") => links(part("tasks").cloned()).into_iter().take(1).collect(),
        Some("chord") => links(part("header").cloned()),
        _ => {
            let options = signature.get("options");
            follows.extend(text(signature.get("task")).map(|task| Follow {
                id: text(options.and_then(|options| options.get("task_id"))),
                task,
                on,
            }));
            return;
        }
    };
    for part in &parts {
        add_first(follows, part, on, depth + 1);
    }
}
