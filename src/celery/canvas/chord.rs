//! Chords.

use super::chain::link_error;
use super::freeze::Place;
use super::{Call, Canvas, Chord, Pending, Unsendable, drop_nulls};
use crate::celery::signature::{NotASignature, Shape, Signature, links};
use crate::json::{Json, Object};

impl Canvas<'_> {
    /// Begins a chord: sends its header, whose members have the body with them.
    pub(super) fn apply_chord(
        &mut self,
        mut chord: Signature,
        call: &Call,
        is_child: bool,
    ) -> Result<Option<Pending>, Unsendable> {
        let mut header = header_of(&mut chord)?;
        let mut body = read_body(&mut chord)?;
        chord.options.extend(call.options.clone());
        let (header_pending, mut pending) =
            self.freeze_parts(&mut header, &mut body, &mut chord.options)?;
        let members = header_pending.members.as_deref().unwrap_or_default();
        if members.is_empty() {
            // No member will end, so the body is sent at once.
            self.apply(body, &Call::with_args(&[Vec::new().into()]), is_child)?;
            return Ok(Some(pending));
        }
        self.sent.chords.push(Chord {
            group: header_pending.id.clone(),
            members: members.iter().map(Pending::to_tuple).collect(),
        });
        self.apply_group(header, &of_header_call(chord, call, body), is_child)?;
        pending.set_first_parent(header_pending);
        Ok(Some(pending))
    }

    /// Makes both parts of a chord with these options ready to be sent. Returns the results of the header
    /// and of the body.
    fn freeze_parts(
        &mut self,
        header: &mut Signature,
        body: &mut Signature,
        options: &mut Object,
    ) -> Result<(Pending, Pending), Unsendable> {
        let body_id = options.remove("task_id");
        give_body_options(body, options)?;
        let group = match header.option("task_id") {
            Some(id) => id.to_owned(),
            None => self.new_id(),
        };
        header.options.insert("task_id", group.as_str());
        let of_header = Place {
            group: Some(group),
            root: body.option("root_id").map(str::to_owned),
            ..Place::default()
        };
        let text = |name| body.option(name).map(str::to_owned);
        let of_body = Place {
            id: body_id.and_then(|id| id.as_str().map(str::to_owned)),
            group: text("group_id").or_else(|| of_header.group.clone()),
            chord: body.options.get("chord").cloned(),
            ..of_header.clone()
        };
        let body = self.freeze(body, &of_body)?;
        let body = body.ok_or(NotASignature("the body of a chord is empty"))?;
        Ok((self.freeze_group(header, &of_header)?, body))
    }
}

/// What the header is sent with: the options of the chord, and the body.
fn of_header_call(mut chord: Signature, call: &Call, body: Signature) -> Call {
    let kwargs = match chord.kwargs.remove("kwargs") {
        Some(Json::Object(mut kwargs)) => {
            kwargs.extend(call.kwargs.clone());
            kwargs
        }
        _ => call.kwargs.clone(),
    };
    let mut chord = chord.with_args(&call.args);
    let mut options = std::mem::take(&mut chord.options);
    // What follows the chord follows its body, and so does the chord that this chord is a member of.
    options.remove("chain");
    options.remove("group_id");
    options.insert("chord", body.into_json());
    Call {
        args: chord.args,
        kwargs,
        options,
    }
}

/// Hands the options of a chord on to its body: all but a delay, which is the header's, and the parent,
/// which is the member that ends last. The callbacks are the body's alone.
fn give_body_options(body: &mut Signature, options: &mut Object) -> Result<(), Unsendable> {
    drop_nulls(&mut body.options);
    for callback in links(options.remove("link")) {
        link(body, callback)?;
    }
    for errback in links(options.remove("link_error")) {
        match body.shape()? {
            Shape::Group if !body.options.contains_key("link_error") => link_error(body, &errback)?,
            _ => body.add_link("link_error", errback),
        }
    }
    let of_header = ["countdown", "eta", "parent_id"];
    let handed = options
        .iter()
        .filter(|(name, _)| !of_header.contains(&&***name));
    body.options
        .extend(handed.map(|(name, value)| (name.clone(), value.clone())));
    Ok(())
}

/// Adds a callback: to the body of a chord, and to the first member of a group, which does not hand its
/// result on.
fn link(task: &mut Signature, callback: Json) -> Result<(), Unsendable> {
    match task.shape()? {
        Shape::Group => {
            let mut tasks = task.take_tasks()?;
            if let Some(first) = tasks.first_mut() {
                let mut callback = Signature::read(callback)?;
                callback.immutable = true;
                link(first, callback.into_json())?;
            }
            task.set_tasks(tasks);
        }
        Shape::Chord => {
            let mut body = read_body(task)?;
            link(&mut body, callback)?;
            task.kwargs.insert("body", body.into_json());
        }
        _ => task.add_link("link", callback),
    }
    Ok(())
}

/// The header of a chord as a group, removed from the signature. Its id is the chord's, unless it has one.
pub(super) fn header_of(chord: &mut Signature) -> Result<Signature, NotASignature> {
    const MISSING: NotASignature = NotASignature("a chord has no header");
    let mut header = match chord.take_part("header").ok_or(MISSING)? {
        Json::Array(tasks) => Signature::group(tasks),
        one => {
            let mut one = Signature::read(one)?;
            match one.shape()? {
                Shape::Group => one,
                // Celery takes the tasks of a chain for the members, too.
                Shape::Chain => {
                    let tasks = one.take_tasks()?;
                    Signature::group(tasks.into_iter().map(Signature::into_json).collect())
                }
                _ => Signature::group(vec![one.into_json()]),
            }
        }
    };
    drop_nulls(&mut header.options);
    if let Some(id) = chord.option("task_id")
        && !header.options.contains_key("task_id")
    {
        header.options.insert("task_id", id);
    }
    Ok(header)
}

/// The body of a chord, removed from the signature.
pub(super) fn read_body(chord: &mut Signature) -> Result<Signature, NotASignature> {
    let body = chord.take_part("body");
    Signature::read(body.ok_or(NotASignature("a chord has no body"))?)
}
