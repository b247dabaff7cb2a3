//! One event on a task's record, as one conditional write.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::names::*;
use super::{RECORD, TaskStore, description, key, list};
use crate::dynamodb::row::{ID, Row, number, text};
use crate::dynamodb::{StoreError, refused_by};
use crate::tasks::id::TaskId;
use crate::tasks::state::{Event, State};
use crate::tasks::task::Task;

/// An update under construction. Every name is written as a placeholder, because DynamoDB has many
/// reserved words. The expressions are appended to one string each: a task has two updates, and
/// building their expressions from many small strings was a tenth of a task's CPU time.
pub(super) struct Update {
    client: Client,
    table: String,
    key: Row,
    event: Event,
    names: Vec<&'static str>,
    values: HashMap<String, AttributeValue>,
    conditions: String,
    sets: String,
    removes: String,
    adds: String,
}

/// An update as DynamoDB takes it.
pub(super) struct Expressions {
    pub table: String,
    pub key: Row,
    pub names: HashMap<String, String>,
    pub values: HashMap<String, AttributeValue>,
    pub condition: String,
    pub update: String,
}

/// The attributes that the end of a run writes for its effects, beside those of the task's description.
pub(super) const EFFECT_ATTRIBUTES: [&str; 3] = [CALLS, CALLS_CHUNKS, REJECTED];

/// The capacity for an update's values.
const VALUES: usize = 32;

/// The capacity of a clause in bytes.
const CLAUSE: usize = 512;

impl TaskStore {
    /// An event on a task's record. The condition is that the record's state allows the event; the
    /// update sets the event's target state. An event that may create the record also allows an
    /// absent record.
    pub(super) fn event(&self, id: &TaskId, event: Event) -> Update {
        let mut update = Update {
            client: self.client.clone(),
            table: self.table.clone(),
            key: key(id, RECORD),
            event,
            names: Vec::with_capacity(VALUES),
            values: HashMap::with_capacity(VALUES),
            conditions: String::with_capacity(CLAUSE),
            sets: String::with_capacity(CLAUSE),
            removes: String::new(),
            adds: String::new(),
        };
        update.name(STATE);
        for state in event.sources() {
            let before = match update.conditions.is_empty() {
                true => "#state IN (:is_",
                false => ", :is_",
            };
            push(&mut update.conditions, &[before, state.as_str()]);
            update.value(&["is_", state.as_str()], text(state.as_str()));
        }
        update.conditions.push(')');
        match event.target() {
            Some(state) => update.set_state(id, state),
            None => update,
        }
    }
}

impl Update {
    /// Adds a condition on an existing record.
    fn when(mut self, condition: &[&str]) -> Update {
        self.conditions.push_str(" AND ");
        push(&mut self.conditions, condition);
        self
    }

    /// Adds the condition that an attribute equals `value`.
    pub fn when_is(mut self, attribute: &'static str, value: AttributeValue) -> Update {
        self.name(attribute);
        self.value(&[attribute, "_was"], value);
        self.when(&["#", attribute, " = :", attribute, "_was"])
    }

    /// Adds the condition that an attribute is absent.
    pub fn when_none(mut self, attribute: &'static str) -> Update {
        self.name(attribute);
        self.when(&["attribute_not_exists(#", attribute, ")"])
    }

    /// The event that the update writes.
    pub fn written_event(&self) -> Event {
        self.event
    }

    /// Adds the condition that what the end of run number `run` sets off is done.
    pub fn when_effects_done(mut self, run: u32) -> Update {
        self.conditions.push_str(" AND (");
        for name in EFFECT_ATTRIBUTES {
            self.name(name);
            let none = ["attribute_not_exists(#", name, ") AND "];
            push(&mut self.conditions, &none);
        }
        self.name(EFFECTS);
        self.name(EFFECTS_DONE);
        self.value(&["ended"], number(run));
        let (effects, done) = (EFFECTS, EFFECTS_DONE);
        let clause = [
            "attribute_not_exists(#",
            effects,
            ") OR #",
            done,
            " = :ended)",
        ];
        push(&mut self.conditions, &clause);
        self
    }

