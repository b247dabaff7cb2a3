//! What follows from a task's end: callbacks, the next link of a chain, error callbacks, and the body of
//! a chord.
//!
//! Everything here is computed and nothing is sent. The functions give [`Sent`]: first the caller stores
//! its chords, then it sends its messages. The same call gives the same ids, so the caller may repeat
//! both: an id that a signature does not have is derived from [`Sender::seed`].

mod chain;
mod chord;
mod failure;
mod freeze;
mod group;
mod send;

pub use failure::{Failed, failed_chain, failed_chord};
pub(super) use send::trace_headers;

use uuid::Uuid;

use super::encode::TooLarge;
use super::message::Embed;
use super::result::{group_tuple, task_tuple};
use super::signature::{NotASignature, Shape, Signature};
use crate::json::{Json, Object};
use crate::trace::Trace;

/// The namespace of ids that are derived from other ids.
const DERIVED: Uuid = Uuid::from_u128(0x1f0e_6a52_77a4_4c7e_9d0b_5a3c_2f18_c46d);

/// How deep signatures may contain signatures.
const MAX_DEPTH: u32 = 100;
/// The most parents in a tuple, one in the other: each is two levels of JSON, and readers of JSON bound the
/// levels.
const MAX_PARENTS: u32 = 300;
/// The most bytes of all messages that one end sets off. Each fits SQS by its own, but a group can repeat
/// a large value in thousands.
const MAX_TOTAL: usize = 48 * 1024 * 1024;

/// Who sends: the task that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The task's id.
    pub id: &'a str,
    /// The id of the first task of the workflow; `None` if this task is the first.
    pub root_id: Option<&'a str>,
    /// What the derived ids are made of: the task's id and its run, such as `id/1`. For a chord's body,
    /// the id of the chord's group, since any member may be the last.
    pub seed: &'a str,
    /// When the task ended, in milliseconds since the Unix epoch; delays count from there.
    pub now: u64,
    /// The queue of signatures that name none.
    pub default_queue: &'a str,
    /// The worker's name.
    pub origin: &'a str,
    /// The trace that the messages go on in, as their headers have it.
    pub trace: Option<&'a Trace>,
}

/// What is to be stored and sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sent {
    /// The chords that begin. To be stored before any message is sent.
    pub chords: Vec<Chord>,
    /// The messages, in order.
    pub messages: Vec<Outgoing>,
    /// The tuples of what was sent, for the result's `children`.
    pub children: Vec<Json>,
}

/// A chord that begins: its counter, which starts at 0, and its group's item.
#[derive(Debug, Clone, PartialEq)]
pub struct Chord {
    /// The id of the header's group, for both keys.
    pub group: String,
    /// The tuples of the members, in order.
    pub members: Vec<Json>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The queue in Celery; `None` for the default queue.
    pub queue: Option<String>,
    /// The name of the task.
    pub task: String,
    /// The task's id.
    pub id: String,
    /// The body of the SQS message.
    pub body: String,
    /// `MessageGroupId`, if the signature has one. A FIFO queue needs one; kombu takes `default`.
    pub message_group: Option<String>,
    /// `MessageDeduplicationId`, if the signature has one. A FIFO queue needs one; kombu takes a random one,
    /// and the body's hash is as good, since a repeated call makes the same body.
    pub deduplication: Option<String>,
    /// `DelaySeconds`: how long SQS keeps the message before the first delivery, in seconds.
    pub delay: Option<i32>,
}

