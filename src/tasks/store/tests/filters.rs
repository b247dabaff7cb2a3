//! Filters of lists: against a reference over random tasks, and the bounds of their reads.

use proptest::prelude::*;

use super::*;
use crate::dynamodb::testing::{Gate, Rows, cases};
use crate::tasks::task::Scheduled;

const JOBS: [&str; 4] = ["mail.send", "mail.sort", "mail", "report"];
const CALLERS: [&str; 2] = ["ada", "grace"];
const ERRORS: [&str; 2] = ["Trouble", "WorkerLost"];
/// The states that [`Known`] tasks are brought into.
const STATES: [State; 7] = [
    State::Scheduled,
    State::Pending,
    State::Running,
    State::Retrying,
    State::Completed,
    State::Failed,
    State::Cancelled,
];
/// The milliseconds within which tasks are accepted.
const SPAN: u64 = 6;

/// A task, and what the reference knows of it.
#[derive(Debug, Clone)]
struct Known {
    id: TaskId,
    job: &'static str,
    caller: Option<&'static str>,
    state: State,
    error: &'static str,
    schedule: Option<&'static str>,
    age: u64,
}

impl Known {
    /// What the reference says.
    fn fits(&self, filter: &TaskFilter, viewer: &Viewer, start: u64) -> bool {
        let created = start + self.age;
        let has_error = matches!(self.state, State::Failed | State::Retrying);
        let state = match (&filter.state, &filter.error) {
            (None, Some(_)) => Some(State::Failed),
            (state, _) => *state,
        };
        let id = self.id.to_string();
        let is_uuid = Uuid::try_parse(&id).is_ok();
        let own = |caller: &str| self.caller == Some(caller);
        state.is_none_or(|state| state == self.state)
            && filter.job.as_ref().is_none_or(|job| job == self.job)
            && (filter.job_prefix.as_ref()).is_none_or(|prefix| self.job.starts_with(prefix))
            && filter.caller.as_deref().is_none_or(own)
            && filter.schedule.is_none_or_eq(self.schedule)
            && filter.created_after.is_none_or(|time| created >= time)
            && filter.created_before.is_none_or(|time| created < time)
            && (filter.error.as_ref()).is_none_or(|kind| has_error && kind == self.error)
            && (filter.id_prefix.as_ref())
                .is_none_or(|prefix| id.starts_with(prefix) && (is_uuid || !is_hex(prefix)))
            && viewer.only().is_none_or(own)
    }

    /// Stores the task.
    async fn store(&self, store: &TaskStore, start: u64) {
        let mut task = task();
        (task.id, task.job) = (self.id.clone(), self.job.to_owned());
        task.submitted_at = start + self.age;
        task.caller = self.caller.map(str::to_owned);
        task.schedule = self.schedule.map(|name| Scheduled {
            name: name.to_owned(),
            after: None,
        });
        if self.state == State::Scheduled {
            task.options.eta = Some(start + 3_600_000);
        }
        store.submitted(&task).await.unwrap();
        let error = TaskError::new(self.error, "it broke");
        match self.state {
            State::Scheduled | State::Pending => return,
            State::Cancelled => {
                store.cancel(&Viewer::Everyone, &self.id).await.unwrap();
                return;
            }
            _ => {}
        }
        let lease = claimed(store, &task, LEASE).await;
        let written = match self.state {
            State::Completed => store.complete(&lease, "1").await.unwrap(),
            State::Failed => store.fail(&lease, failed(&error)).await.unwrap(),
            State::Retrying => store.fail(&lease, retried(&error)).await.unwrap(),
            _ => Fenced::Written,
        };
        assert_eq!(written, Fenced::Written);
    }
}

trait NoneOrEq {
    fn is_none_or_eq(&self, other: Option<&str>) -> bool;
}

impl NoneOrEq for Option<String> {
    fn is_none_or_eq(&self, other: Option<&str>) -> bool {
        self.as_deref().is_none_or(|name| other == Some(name))
    }
}

