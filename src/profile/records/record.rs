//! What readers hand over.

use std::fmt;

use crate::json::{Flat, Json};

/// One record, on loan from who reads or holds it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r>(pub(in crate::profile) Form<'r>);

/// How a record is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::profile) enum Form<'r> {
    Tree(&'r Json),
    /// The parts of a document, and its text.
    Flat(&'r Flat, &'r str),
}

impl Record<'_> {
    /// The record as a value of its own.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self.0 {
            Form::Tree(value) => value.clone(),
            Form::Flat(flat, text) => flat.to_json(text),
        }
    }
}

impl<'r> From<&'r Json> for Record<'r> {
    fn from(value: &'r Json) -> Record<'r> {
        Record(Form::Tree(value))
    }
}

/// As [`Json`] does it.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}
