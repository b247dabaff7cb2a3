//! The short way of a record whose fields are all known: nearly every one of a file.

use super::tree::{Profiler, RECORD};
use crate::json::{Flat, Part};

/// Room for the walk through a record.
#[derive(Debug, Clone, Default)]
pub(super) struct Walk {
    /// The places of a record's values, in their order.
    pub places: Vec<usize>,
    around: Vec<Around>,
    /// Numbers the objects, so that a key that an object has twice is noticed.
    objects: u64,
}

/// The container that the walk is in.
#[derive(Debug, Clone, Copy)]
enum Around {
    Items(usize),
    Members {
        node: usize,
        object: u64,
        /// Where the next member is looked for first: objects of one kind mostly have the same
        /// members in the same order.
        next: usize,
    },
}

impl Profiler {
    /// Finds the places of all of a record's values. `false` where the record needs the long way:
    /// one of its places is new, or omitted, or an object has a key twice.
    pub(super) fn locate(&mut self, flat: &Flat, text: &str) -> bool {
        self.walk.places.clear();
        self.walk.around.clear();
        let mut place = RECORD;
        for part in flat.parts() {
            let found = match *part {
                Part::Key(span) => self.known_member(flat.text(span, text)),
                Part::End => {
                    self.walk.around.pop();
                    match self.walk.around.last() {
                        Some(Around::Items(node)) => Some(*node),
                        _ => Some(place),
                    }
                }
                value => {
                    self.walk.places.push(place);
                    self.enter(place, value)
                }
            };
            let Some(next) = found else { return false };
            place = next;
        }
        true
    }

    /// Goes into a value when it is a container. Answers the place of its items.
    fn enter(&mut self, place: usize, value: Part) -> Option<usize> {
        match value {
            Part::Array(count) => {
                let items = match count {
                    0 => place,
                    _ => self.nodes[place].items?,
                };
                self.walk.around.push(Around::Items(items));
                return Some(items);
            }
            Part::Object(_) => {
                self.walk.objects += 1;
                self.walk.around.push(Around::Members {
                    node: place,
                    object: self.walk.objects,
                    next: 0,
                });
            }
            _ => {}
        }
        Some(place)
    }

    /// The place of a member of the innermost object, where it is known and comes for the first time.
    fn known_member(&mut self, key: &str) -> Option<usize> {
        let Some(Around::Members { node, object, next }) = self.walk.around.last_mut() else {
            return None;
        };
        let around = &self.nodes[*node];
        let expected = around.order.get(*next).copied();
        let member = expected
            .filter(|member| self.nodes[*member].key.as_deref() == Some(key))
            .or_else(|| around.members.get(key).copied())?;
        let known = &mut self.nodes[member];
        *next = known.rank + 1;
        let is_first = std::mem::replace(&mut known.seen_in, *object) != *object;
        is_first.then_some(member)
    }
}