/// Whether a prefix of the tests has two hexadecimal digits or more and nothing else.
fn is_hex(prefix: &str) -> bool {
    prefix.len() >= 2 && prefix.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn known() -> impl Strategy<Value = Known> {
    let id = prop_oneof![
        3 => any::<u128>().prop_map(|bits| TaskId::from(Uuid::from_u128(bits))),
        // Few values, so that several tasks share a beginning; some look like the beginning of a UUID.
        1 => ("(ab|zz|ä)", any::<u64>()).prop_map(|(start, rest)| {
            TaskId::parse(&format!("{start}{rest}")).unwrap()
        }),
    ];
    let schedule = prop_oneof![3 => Just(None), 1 => Just(Some("nightly"))];
    (
        id,
        prop::sample::select(&JOBS[..]),
        prop::option::of(prop::sample::select(&CALLERS[..])),
        prop::sample::select(&STATES[..]),
        prop::sample::select(&ERRORS[..]),
        schedule,
        0..SPAN,
    )
        .prop_map(|(id, job, caller, state, error, schedule, age)| Known {
            id,
            job,
            caller,
            state,
            error,
            schedule,
            age,
        })
}

/// A filter, and the number of the task whose id's beginning it has, with the length of the beginning.
fn filter() -> impl Strategy<Value = (TaskFilter, Option<(prop::sample::Index, usize)>)> {
    let some = |texts: &'static [&'static str]| {
        let text = prop::sample::select(texts).prop_map(str::to_owned);
        prop_oneof![2 => Just(None), 1 => text.prop_map(Some)]
    };
    let time = || prop_oneof![2 => Just(None), 1 => (0..SPAN + 1).prop_map(Some)];
    let state = prop::sample::select(&STATES[..]).prop_map(Some);
    (
        prop_oneof![2 => Just(None), 1 => state],
        some(&JOBS),
        some(&["mail", "mail.", "mail.so", "x"]),
        some(&CALLERS),
        some(&["nightly", "hourly"]),
        (time(), time()),
        some(&ERRORS),
        prop_oneof![
            2 => Just(None),
            1 => (any::<prop::sample::Index>(), 1..37usize).prop_map(Some),
        ],
    )
        .prop_map(
            |(state, job, job_prefix, caller, schedule, times, error, id)| {
                let filter = TaskFilter {
                    state,
                    job,
                    job_prefix,
                    caller,
                    schedule,
                    created_after: times.0,
                    created_before: times.1,
                    error,
                    id_prefix: None,
                };
                (filter, id)
            },
        )
}

fn viewers() -> [Viewer; 3] {
    let caller = |name: &str| Viewer::Caller(name.to_owned());
    [Viewer::Everyone, caller("ada"), caller("nobody")]
}

/// All tasks of a list, page by page.
async fn all(store: &TaskStore, viewer: &Viewer, mut query: ListQuery) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        let (records, next) = store.list(viewer, &query).await.unwrap();
        assert!(records.len() <= query.limit);
        ids.extend(records.into_iter().map(|record| record.id));
        match next {
            Some(next) => query.after = Some(next),
            None => return ids,
        }
    }
    panic!("a list without an end: {query:?}");
}

fn text_prefix(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

proptest! {
    #![proptest_config(cases(8))]

    /// Each list has exactly the tasks that the reference finds, in order, whatever its pages.
    #[test]
    fn lists_have_the_tasks_that_fit(
        tasks in prop::collection::vec(known(), 1..30),
        filters in prop::collection::vec(filter(), 8),
        limit in 1usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, start) = (store(), now_ms() - SPAN);
            for task in &tasks {
                task.store(&store, start).await;
            }
            for (mut filter, id) in filters {
                for time in [&mut filter.created_after, &mut filter.created_before] {
                    *time = time.map(|time| start + time);
                }
                filter.id_prefix = id.map(|(at, length)| {
                    text_prefix(at.get(&tasks).id.as_str(), length)
                });
                for viewer in viewers() {
                    let fits = |task: &&Known| task.fits(&filter, &viewer, start);
                    let mut expected: Vec<&Known> = tasks.iter().filter(fits).collect();
                    expected.sort_by_key(|task| std::cmp::Reverse((task.age, task.id.clone())));
                    let expected: Vec<TaskId> =
                        expected.into_iter().map(|task| task.id.clone()).collect();
                    let query = ListQuery { filter: filter.clone(), limit, ..ListQuery::default() };
                    assert_eq!(all(&store, &viewer, query).await, expected, "{viewer:?} {filter:?}");
                }
            }
        });
    }
}

/// How many tasks the large table has, more than a page may read entries; every 1,000th is of the job `rare`, and every 500th of the caller `ada`.
const MANY: u64 = 50_000;

/// The id of a task of the large table, evenly spread.
fn id_of(number: u64) -> TaskId {
    let bits = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    TaskId::from(Uuid::from_u128(bits))
}

