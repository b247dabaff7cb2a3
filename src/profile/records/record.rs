//! What readers hand over.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::number;
use super::rows::Cell;
use super::table::Dialect;
use crate::json::{Flat, Json};
use crate::profile::value::Value;

/// One record, on loan from who reads or holds it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r>(pub(in crate::profile) Form<'r>);

/// How a record is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::profile) enum Form<'r> {
    Tree(&'r Json),
    /// The parts of a document, and its text.
    Flat(&'r Flat, &'r str),
    Row(Row<'r>),
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::profile) struct Row<'r> {
    pub names: &'r Names,
    pub(super) cells: &'r [Cell],
    pub(super) text: &'r str,
    /// Cells whose doubled quotes were undone.
    pub(super) own: &'r str,
    pub(super) dialect: &'r Dialect,
}

impl<'r> Row<'r> {
    /// The value in a column.
    pub fn value(&self, column: usize) -> Value<'r> {
        let cell = self.cells.get(column);
        let text = cell.map_or("", |cell| cell.text(self.text, self.own));
        if self.dialect.nulls.has(text) {
            return Value::Null;
        }
        match number(text, self.dialect.decimal) {
            Some(number) => Value::Cell(text, number),
            None => Value::Text(text),
        }
    }

    fn to_json(self) -> Json {
        let names = self.names.all.iter().enumerate();
        Json::object(names.map(|(column, name)| (name.as_str(), self.value(column).to_json())))
    }
}

/// The names of a table's columns, each once.
#[derive(Debug)]
pub(in crate::profile) struct Names {
    /// Another one for other names, so that who knows the number knows the names.
    id: u64,
    all: Vec<String>,
    taken: HashSet<String>,
}

impl Names {
    /// An empty name becomes its column's number, a repeated one gets the number too.
    pub fn new(cells: &[&str]) -> Names {
        let mut names = Names {
            id: next_id(),
            all: Vec::with_capacity(cells.len()),
            taken: HashSet::new(),
        };
        cells.iter().for_each(|cell| names.push(cell));
        names
    }

    fn push(&mut self, cell: &str) {
        let column = self.all.len() + 1;
        let name = match cell.trim() {
            "" => format!("column_{column}"),
            name => name.to_owned(),
        };
        let mut unique = name.clone();
        if self.taken.contains(&unique) {
            unique = format!("{name}_{column}");
        }
        while !self.taken.insert(unique.clone()) {
            unique.push('_');
        }
        self.all.push(unique);
    }

    /// Names columns without a name, up to so many columns.
    pub fn extend(&mut self, columns: usize) {
        self.id = next_id();
        while self.all.len() < columns {
            self.push("");
        }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn all(&self) -> &[String] {
        &self.all
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Record<'_> {
    /// The record as a value of its own.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self.0 {
            Form::Tree(value) => value.clone(),
            Form::Flat(flat, text) => flat.to_json(text),
            Form::Row(row) => row.to_json(),
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
