//! The tree of fields, and the walk that sorts values into it.

use std::collections::HashMap;
use std::slice;

use super::distinct::{Distinct, hash_text};
use super::field::Field;
use super::output::{FieldProfile, Profile};
use super::records::{Form, Record, Row};
use super::value::Value;
use super::walk::Walk;
use super::{Budget, path};
use crate::json::{Json, ObjectIter};

/// How many fields are profiled.
pub const MAX_FIELDS: usize = 1_000;

/// The place of the records themselves.
pub(super) const RECORD: usize = 0;

/// Takes up values and answers their [`Profile`].
#[derive(Debug, Clone)]
pub struct Profiler {
    pub(super) nodes: Vec<Node>,
    budget: Budget,
    /// Fields beyond [`MAX_FIELDS`], by hashes of their places.
    omitted: Distinct,
    pub(super) walk: Walk,
    /// The places of a table's columns.
    columns: Columns,
}

/// Where the columns of the table with these names are.
#[derive(Debug, Clone, Default)]
struct Columns {
    names: u64,
    /// `None` where there was no room for the column.
    places: Vec<Option<usize>>,
}

/// A place in the records. Values find theirs by steps from place to place, so that no path is
/// spelled out until the end, however deep and long it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The place around this one.
    parent: usize,
    /// The key in it; `None` for an array's items.
    pub key: Option<String>,
    field: Field,
    pub members: HashMap<String, usize>,
    /// The members in the order in which they were first seen.
    pub order: Vec<usize>,
    /// Where this one stands in the order of its parent's.
    pub rank: usize,
    /// The object in which this member was seen last, see [`Walk`].
    pub seen_in: u64,
    pub items: Option<usize>,
    /// Whether the place is told of although nothing was seen there.
    is_announced: bool,
}