/// Why something cannot be sent. The task's end is then a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// A message is larger than SQS takes.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// All messages together are too large for the worker.
    #[error("the messages of one task would have more than {MAX_TOTAL} bytes")]
    TooMuch,
    /// A signature is malformed.
    #[error(transparent)]
    NotASignature(#[from] NotASignature),
    /// Signatures contain each other too deep.
    #[error("signatures are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// What follows from a success: the callbacks, then the next link of the chain. `value` is the task's
/// result.
///
/// # Errors
/// If anything cannot be sent, nothing is.
pub fn on_success(sender: &Sender, embed: &Embed, value: &Json) -> Result<Sent, Unsendable> {
    let mut canvas = Canvas::new(sender);
    let mut alone = Vec::new();
    let many = embed.callbacks.len() > 1;
    for callback in &embed.callbacks {
        let callback = Signature::read(callback.clone())?;
        match many && callback.shape()? != Shape::Group {
            true => alone.push(callback.into_json()),
            false => canvas.start(callback, value, canvas.origin_options())?,
        }
    }
    // Several callbacks that are no groups are sent as one group.
    if !alone.is_empty() {
        canvas.start(Signature::group(alone), value, canvas.origin_options())?;
    }
    if let Some((next, rest)) = embed.chain.split_last() {
        let mut options = canvas.origin_options();
        options.insert("chain", rest.to_vec());
        canvas.start(Signature::read(next.clone())?, value, options)?;
    }
    Ok(canvas.sent)
}

/// What follows from a failure: the error callbacks, each with the task's id. See also
/// [`failed_chain`].
///
/// # Errors
/// If anything cannot be sent, nothing is.
pub fn on_failure(sender: &Sender, errbacks: &[Json]) -> Result<Sent, Unsendable> {
    let mut canvas = Canvas::new(sender);
    if !errbacks.is_empty() {
        let group = Signature::group(errbacks.to_vec());
        canvas.start(group, &sender.id.into(), canvas.origin_options())?;
    }
    Ok(canvas.sent)
}

/// The body of a chord, whose members all succeeded. `sender` is the member that ended last, and `values`
/// are the results of the members in order.
///
/// # Errors
/// If anything cannot be sent, nothing is.
pub fn chord_body(sender: &Sender, body: &Json, values: Vec<Json>) -> Result<Sent, Unsendable> {
    apply(sender, body.clone(), &[Json::Array(values)])
}

/// A signature, with these arguments before its own.
///
/// # Errors
/// If anything cannot be sent, nothing is.
pub fn apply(sender: &Sender, signature: Json, args: &[Json]) -> Result<Sent, Unsendable> {
    let mut canvas = Canvas::new(sender);
    let signature = Signature::read(signature)?;
    canvas.apply(signature, &Call::with_args(args), true)?;
    Ok(canvas.sent)
}

/// The built-in task `celery.chunks`: a group of one `celery.starmap` for each so many elements. Returns the
/// task's result, too: the group's tuple.
///
/// # Errors
/// For keyword arguments that are not those of the task, and if anything cannot be sent.
pub fn chunks(sender: &Sender, kwargs: &Object) -> Result<(Sent, Json), Unsendable> {
    let mut canvas = Canvas::new(sender);
    let group = group::of_chunks(kwargs)?;
    let pending = canvas.apply_group(group, &Call::default(), true)?;
    Ok((canvas.sent, pending.to_tuple()))
}

/// Collects what is to be sent.
struct Canvas<'s> {
    sender: &'s Sender<'s>,
    sent: Sent,
    /// The number of ids derived so far.
    derived: u32,
    /// The bytes of all messages so far.
    total: usize,
    depth: u32,
}

/// What `apply_async` is called with.
#[derive(Debug, Clone, Default)]
struct Call {
    /// Arguments before the signature's own.
    args: Vec<Json>,
    /// Keyword arguments over the signature's own.
    kwargs: Object,
    /// Options over the signature's own. None is null.
    options: Object,
}

impl Call {
    fn with_args(args: &[Json]) -> Call {
        let args = args.to_vec();
        Call {
            args,
            ..Call::default()
        }
    }
}

/// The result of a signature, before it is known: Celery's result tuple.
#[derive(Debug, Clone, PartialEq)]
struct Pending {
    id: String,
    /// The members, of a group.
    members: Option<Vec<Pending>>,
    /// The result of the step before, in a chain.
    parent: Option<Box<Pending>>,
}

impl Pending {
    fn task(id: String) -> Pending {
        Pending {
            id,
            members: None,
            parent: None,
        }
    }

    fn group(id: String, members: Vec<Pending>) -> Pending {
        Pending {
            id,
            members: Some(members),
            parent: None,
        }
    }