    /// Adds the condition that an attribute exists.
    pub fn when_some(mut self, attribute: &'static str) -> Update {
        self.name(attribute);
        self.when(&["attribute_exists(#", attribute, ")"])
    }

    /// Adds the condition that no worker holds the task at the time `now`.
    pub fn when_free(mut self, now: u64) -> Update {
        self.name(LEASE_UNTIL);
        self.value(&["held"], text(State::Running.as_str()));
        self.value(&["at"], number(now));
        self.when(&["(#state <> :held OR #", LEASE_UNTIL, " < :at)"])
    }

    /// Adds the condition that the next attempt is due at the time `now`.
    pub fn when_due(mut self, now: u64) -> Update {
        self.name(NEXT_AT);
        self.value(&["due"], number(now));
        let next = NEXT_AT;
        self.when(&["(attribute_not_exists(#", next, ") OR #", next, " <= :due)"])
    }

    /// Adds the condition that the record belongs to the same submission as `task`, if the submission
    /// has an idempotency key.
    pub fn when_same_submission(self, task: &Task) -> Update {
        match &task.fingerprint {
            Some(fingerprint) => self.when_is(FINGERPRINT, text(fingerprint)),
            None => self,
        }
    }

    /// Sets the state, and the partition of the state's list.
    fn set_state(self, id: &TaskId, state: State) -> Update {
        let update = self.set(STATE, text(state.as_str()));
        match list::state_shard(id, state) {
            Some(shard) => update.set(STATE_SHARD, text(shard)),
            None => update.remove(STATE_SHARD),
        }
    }

    /// Sets an attribute.
    pub fn set(mut self, attribute: &'static str, value: AttributeValue) -> Update {
        self.name(attribute);
        self.value(&[attribute], value);
        let assignment = ["#", attribute, " = :", attribute];
        add_part(&mut self.sets, &assignment);
        self
    }

    /// Sets an attribute if it is absent.
    pub fn set_once(mut self, attribute: &'static str, value: AttributeValue) -> Update {
        self.name(attribute);
        self.value(&[attribute], value);
        let name = attribute;
        let assignment = ["#", name, " = if_not_exists(#", name, ", :", name, ")"];
        add_part(&mut self.sets, &assignment);
        self
    }

    /// Sets the absent attributes of the task's description.
    pub fn describe(self, task: &Task) -> Update {
        let described = description(task)
            .into_iter()
            .fold(self, |update, (name, value)| update.set_once(name, value));
        described.set_once(RUN, number(task.run))
    }

    /// Sets the absent attributes of a record of which only the id is known.
    pub fn describe_id(self, id: &TaskId, now: u64) -> Update {
        self.set_once(CREATED_AT, number(now))
            .set_once(LIST_SHARD, number(list::shard(id)))
            .set_once(LIST_KEY, list::list_key(id, now))
            .set_once(RUN, number(1))
    }

    /// Appends an entry to the list of attempts.
    pub fn append_history(mut self, entry: AttributeValue) -> Update {
        self.name(HISTORY);
        self.value(&["none"], AttributeValue::L(Vec::new()));
        self.value(&["entry"], AttributeValue::L(vec![entry]));
        let name = HISTORY;
        let longer = [
            "#",
            name,
            " = list_append(if_not_exists(#",
            name,
            ", :none), :entry)",
        ];
        add_part(&mut self.sets, &longer);
        self
    }

    /// Sets a member of an entry of the history; entries count from 0.
    pub fn set_history(
        mut self,
        entry: u32,
        member: &'static str,
        value: AttributeValue,
    ) -> Update {
        self.name(HISTORY);
        self.name(member);
        self.value(&["history_", member], value);
        let at = entry.to_string();
        let assignment = [
            "#",
            HISTORY,
            "[",
            &at,
            "].#",
            member,
            " = :history_",
            member,
        ];
        add_part(&mut self.sets, &assignment);
        self
    }

