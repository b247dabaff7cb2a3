//! What fails because a task has failed.

use std::collections::VecDeque;

use super::{Sender, Sent, Unsendable, group, on_failure};
use crate::celery::headers::is_id;
use crate::celery::signature::{NotASignature, Shape, Signature, links};
use crate::json::Json;

/// A task that will never run, because a task before it failed. The same failure is stored as its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// The task's id.
    pub id: String,
    /// The id of its group.
    pub group: Option<String>,
    /// The id of its parent.
    pub parent_id: Option<String>,
    /// The body of the chord that the task is a member of: it counts there, as failed.
    pub chord: Option<Json>,
}

/// The tasks of the rest of a chain whose task failed, and of the bodies of the chords in it.
pub fn failed_chain(chain: &[Json]) -> Vec<Failed> {
    // Each with the chord that it is handed, as when it is sent.
    let mut waiting: VecDeque<(&Json, Option<&Json>)> =
        chain.iter().map(|link| (link, None)).collect();
    let mut failed = Vec::new();
    while let Some((link, handed)) = waiting.pop_front() {
        let option = |name| link.get("options").and_then(|options| options.get(name));
        let text = |name| option(name).and_then(Json::as_str).map(str::to_owned);
        let chord = option("chord").filter(|chord| !chord.is_null()).or(handed);
        let kind = link.get("subtask_type").and_then(Json::as_str);
        let parts = parts_of(kind, link);
        if let Some(id) = text("task_id").filter(|id| is_id(id)) {
            // A task is the member of a chord, not the chain or the group that it is in.
            let chord = chord.filter(|_| parts.is_none()).cloned();
            failed.push(Failed {
                id,
                group: text("group_id"),
                parent_id: text("parent_id"),
                chord,
            });
        }
        let parts = parts.unwrap_or_default();
        let last = parts.len().saturating_sub(1);
        let parts = parts.iter().enumerate();
        waiting.extend(parts.map(|(at, part)| {
            let is_handed = at == last || kind == Some("group");
            (part, chord.filter(|_| is_handed))
        }));
    }
    failed
}

/// The signatures in a signature that clients wait for; `None` for a task. Readers of a chord wait for its
/// body, and readers of a chain for its tasks.
fn parts_of<'j>(kind: Option<&str>, signature: &'j Json) -> Option<&'j [Json]> {
    let part = |name| signature.get("kwargs").and_then(|parts| parts.get(name));
    Some(match kind {
        Some("chord") => part("body").map(std::slice::from_ref).unwrap_or_default(),
        Some("chain" | "group") => part("tasks").and_then(Json::as_array).unwrap_or_default(),
        _ => return None,
    })
}

/// What follows if a member of a chord failed: the error callbacks of the body, and the tasks that will
/// never run. Their failure is [`Exception::chord`](crate::celery::result::Exception::chord).
///
/// # Errors
/// If an error callback cannot be sent, or the body is no signature.
pub fn failed_chord(sender: &Sender, body: &Json) -> Result<(Sent, Vec<Failed>), Unsendable> {
    let mut failed = failed_chain(std::slice::from_ref(body));
    let body = Signature::read(body.clone())?;
    failed.extend(failed_chain(&links(body.options.get("chain").cloned())));
    // A chain has the id of its last task, and only the task counts in a chord.
    failed.sort_by_key(|one| one.chord.is_none());
    let mut seen = std::collections::HashSet::new();
    failed.retain(|one| seen.insert(one.id.clone()));
    let mut sent = Sent::default();
    for (id, errbacks) in errbacks(body)? {
        let seed = format!("{}/{id}", sender.seed);
        let sender = Sender {
            id: &id,
            // As Celery, which does not know the workflow here.
            root_id: None,
            seed: &seed,
            ..*sender
        };
        sent.messages
            .extend(on_failure(&sender, &errbacks)?.messages);
    }
    Ok((sent, failed))
}

/// The error callbacks of a body, each list with the id of its task.
fn errbacks(mut body: Signature) -> Result<Vec<(String, Vec<Json>)>, NotASignature> {
    let own = links(body.options.remove("link_error"));
    if body.shape()? != Shape::Group {
        let id = body.option("task_id").unwrap_or_default();
        return Ok(vec![(id.to_owned(), own)]);
    }
    let mut all = Vec::new();
    for mut task in group::flat(body.take_tasks()?)? {
        let mut errbacks = links(task.options.remove("link_error"));
        for errback in &own {
            if !errbacks.contains(errback) {
                errbacks.push(errback.clone());
            }
        }
        let id = task.option("task_id").unwrap_or_default();
        all.push((id.to_owned(), errbacks));
    }
    Ok(all)
}
