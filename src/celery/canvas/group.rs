//! Groups.

use super::freeze::Place;
use super::{Call, Canvas, Pending, Unsendable};
use crate::celery::signature::{NotASignature, Shape, Signature};
use crate::json::{Json, Object};

impl Canvas<'_> {
    /// Sends every member of a group.
    pub(super) fn apply_group(
        &mut self,
        mut group: Signature,
        call: &Call,
        is_child: bool,
    ) -> Result<Pending, Unsendable> {
        let tasks = flat_with_index(group.take_tasks()?)?;
        group.merge(call.options.clone());
        let mut options = group.options;
        // The id of a group is the group's id of its members.
        let id = match options.remove("task_id") {
            Some(Json::String(id)) => id,
            _ => self.new_id(),
        };
        // The members of a group that is the member of a chord are members of the chord.
        let of_chord = match options.remove("group_id") {
            Some(Json::String(chord)) if options.contains_key("chord") => Some(chord),
            _ => None,
        };
        let group_id = of_chord.as_ref().unwrap_or(&id);
        options.insert("group_id", group_id.as_str());
        let chord = options.get("chord").filter(|_| of_chord.is_some()).cloned();
        options.remove("group_index");
        let root = options
            .get("root_id")
            .and_then(Json::as_str)
            .map(str::to_owned);
        let call = Call {
            options,
            ..call.clone()
        };
        let mut members = Vec::new();
        for (mut task, index) in tasks {
            let place = Place {
                group: Some(of_chord.as_ref().unwrap_or(&id).clone()),
                chord: chord.clone(),
                index: Some(index),
                root: root.clone(),
                ..Place::default()
            };
            if let Some(pending) = self.freeze(&mut task, &place)? {
                self.apply(task, &call, false)?;
                members.push(pending);
            }
        }
        let is_sent = !members.is_empty();
        let pending = of_members(id, members);
        self.keep(&pending, is_child && is_sent);
        Ok(pending)
    }
}

/// The result of a group. A group of one that is a group again stands for that group.
fn of_members(id: String, members: Vec<Pending>) -> Pending {
    match <[Pending; 1]>::try_from(members) {
        Ok([only]) if only.members.is_some() => only,
        Ok([only]) => Pending::group(id, vec![only]),
        Err(members) => Pending::group(id, members),
    }
}

/// A group's only member in place of the group.
pub(super) fn unrolled(mut signature: Signature) -> Result<Signature, NotASignature> {
    if signature.shape()? != Shape::Group {
        return Ok(signature);
    }
    let tasks = signature.take_tasks()?;
    match <[Signature; 1]>::try_from(tasks) {
        Ok([only]) => Ok(only),
        Err(tasks) => {
            signature.set_tasks(tasks);
            Ok(signature)
        }
    }
}

/// Whether a group has no members.
pub(super) fn is_empty(group: &Signature) -> bool {
    let tasks = group.kwargs.get("tasks").and_then(Json::as_array);
    tasks.is_some_and(<[Json]>::is_empty)
}

/// The members of a group, with those of the groups in it.
pub(super) fn flat(tasks: Vec<Signature>) -> Result<Vec<Signature>, NotASignature> {
    let tasks = flat_with_index(tasks)?;
    Ok(tasks.into_iter().map(|(task, _)| task).collect())
}

/// As [`flat`], each with its place in its own group, as Celery counts when it sends.
fn flat_with_index(tasks: Vec<Signature>) -> Result<Vec<(Signature, u64)>, NotASignature> {
    let numbered = |tasks: Vec<Signature>| {
        let numbered: Vec<(Signature, u64)> = tasks.into_iter().zip(0..).collect();
        numbered.into_iter().rev()
    };
    let mut waiting: Vec<(Signature, u64)> = numbered(tasks).collect();
    let mut members = Vec::new();
    while let Some((mut task, index)) = waiting.pop() {
        match task.shape()? {
            Shape::Group => waiting.extend(numbered(task.take_tasks()?)),
            _ => members.push((task, index)),
        }
    }
    Ok(members)
}

/// The group that the task `celery.chunks` sends.
pub(super) fn of_chunks(kwargs: &Object) -> Result<Signature, NotASignature> {
    const WRONG: NotASignature = NotASignature("chunks needs a task, a list and a size");
    let parts = ["task", "it", "n"].map(|name| kwargs.get(name));
    let [Some(task), Some(Json::Array(elements)), Some(size)] = parts else {
        return Err(WRONG);
    };
    let size = size.as_int().and_then(|size| size.as_u64());
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size > 0).ok_or(WRONG)?;
    let starmap = |part: &[Json]| {
        let kwargs = [
            ("task".to_owned(), task.clone()),
            ("it".to_owned(), part.to_vec().into()),
        ];
        let signature = Signature {
            task: "celery.starmap".to_owned(),
            kwargs: Object::from_iter(kwargs),
            immutable: true,
            ..Signature::default()
        };
        signature.into_json()
    };
    Ok(Signature::group(
        elements.chunks(size).map(starmap).collect(),
    ))
}
