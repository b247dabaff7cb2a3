//! Gives the tasks of a signature their ids, so that their results can be named before they are sent.

use super::chord::{header_of, read_body};
use super::{Canvas, Pending, Unsendable, group};
use crate::celery::signature::{NotASignature, Shape, Signature};
use crate::json::{Json, Object};

/// Where a signature stands in its workflow.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The id of the task, unless it has one.
    pub id: Option<String>,
    /// The id of the group that it is a member of, unless it is one of another.
    pub group: Option<String>,
    pub index: Option<u64>,
    /// The body of the chord that it is a member of.
    pub chord: Option<Json>,
    pub root: Option<String>,
    pub parent: Option<String>,
}

impl Canvas<'_> {
    /// `None` for a chain without tasks.
    pub(super) fn freeze(
        &mut self,
        signature: &mut Signature,
        place: &Place,
    ) -> Result<Option<Pending>, Unsendable> {
        drop_nulls_of(signature);
        self.deeper(|canvas| match signature.shape()? {
            Shape::Task => Ok(Some(canvas.freeze_task(signature, place))),
            Shape::Chain => canvas.freeze_chain(signature, place),
            Shape::Group => canvas.freeze_group(signature, place).map(Some),
            Shape::Chord => canvas.freeze_chord(signature, place),
        })
    }

    fn freeze_task(&mut self, signature: &mut Signature, place: &Place) -> Pending {
        let id = match (signature.option("task_id"), &place.id) {
            (Some(id), _) => id.to_owned(),
            (None, Some(id)) => id.clone(),
            (None, None) => self.new_id(),
        };
        let options = &mut signature.options;
        options.insert("task_id", id.as_str());
        set(options, "root_id", &place.root);
        set(options, "parent_id", &place.parent);
        // The group of a chord's member is the chord's: there the member is counted.
        if place.chord.is_some() || !options.contains_key("group_id") {
            set(options, "group_id", &place.group);
        }
        set(options, "chord", &place.chord);
        set(options, "group_index", &place.index);
        Pending::task(id)
    }

    /// The chain then has its tasks as they will be sent: with chords in place of groups that more
    /// follows.
    fn freeze_chain(
        &mut self,
        signature: &mut Signature,
        place: &Place,
    ) -> Result<Option<Pending>, Unsendable> {
        let tasks = signature.take_tasks()?;
        let (mut tasks, pending) = self.prepare(tasks, None, place, &[])?;
        tasks.reverse();
        signature.set_tasks(tasks);
        if let Some(pending) = &pending {
            signature.options.insert("task_id", pending.id.as_str());
        }
        Ok(pending)
    }

    pub(super) fn freeze_group(
        &mut self,
        signature: &mut Signature,
        place: &Place,
    ) -> Result<Pending, Unsendable> {
        let id = match signature.option("task_id") {
            Some(id) => id.to_owned(),
            None => self.new_id(),
        };
        let mut tasks = group::flat(signature.take_tasks()?)?;
        let options = &mut signature.options;
        options.insert("task_id", id.as_str());
        set(options, "group_id", &place.group);
        // A group hands its chord on to its members when it is sent.
        set(options, "chord", &place.chord);
        set(options, "group_index", &place.index);
        let [root, parent] =
            [("root_id", &place.root), ("parent_id", &place.parent)].map(|(name, default)| {
                if !options.contains_key(name) {
                    set(options, name, default);
                }
                options.get(name).and_then(Json::as_str).map(str::to_owned)
            });
        let mut members = Vec::new();
        for (task, index) in tasks.iter_mut().zip(0..) {
            let place = Place {
                group: place.group.clone(),
                index: Some(index),
                root: root.clone(),
                parent: parent.clone(),
                ..Place::default()
            };
            members.extend(self.freeze(task, &place)?);
        }
        signature.set_tasks(tasks);
        Ok(Pending::group(id, members))
    }

    /// The members of the header do not get the body here, but when they are sent: a header would have as
    /// many copies of the body as members.
    fn freeze_chord(
        &mut self,
        signature: &mut Signature,
        place: &Place,
    ) -> Result<Option<Pending>, Unsendable> {
        let mut header = header_of(signature)?;
        let of_header = Place {
            root: place.root.clone(),
            parent: place.parent.clone(),
            ..Place::default()
        };
        let header_pending = self.freeze_group(&mut header, &of_header)?;
        let mut body = read_body(signature)?;
        let of_body = Place {
            parent: None,
            ..place.clone()
        };
        let pending = self.freeze(&mut body, &of_body)?;
        let mut pending = pending.ok_or(NotASignature("the body of a chord is empty"))?;
        signature
            .options
            .insert("task_id", header_pending.id.as_str());
        signature.kwargs.insert("header", header.into_json());
        signature.kwargs.insert("body", body.into_json());
        pending.set_first_parent(header_pending);
        Ok(Some(pending))
    }
}

fn drop_nulls_of(signature: &mut Signature) {
    super::drop_nulls(&mut signature.options);
}

/// Sets an option that is there.
fn set<T: Clone + Into<Json>>(options: &mut Object, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        options.insert(name, value.clone());
    }
}
