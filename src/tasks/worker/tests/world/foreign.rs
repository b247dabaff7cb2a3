//! A wire format of the world, with producers that send messages and write no record. What the end of a
//! task sets off is an entry in a list.

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::*;
use crate::dynamodb::ConditionalPut;
use crate::dynamodb::row::{Row, text};
use crate::tasks::format::{Computed, Decoded, EffectError, Format, Incoming, Plan};
use crate::tasks::record::{End, TaskRecord};
use crate::tasks::registry::AnyJob;
use crate::tasks::task::Origin;

const PREFIX: &str = "test:";
const FORMAT: &str = "test";
const EFFECT: &str = "result";
/// The tag of a task whose effect is a row of a table: the state, the result and the calls of the end.
pub const PUTS: u8 = 2;
/// The first outcome of a task without a job.
const WITHOUT_JOB: char = 'x';

/// A message of the format.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    pub id: TaskId,
    pub script: Script,
    pub options: Options,
    /// Whether the origin is too large for the record.
    pub is_large: bool,
    /// The number of messages that carried the task before.
    pub generation: u32,
}

/// The state, the result and the calls of an end.
type Reported = (State, Option<String>, Option<String>);

/// A run of a task.
type Run = (TaskId, u32);

/// The ends that were reported, by run: one for each call.
#[derive(Debug, Clone, Default)]
pub struct Performed(Arc<Mutex<HashMap<Run, Vec<Reported>>>>);

/// The format, as one actor uses it.
pub struct Testing {
    pub rows: Rows,
    pub gate: Gate,
    pub performed: Performed,
    pub faults: Faults,
    pub queue: Queue,
}

impl Published {
    fn data(&self) -> Value {
        let padding = if self.is_large { 3_000 } else { 0 };
        json!({"tag": self.script.tag, "is_large": self.is_large, "padding": "x".repeat(padding)})
    }

    fn body(&self) -> String {
        format!("{PREFIX}{}", serde_json::to_string(self).unwrap())
    }

    fn task(&self, sent_at: u64) -> Task {
        let raw = |json: Value| RawValue::from_string(json.to_string()).unwrap();
        let outcomes = &self.script.outcomes;
        let job = match outcomes.starts_with(WITHOUT_JOB) {
            true => "unknown",
            false if outcomes.contains(remote::OUTCOMES) => remote::NAME,
            false => Scripted::NAME,
        };
        let input = raw(json!({"wrapped": self.script}));
        let mut task = Task::new(self.id.clone(), job, input, sent_at);
        task.options = self.options.clone();
        task.generation = self.generation;
        let effects = vec![EFFECT.to_owned()];
        task.origin = Some(Origin::new(FORMAT, effects, raw(self.data())));
        task
    }
}

/// The row of an end, unless the row of another end is there.
fn put(task: &Task, end: &End) -> ConditionalPut {
    let report = format!("{:?}", reported(end));
    let key = format!("{}/{}", task.id, end.run);
    ConditionalPut {
        table: testing::CELERY_RESULTS.to_owned(),
        row: Row::from([
            ("id".to_owned(), text(key)),
            ("report".to_owned(), text(&report)),
        ]),
        condition: "attribute_not_exists(#report) OR #report = :report",
        names: [("#report".to_owned(), "report".to_owned())].into(),
        values: [(":report".to_owned(), text(&report))].into(),
    }
}

fn reported(end: &End) -> Reported {
    let text = |json: &Option<Box<RawValue>>| json.as_ref().map(|json| json.get().to_owned());
    (end.state, text(&end.result), text(&end.calls))
}

fn data_of(task: &Task) -> Value {
    let origin = task.origin.as_ref().unwrap();
    serde_json::from_str(origin.data().unwrap().get()).unwrap()
}

impl Testing {
    /// Notes the effects of an end. Every first try for an odd tag fails.
    fn note(&self, task: &Task, end: &End) -> Result<(), EffectError> {
        let data = data_of(task);
        assert!(ends(&self.faults, &task.id) >= end.run, "before the end");
        let mut performed = self.performed.0.lock().unwrap();
        let calls = performed.entry((task.id.clone(), end.run)).or_default();
        let is_first = calls.is_empty();
        calls.push(reported(end));
        self.call(task, end, &data);
        match is_first && data["tag"] == 1 {
            true => Err(EffectError::Transient("busy".into())),
            false => Ok(()),
        }
    }
}

impl Testing {
    /// Sends the message in which a task goes on.
    fn call(&self, task: &Task, end: &End, data: &Value) {
        let calls = end.calls.as_ref().map(|calls| calls.get());
        let calls: Value = serde_json::from_str(calls.unwrap_or("[]")).unwrap();
        let Some(outcomes) = calls[0]["send"].as_str() else {
            return;
        };
        let next = Published {
            id: task.id.clone(),
            script: Script {
                outcomes: outcomes.to_owned(),
                tag: u8::try_from(data["tag"].as_u64().unwrap()).unwrap(),
            },
            options: Options::default(),
            is_large: data["is_large"] == true,
            generation: task.generation + 1,
        };
        self.queue.put(&next.body());
    }
}