    /// Sets what came before the first step of this result.
    fn set_first_parent(&mut self, before: Pending) {
        let mut first = self;
        while first.parent.is_some() {
            // Asked and taken in two steps, as the borrow of the `if let` form would last too long.
            first = match first.parent.as_deref_mut() {
                Some(parent) => parent,
                None => return,
            };
        }
        first.parent = Some(Box::new(before));
    }

    fn to_tuple(&self) -> Json {
        self.to_tuple_of(MAX_PARENTS)
    }

    /// The tuple with so many parents, one in the other.
    fn to_tuple_of(&self, parents: u32) -> Json {
        let parent = self.parent.as_ref().filter(|_| parents > 0);
        let parent = parent.map(|parent| parent.to_tuple_of(parents - 1));
        match &self.members {
            None => task_tuple(&self.id, parent),
            Some(members) => {
                let members = members.iter().map(|member| member.to_tuple_of(parents));
                group_tuple(&self.id, parent, &members.collect::<Vec<Json>>())
            }
        }
    }
}

impl<'s> Canvas<'s> {
    fn new(sender: &'s Sender<'s>) -> Canvas<'s> {
        Canvas {
            sender,
            sent: Sent::default(),
            derived: 0,
            total: 0,
            depth: 0,
        }
    }

    /// The id of something that has none. The same calls in the same order give the same ids.
    fn new_id(&mut self) -> String {
        self.derived += 1;
        let name = format!("{}/{}", self.sender.seed, self.derived);
        Uuid::new_v5(&DERIVED, name.as_bytes()).to_string()
    }

    /// The options that all that a task sends has.
    fn origin_options(&self) -> Object {
        let root = self.sender.root_id.unwrap_or(self.sender.id);
        [
            ("parent_id".to_owned(), Json::from(self.sender.id)),
            ("root_id".to_owned(), root.into()),
        ]
        .into_iter()
        .collect()
    }

    fn start(
        &mut self,
        signature: Signature,
        value: &Json,
        options: Object,
    ) -> Result<(), Unsendable> {
        let call = Call {
            options,
            ..Call::with_args(std::slice::from_ref(value))
        };
        self.apply(signature, &call, true).map(|_| ())
    }

    /// Sends a signature. `is_child` says whether the result is one of the sender's children. `None` if
    /// there is nothing to send, as of an empty chain.
    fn apply(
        &mut self,
        mut signature: Signature,
        call: &Call,
        is_child: bool,
    ) -> Result<Option<Pending>, Unsendable> {
        drop_nulls(&mut signature.options);
        self.deeper(|canvas| match signature.shape()? {
            Shape::Task => canvas.apply_task(signature, call, is_child).map(Some),
            Shape::Chain => canvas.apply_chain(signature, call, is_child),
            Shape::Group => canvas.apply_group(signature, call, is_child).map(Some),
            Shape::Chord => canvas.apply_chord(signature, call, is_child),
        })
    }

    /// Bounds the recursion.
    fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, Unsendable>,
    ) -> Result<T, Unsendable> {
        if self.depth >= MAX_DEPTH {
            return Err(Unsendable::TooDeep);
        }
        self.depth += 1;
        let done = inside(self);
        self.depth -= 1;
        done
    }

    fn apply_task(
        &mut self,
        signature: Signature,
        call: &Call,
        is_child: bool,
    ) -> Result<Pending, Unsendable> {
        let mut signature = signature.with_args(&call.args);
        if !signature.immutable {
            signature.kwargs.extend(call.kwargs.clone());
        }
        signature.merge(call.options.clone());
        let pending = Pending::task(self.send(signature)?);
        self.keep(&pending, is_child);
        Ok(pending)
    }

    fn keep(&mut self, pending: &Pending, is_child: bool) {
        if is_child {
            self.sent.children.push(pending.to_tuple());
        }
    }
}

/// Celery takes an option that is null for one that is missing.
fn drop_nulls(options: &mut Object) {
    let nulls: Vec<String> = options
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(name, _)| name.clone())
        .collect();
    for name in nulls {
        options.remove(&name);
    }
}

#[cfg(test)]
mod tests;
