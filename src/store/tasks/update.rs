//! One edge of a task's record, as one conditional update.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use uuid::Uuid;

use super::names::*;
use super::{RECORD, TaskStore, description, key, list};
use crate::store::keys::{ID, Row, number, text};
use crate::store::{StoreError, refused_by};
use crate::tasks::state::{Event, State};
use crate::tasks::task::Task;

/// An update being put together. Every name is written as a placeholder, so that none can be one
/// of DynamoDB's reserved words.
pub(super) struct Update {
    builder: UpdateItemFluentBuilder,
    creates: bool,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    conditions: Vec<String>,
    sets: Vec<String>,
    removes: Vec<String>,
    adds: Vec<String>,
}

impl TaskStore {
    /// An update on the condition that the record's state allows `event`; where the event may begin
    /// a record, also when there is none.
    pub(super) fn edge(&self, id: Uuid, event: Event) -> Update {
        let builder = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id, RECORD)))
            .return_values_on_condition_check_failure(AllOld);
        let mut update = Update {
            builder,
            creates: event.creates(),
            names: HashMap::new(),
            values: HashMap::new(),
            conditions: Vec::new(),
            sets: Vec::new(),
            removes: Vec::new(),
            adds: Vec::new(),
        };
        let mut allowed = Vec::new();
        for state in event.sources() {
            allowed.push(update.value(&format!("is_{state}"), text(state.as_str())));
        }
        let state = update.name(STATE);
        update.when(format!("{state} IN ({})", allowed.join(", ")))
    }
}

impl Update {
    /// Demands this too, of a record that there is already.
    pub fn when(mut self, condition: impl Into<String>) -> Update {
        self.conditions.push(condition.into());
        self
    }

    /// Demands that an attribute equals `value`.
    pub fn when_is(mut self, attribute: &str, value: AttributeValue) -> Update {
        let (name, value) = (
            self.name(attribute),
            self.value(&format!("{attribute}_was"), value),
        );
        self.when(format!("{name} = {value}"))
    }

    /// Demands that an attribute is not there.
    pub fn when_none(mut self, attribute: &str) -> Update {
        let name = self.name(attribute);
        self.when(format!("attribute_not_exists({name})"))
    }

    /// Demands that an attribute is there.
    pub fn when_some(mut self, attribute: &str) -> Update {
        let name = self.name(attribute);
        self.when(format!("attribute_exists({name})"))
    }

    /// Demands that no worker holds the task at the time `now`.
    pub fn when_free(mut self, now: u64) -> Update {
        let (state, until) = (self.name(STATE), self.name(LEASE_UNTIL));
        let running = self.value("held", text(State::Running.as_str()));
        let now = self.value("at", number(now));
        self.when(format!("({state} <> {running} OR {until} < {now})"))
    }

    /// Demands that the next attempt, if one is set for a later time, is due at the time `now`.
    pub fn when_due(mut self, now: u64) -> Update {
        let (next, now) = (self.name(NEXT_AT), self.value("due", number(now)));
        self.when(format!("(attribute_not_exists({next}) OR {next} <= {now})"))
    }

    /// Demands that the record is of the same submission as `task`, where one is told from another.
    pub fn when_of(self, task: &Task) -> Update {
        match &task.fingerprint {
            Some(fingerprint) => self.when_is(FINGERPRINT, text(fingerprint)),
            None => self,
        }
    }

    /// Leads to this state, and into its list where it has one.
    pub fn to(self, id: Uuid, state: State) -> Update {
        let update = self.set(STATE, text(state.as_str()));
        match list::state_shard(id, state) {
            Some(shard) => update.set(STATE_SHARD, text(shard)),
            None => update.remove(STATE_SHARD),
        }
    }

    /// Sets an attribute.
    pub fn set(mut self, attribute: &str, value: AttributeValue) -> Update {
        let (name, value) = (self.name(attribute), self.value(attribute, value));
        self.sets.push(format!("{name} = {value}"));
        self
    }

    /// Sets an attribute that is not there yet.
    pub fn set_once(mut self, attribute: &str, value: AttributeValue) -> Update {
        let (name, value) = (self.name(attribute), self.value(attribute, value));
        self.sets
            .push(format!("{name} = if_not_exists({name}, {value})"));
        self
    }

    /// Sets what a record says of its task, where it does not yet.
    pub fn describe(self, task: &Task) -> Update {
        let described = description(task)
            .into_iter()
            .fold(self, |update, (name, value)| update.set_once(name, value));
        described.set_once(RUN, number(task.run))
    }

    /// Appends to the list of attempts.
    pub fn append_history(mut self, entry: AttributeValue) -> Update {
        let name = self.name(HISTORY);
        let none = self.value("none", AttributeValue::L(Vec::new()));
        let entry = self.value("entry", AttributeValue::L(vec![entry]));
        self.sets.push(format!(
            "{name} = list_append(if_not_exists({name}, {none}), {entry})"
        ));
        self
    }

    /// Sets a member of an attempt's entry in the history; attempts count from 1.
    pub fn set_history(mut self, attempt: u32, member: &str, value: AttributeValue) -> Update {
        let (list, name) = (self.name(HISTORY), self.name(member));
        let value = self.value(&format!("history_{member}"), value);
        let at = attempt.saturating_sub(1);
        self.sets.push(format!("{list}[{at}].{name} = {value}"));
        self
    }

    /// Removes an attribute.
    pub fn remove(mut self, attribute: &str) -> Update {
        let name = self.name(attribute);
        self.removes.push(name);
        self
    }

    /// Adds to a number.
    pub fn add(mut self, attribute: &str, count: impl Display) -> Update {
        let (name, value) = (self.name(attribute), self.value(attribute, number(count)));
        self.adds.push(format!("{name} {value}"));
        self
    }

    /// Writes; a refusal is the row that the condition did not hold for.
    pub async fn send(self) -> Result<Result<Row, Row>, StoreError> {
        let clauses = [
            ("SET", self.sets),
            ("REMOVE", self.removes),
            ("ADD", self.adds),
        ];
        let expression: Vec<String> = clauses
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(verb, parts)| format!("{verb} {}", parts.join(", ")))
            .collect();
        let allowed = self.conditions.join(" AND ");
        let mut names = self.names;
        let condition = match self.creates {
            true => {
                names.insert("#id".to_owned(), ID.to_owned());
                format!("attribute_not_exists(#id) OR ({allowed})")
            }
            false => allowed,
        };
        let update = self
            .builder
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(self.values))
            .update_expression(expression.join(" "))
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew);
        match update.send().await {
            Ok(UpdateItemOutput { attributes, .. }) => Ok(Ok(attributes.unwrap_or_default())),
            Err(error) => refused_by(error).map(Err),
        }
    }

    fn name(&mut self, attribute: &str) -> String {
        let name = format!("#{attribute}");
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let name = format!(":{name}");
        self.values.insert(name.clone(), value);
        name
    }
}