    /// Removes an entry of the history.
    pub fn remove_history(mut self, entry: u32) -> Update {
        self.name(HISTORY);
        let at = entry.to_string();
        add_part(&mut self.removes, &["#", HISTORY, "[", &at, "]"]);
        self
    }

    /// Removes an attribute.
    pub fn remove(mut self, attribute: &'static str) -> Update {
        self.name(attribute);
        add_part(&mut self.removes, &["#", attribute]);
        self
    }

    /// Adds `count` to a number.
    pub fn add(mut self, attribute: &'static str, count: impl ToString) -> Update {
        self.name(attribute);
        self.value(&[attribute], number(count));
        add_part(&mut self.adds, &["#", attribute, " :", attribute]);
        self
    }

    /// Sends the update. The inner error is the row that refused the condition.
    pub async fn send(self) -> Result<Result<(), Row>, StoreError> {
        let sent = self.request().send().await;
        sent.map_or_else(|error| refused_by(error).map(Err), |_| Ok(Ok(())))
    }

    /// As [`Update::send`], and returns the row after the update.
    pub async fn send_and_read(self) -> Result<Result<Row, Row>, StoreError> {
        let sent = self.request().return_values(ReturnValue::AllNew).send();
        match sent.await {
            Ok(UpdateItemOutput { attributes, .. }) => Ok(Ok(attributes.unwrap_or_default())),
            Err(error) => refused_by(error).map(Err),
        }
    }

    fn request(self) -> UpdateItemFluentBuilder {
        let update = self.client.update_item();
        let expressions = self.into_expressions();
        update
            .table_name(expressions.table)
            .set_key(Some(expressions.key))
            .return_values_on_condition_check_failure(AllOld)
            .set_expression_attribute_names(Some(expressions.names))
            .set_expression_attribute_values(Some(expressions.values))
            .update_expression(expressions.update)
            .condition_expression(expressions.condition)
    }

    /// The update as DynamoDB takes it.
    pub fn into_expressions(mut self) -> Expressions {
        let condition = match self.event.creates() {
            true => {
                self.name(ID);
                joined(&[
                    "attribute_not_exists(#",
                    ID,
                    ") OR (",
                    &self.conditions,
                    ")",
                ])
            }
            false => std::mem::take(&mut self.conditions),
        };
        let clauses = [
            ("SET ", self.sets),
            (" REMOVE ", self.removes),
            (" ADD ", self.adds),
        ];
        let mut update = String::with_capacity(2 * CLAUSE);
        for (verb, parts) in clauses.iter().filter(|(_, parts)| !parts.is_empty()) {
            push(&mut update, &[verb, parts]);
        }
        let names = self.names.iter();
        let names = names.map(|name| (joined(&["#", name]), (*name).to_owned()));
        Expressions {
            table: self.table,
            key: self.key,
            names: names.collect(),
            values: self.values,
            condition,
            update,
        }
    }

    /// The client that the update is sent with.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Declares a name of the expressions: `#` and the name.
    fn name(&mut self, attribute: &'static str) {
        if !self.names.contains(&attribute) {
            self.names.push(attribute);
        }
    }

    /// Declares a value of the expressions: `:` and the name, given in parts.
    fn value(&mut self, name: &[&str], value: AttributeValue) {
        let mut key = joined(&[":"]);
        push(&mut key, name);
        self.values.insert(key, value);
    }
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

fn joined(parts: &[&str]) -> String {
    let mut text = String::with_capacity(24);
    push(&mut text, parts);
    text
}

/// Appends a part to a clause, after a comma unless it is the first part.
fn add_part(clause: &mut String, parts: &[&str]) {
    if !clause.is_empty() {
        clause.push_str(", ");
    }
    push(clause, parts);
}