impl Format for Testing {
    fn name(&self) -> &'static str {
        FORMAT
    }

    fn decode(&self, message: &Incoming<'_>) -> Option<Decoded> {
        let json = message.body.strip_prefix(PREFIX)?;
        let published: Published = serde_json::from_str(json).unwrap();
        let task = published.task(message.sent_at.unwrap());
        Some(Decoded::Task(Box::new(task)))
    }

    fn input(
        &self,
        _: &Task,
        _: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError> {
        let input: Value = serde_json::from_str(input.get()).unwrap();
        Ok(RawValue::from_string(input["wrapped"].to_string()).unwrap())
    }

    fn plan(&self, task: &Task, end: &End) -> Result<Plan, JobError> {
        // A moved task sends a message.
        match data_of(task)["tag"] == PUTS && end.state != State::Moved {
            true => Ok(Plan::Put(put(task, end))),
            false => Ok(Plan::Open),
        }
    }

    fn perform<'a>(
        &'a self,
        task: &'a Task,
        end: &'a End,
        _: Option<Computed>,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        Box::pin(async move {
            if data_of(task)["tag"] == PUTS {
                let client = self.rows.client(&self.gate);
                let put = put(task, end).send(&client);
                assert!(
                    put.await.unwrap(),
                    "another end of the same run is reported"
                );
            }
            self.gate.call(|| self.note(task, end)).await
        })
    }
}

impl World {
    pub fn formats(&self, gate: &Gate) -> Vec<Arc<dyn Format>> {
        let testing = Testing {
            rows: self.rows.clone(),
            gate: gate.clone(),
            performed: self.performed.clone(),
            faults: self.faults.clone(),
            queue: self.queue.clone(),
        };
        vec![Arc::new(testing)]
    }

    /// Sends a task as a producer of the format does.
    pub fn publish(&mut self, published: &Published) {
        self.queue.put(&published.body());
        self.ids.push(published.id.clone());
    }

    /// Checks the effects of a task at the end: each run's effects are performed, all calls of one run
    /// report the same end, and no other task has effects.
    pub async fn check_effects(&self, record: &TaskRecord) {
        let mut rows = HashMap::new();
        for run in 1..=record.run {
            rows.extend(self.row(&record.id, run).await.map(|row| (run, row)));
        }
        let performed = self.performed.0.lock().unwrap();
        if record.origin.is_none() {
            let mut others = performed.keys().filter(|(id, _)| *id == record.id);
            assert!(others.next().is_none(), "effects of a task without effects");
            return;
        }
        assert!(record.are_effects_done, "{record:?}");
        let states = self.faults.states(record.id.as_str());
        let states = states.iter().filter_map(|name| State::from_name(name));
        let ends: Vec<State> = states.filter(|state| state.is_final()).collect();
        for run in 1..=record.run {
            let state = ends[run as usize - 1];
            let calls = performed.get(&(record.id.clone(), run));
            assert!(
                calls.is_some() || rows.contains_key(&run),
                "run {run} has no effects: {record:?}"
            );
            for call in calls.into_iter().flatten() {
                assert_eq!(*call, calls.unwrap()[0]);
                assert_eq!(call.0, state, "the end of run {run}");
                let row = rows.get(&run);
                assert!(row.is_none_or(|row| *row == format!("{call:?}")), "{row:?}");
            }
            if let Some(row) = rows.get(&run) {
                assert!(
                    row.starts_with(&format!("({state:?}, ")),
                    "{row} of {state}"
                );
            }
        }
        let result = record.result.as_ref().map(|json| json.get());
        match performed.get(&(record.id.clone(), record.run)) {
            Some(calls) => assert_eq!(calls[0].1.as_deref(), result),
            None => assert!(rows[&record.run].contains(&format!("{result:?}"))),
        }
    }

    /// The number of calls that performed the effects of a task's first run, without the transactions.
    pub fn performed(&self, id: &TaskId) -> usize {
        let performed = self.performed.0.lock().unwrap();
        performed.get(&(id.clone(), 1)).map_or(0, Vec::len)
    }

    /// What the row of a run's end reports.
    pub async fn row(&self, id: &TaskId, run: u32) -> Option<String> {
        let client = self.rows.client(&Gate::default());
        let key = Row::from([("id".to_owned(), text(format!("{id}/{run}")))]);
        let got = client.get_item().table_name(testing::CELERY_RESULTS);
        let row = got.set_key(Some(key)).send().await.unwrap().item?;
        crate::dynamodb::row::find_text(&row, "report")
    }
}