/// A completed task of the large table.
fn row_of(number: u64, start: u64) -> serde_json::Value {
    let (id, created) = (id_of(number), start + number);
    let shard = list::shard(&id);
    let text = |value: &str| serde_json::json!({ "S": value });
    let number_of = |value: u64| serde_json::json!({ "N": value.to_string() });
    let mut row = serde_json::json!({
        "id": text(id.as_str()),
        "part": number_of(0),
        "job": text(if number % 1_000 == 7 { "rare" } else { "mail" }),
        "state": text("completed"),
        "run": number_of(1),
        "created_at": number_of(created),
        "list_shard": number_of(shard.into()),
        "list_key": text(&format!("{created:013}-{id}")),
    });
    if number % 500 == 0 {
        row["caller"] = text("ada");
        row["caller_shard"] = text(&list::caller_shard("ada", shard));
    }
    row
}

/// The pages of a list, with the most calls of a page: queries, and reads of records.
async fn costs(
    store: &TaskStore,
    faults: &Faults,
    filter: TaskFilter,
) -> (Vec<TaskId>, usize, [usize; 2]) {
    let calls = || ["Query", "BatchGetItem"].map(|name| faults.calls(name));
    let mut query = ListQuery {
        filter,
        limit: 100,
        ..ListQuery::default()
    };
    let (mut ids, mut pages, mut most) = (Vec::new(), 0, [0, 0]);
    loop {
        let before = calls();
        let (records, next) = store.list(&Viewer::Everyone, &query).await.unwrap();
        for at in [0, 1] {
            most[at] = most[at].max(calls()[at] - before[at]);
        }
        pages += 1;
        ids.extend(records.into_iter().map(|record| record.id));
        query.after = next;
        if query.after.is_none() || pages == 40 {
            return (ids, pages, most);
        }
    }
}

#[tokio::test]
async fn a_list_of_very_many_tasks_has_bounded_reads() {
    let faults = Faults::default();
    let rows = Rows::new(&faults);
    let start = now_ms() - MANY;
    rows.import(
        testing::TASKS,
        (0..MANY).map(|number| row_of(number, start)),
    );
    let client = rows.client(&Gate::default());
    let store = TaskStore::new(client, testing::TASKS.to_owned(), LEASE);
    let filter = TaskFilter::default;
    let text = |text: &str| Some(text.to_owned());

    // A page without a filter: one query of each partition.
    let query = ListQuery {
        limit: 100,
        ..ListQuery::default()
    };
    let (newest, _) = store.list(&Viewer::Everyone, &query).await.unwrap();
    assert_eq!(newest[0].id, id_of(MANY - 1));
    let calls = ["Query", "BatchGetItem"].map(|name| faults.calls(name));
    assert_eq!((newest.len(), calls), (100, [8, 1]));

    // The index leaves names out: 5 rounds of 8 partitions, 40,000 entries.
    let rare = TaskFilter {
        job_prefix: text("ra"),
        ..filter()
    };
    let (found, pages, [queries, reads]) = costs(&store, &faults, rare).await;
    assert_eq!((found.len(), pages), (50, 2));
    assert!(queries <= 40 && reads <= 5, "{queries} {reads}");

    // A state without an index is looked for in the records, 4,000 a page.
    let running = TaskFilter {
        state: Some(State::Running),
        ..filter()
    };
    let (found, pages, [queries, reads]) = costs(&store, &faults, running).await;
    assert!(found.is_empty() && pages >= 12, "{pages}");
    assert!(queries <= 40 && reads <= 40, "{queries} {reads}");

    // A range of time is read alone.
    let range = TaskFilter {
        created_after: Some(start + 25_000),
        created_before: Some(start + 25_040),
        ..filter()
    };
    let (found, pages, [queries, reads]) = costs(&store, &faults, range).await;
    let expected: Vec<TaskId> = (25_000..25_040).rev().map(id_of).collect();
    assert_eq!((found, pages, queries, reads), (expected, 1, 8, 1));

    // A caller has an index.
    let ada = TaskFilter {
        caller: text("ada"),
        ..filter()
    };
    let (found, pages, [queries, reads]) = costs(&store, &faults, ada).await;
    assert_eq!((found.len(), pages), (100, 2));
    assert!(queries <= 16 && reads <= 2, "{queries} {reads}");

    // The beginning of an id leads to one partition of about 6,250 entries, and a whole id to the record.
    let old = id_of(3);
    let begins = TaskFilter {
        id_prefix: text(&old.as_str()[..8]),
        ..filter()
    };
    let (found, pages, [queries, reads]) = costs(&store, &faults, begins).await;
    assert_eq!((found, pages), (vec![old.clone()], 2));
    assert!(queries <= 5 && reads <= 1, "{queries} {reads}");
    let whole = TaskFilter {
        id_prefix: text(old.as_str()),
        ..filter()
    };
    assert_eq!(costs(&store, &faults, whole).await, (vec![old], 1, [0, 1]));
}
