//! The members of chords that a task's end counts.

use super::call::Chord;
use crate::celery::canvas::failed_chain;
use crate::celery::origin::Source;
use crate::json::Json;

/// A member of a chord.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The id of the chord's header, a group.
    pub group: String,
    /// The id of the member's task.
    pub id: String,
    /// The chord's body.
    pub body: Json,
}

impl Member {
    /// The member that a call counts, as the message of the task has it: the task itself, or a link behind the
    /// task that never runs. The body of the call comes first: the task may have changed it, and of a message
    /// that was not read only the function knows the body. `None` if the body is unknown.
    pub fn of(source: &Source, chord: Option<Chord>) -> Option<Member> {
        let own = source.headers.group.as_ref();
        let (group, given) = match chord {
            Some(chord) => (chord.group, chord.body),
            None => (own?.clone(), None),
        };
        let id = source.headers.id.clone();
        let (id, known) = match own == Some(&group) {
            true => (id, source.embed.chord.clone()),
            false => {
                let mut links = failed_chain(&source.embed.chain).into_iter();
                let link = links.find(|link| link.group.as_ref() == Some(&group));
                link.map_or((id, None), |link| (link.id, link.chord))
            }
        };
        let body = given.or(known)?;
        Some(Member { group, id, body })
    }
}