/// What is left to take up of a container, with its place.
enum Rest<'v> {
    Items(Option<usize>, slice::Iter<'v, Json>),
    Members(usize, ObjectIter<'v>),
}

impl Default for Profiler {
    fn default() -> Profiler {
        Profiler::new()
    }
}

impl Profiler {
    /// A profiler that has seen nothing.
    #[must_use]
    pub fn new() -> Profiler {
        let nodes = vec![Node::default()];
        Profiler {
            nodes,
            budget: Budget::default(),
            omitted: Distinct::default(),
            walk: Walk::default(),
            columns: Columns::default(),
        }
    }

    /// Names fields that records may have, so that the profile has them where there are no records.
    pub fn announce<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if let Some(node) = self.member(RECORD, name) {
                self.nodes[node].is_announced = true;
            }
        }
    }

    /// Takes up a whole document: the elements of an array are its records, anything else is one
    /// record itself.
    pub fn document(&mut self, document: &Json) {
        match document {
            Json::Array(records) => records.iter().for_each(|record| self.record(record)),
            record => self.record(record),
        }
    }

    /// Takes up one record. What is no object goes under the path `[]`.
    pub fn record<'r>(&mut self, record: impl Into<Record<'r>>) {
        match record.into().0 {
            Form::Tree(record) => self.tree(record),
            Form::Flat(flat, text) if self.locate(flat, text) => {
                let values = flat.parts().iter();
                let values = values.filter_map(|part| Value::of_part(*part, flat, text));
                for (place, value) in self.walk.places.iter().zip(values) {
                    self.nodes[*place].field.add(&value, &mut self.budget);
                }
            }
            Form::Flat(flat, text) => self.tree(&flat.to_json(text)),
            Form::Row(row) => self.row(&row),
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        if self.columns.names != row.names.id() {
            let names = row.names.all().iter();
            let places = names.map(|name| self.member(RECORD, name)).collect();
            let names = row.names.id();
            self.columns = Columns { names, places };
        }
        let columns = row.names.len();
        let record = &mut self.nodes[RECORD].field;
        record.add(&Value::Object(columns), &mut self.budget);
        for (column, place) in self.columns.places.iter().enumerate() {
            if let Some(place) = place {
                let field = &mut self.nodes[*place].field;
                field.add(&row.value(column), &mut self.budget);
            }
        }
    }

    fn tree(&mut self, record: &Json) {
        let mut stack = Vec::new();
        self.take(Some(RECORD), record, &mut stack);
        while let Some(rest) = stack.last_mut() {
            let next = match rest {
                Rest::Items(node, values) => values.next().map(|value| (*node, value)),
                Rest::Members(node, members) => {
                    let member = members.next();
                    member.map(|(key, value)| (self.member(*node, key), value))
                }
            };
            match next {
                Some((node, value)) => self.take(node, value, &mut stack),
                None => drop(stack.pop()),
            }
        }
    }

    /// Takes up a value at a place, unless that is omitted, and goes on with what it contains.
    fn take<'v>(&mut self, node: Option<usize>, value: &'v Json, stack: &mut Vec<Rest<'v>>) {
        let Some(node) = node else { return };
        let field = &mut self.nodes[node].field;
        field.add(&Value::from(value), &mut self.budget);
        match value {
            Json::Array(values) if !values.is_empty() => {
                stack.push(Rest::Items(self.items(node), values.iter()));
            }
            Json::Object(object) => stack.push(Rest::Members(node, object.iter())),
            _ => {}
        }
    }

    fn member(&mut self, parent: usize, key: &str) -> Option<usize> {
        let key = path::short_key(key);
        if let Some(&node) = self.nodes[parent].members.get(&*key) {
            return Some(node);
        }
        let node = self.grow(parent, Some(&key))?;
        let around = &mut self.nodes[parent];
        let rank = around.order.len();
        around.members.insert(key.into_owned(), node);
        around.order.push(node);
        self.nodes[node].rank = rank;
        Some(node)
    }

    fn items(&mut self, parent: usize) -> Option<usize> {
        if self.nodes[parent].items.is_none() {
            self.nodes[parent].items = self.grow(parent, None);
        }
        self.nodes[parent].items
    }

    /// A new place, while there is room.
    fn grow(&mut self, parent: usize, key: Option<&str>) -> Option<usize> {
        // The records' own place is not counted.
        if self.nodes.len() > MAX_FIELDS {
            let place = format!(
                "{parent}{}{}",
                if key.is_some() { '.' } else { '[' },
                key.unwrap_or("")
            );
            self.omitted.add(hash_text(&place), &mut self.budget);
            return None;
        }
        let key = key.map(str::to_owned);
        self.nodes.push(Node {
            parent,
            key,
            ..Node::default()
        });
        Some(self.nodes.len() - 1)
    }

    /// The profile of everything taken up.
    #[must_use]
    pub fn finish(mut self) -> Profile {
        let records = self.nodes[RECORD].field.count;
        let mut paths: Vec<String> = Vec::with_capacity(self.nodes.len());
        let mut fields = Vec::new();
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let (path, expected) = match &node.key {
                _ if index == RECORD => ("[]".to_owned(), records),
                None => (path::items(&paths[node.parent]), node.field.count),
                Some(key) => {
                    let parent = if node.parent == RECORD {
                        ""
                    } else {
                        &paths[node.parent]
                    };
                    let objects = self.nodes[node.parent].field.types.object;
                    (path::member(parent, key), objects)
                }
            };
            let missing = expected.saturating_sub(node.field.count);
            let field = std::mem::take(&mut self.nodes[index].field);
            // What parents counted is needed by their members, which come later.
            self.nodes[index].field.types = field.types;
            let is_announced = self.nodes[index].is_announced;
            if is_announced || field.count > 0 && !goes_without_saying(&field, missing) {
                fields.push((path.clone(), FieldProfile::new(field, missing)));
            }
            paths.push(path);
        }
        Profile::new(records, fields, self.omitted.count())
    }
}

/// Whether the field is an object in every record, so that its members say all there is.
fn goes_without_saying(field: &Field, missing: u64) -> bool {
    field.types.object == field.count && missing == 0 && field.empty == 0
}
