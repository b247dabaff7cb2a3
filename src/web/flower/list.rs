//! `GET /api/tasks`: the newest tasks, filtered, searched and sorted.
//!
//! At most [`MOST`] tasks of each part of the list are read: of one name if a name is given, and of a state that has an
//! index. All else is compared in memory.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lambda_http::Request;

use super::arguments::{filter, int, text};
use super::failure::Failure;
use super::search::Search;
use super::task::{Shown, states_of};
use crate::dynamodb::StoreError;
use crate::tasks::client::Reader;
use crate::tasks::state::State;
use crate::tasks::store::{ListQuery, TaskFilter};
use crate::tasks::viewer::Viewer;

/// The most tasks that are read for one part of a list.
pub(super) const MOST: usize = 1_000;
/// The tasks of one read.
const PAGE: usize = 100;
/// The states that have an index for a viewer who sees all tasks.
const INDEXED: [State; 5] = [
    State::Scheduled,
    State::Retrying,
    State::Failed,
    State::Cancelled,
    State::Expired,
];

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    State,
    Received,
    Started,
}

const KEYS: [(&str, Key); 4] = [
    ("name", Key::Name),
    ("received", Key::Received),
    ("started", Key::Started),
    ("state", Key::State),
];

/// Which tasks a list has. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Query {
    limit: Option<usize>,
    offset: usize,
    /// The key, and whether the order is descending. `None` for the newest first.
    order: Option<(Key, bool)>,
    name: Option<String>,
    worker: Option<String>,
    /// The states of this service that the given state of Celery stands for.
    states: Option<&'static [State]>,
    start: Option<u64>,
    end: Option<u64>,
    search: Search,
}

/// Why a query is refused: a search has an answer of its own.
#[derive(Debug)]
pub(super) enum BadQuery {
    Search(String),
    Other(Failure),
}

impl From<Failure> for BadQuery {
    fn from(failure: Failure) -> BadQuery {
        BadQuery::Other(failure)
    }
}

impl Query {
    /// Reads the query of a request.
    pub fn read(request: &Request) -> Result<Query, BadQuery> {
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        let limit = int(request, "limit")?.map(count);
        let offset = int(request, "offset")?.map_or(0, count);
        let sort_by = text(request, "sort_by").filter(|text| !text.is_empty());
        let order = sort_by.map(|text| order(&text)).transpose()?;
        let search = text(request, "search").unwrap_or_default();
        let search = Search::parse(&search).map_err(BadQuery::Search)?;
        let time = |name| {
            let text = text(request, name).filter(|text| !text.is_empty());
            text.map(|text| minute(&text)).transpose()
        };
        Ok(Query {
            limit,
            offset,
            order,
            name: filter(request, "taskname"),
            worker: filter(request, "workername"),
            states: filter(request, "state").map(|name| states_of(&name)),
            start: time("received_start")?,
            end: time("received_end")?,
            search,
        })
    }

    /// The tasks, in their order.
    pub async fn tasks(
        &self,
        reader: &Reader,
        viewer: &Viewer,
        worker: &impl Fn(&str) -> String,
    ) -> Result<Vec<Shown>, StoreError> {
        let mut found = Vec::new();
        for state in self.parts(viewer) {
            self.read_part(reader, viewer, state, worker, &mut found)
                .await?;
        }
        found.retain(|task| self.has(task));
        found.sort_by(|one, other| self.compare(one, other));
        let rest = found.into_iter().skip(self.offset);
        Ok(rest.take(self.limit.unwrap_or(MOST)).collect())
    }

    /// The lists that together have all tasks of the query: of a state with an index, or of all others.
    fn parts(&self, viewer: &Viewer) -> Vec<Option<State>> {
        let sees_all = viewer.only().is_none();
        match self.states {
            _ if self.limit == Some(0) => Vec::new(),
            None => vec![None],
            Some(states) => {
                let is_indexed = |state: &State| sees_all && INDEXED.contains(state);
                let indexed = states.iter().filter(|state| is_indexed(state));
                let mut parts: Vec<_> = indexed.map(|state| Some(*state)).collect();
                if !states.iter().all(is_indexed) {
                    parts.push(None);
                }
                parts
            }
        }
    }

    /// Reads one of the lists, newest first.
    async fn read_part(
        &self,
        reader: &Reader,
        viewer: &Viewer,
        state: Option<State>,
        worker: &impl Fn(&str) -> String,
        found: &mut Vec<Shown>,
    ) -> Result<(), StoreError> {
        let wanted = self.wanted(state);
        let (mut after, mut read) = (None, 0);
        while read < wanted {
            let limit = PAGE.min(wanted - read);
            let query = ListQuery {
                filter: TaskFilter {
                    state,
                    job: self.name.clone(),
                    created_after: self.start,
                    created_before: self.end.map(|end| end.saturating_add(1)),
                    ..TaskFilter::default()
                },
                limit,
                after,
                ..ListQuery::default()
            };
            let (records, next) = reader.list(viewer, &query).await?;
            let is_short = records.len() < limit;
            read += records.len();
            let fitting = records.iter().filter(|record| {
                let is_other = |state| state != record.state || viewer.only().is_some();
                // Tasks of a state with an index are in its part.
                state.is_some()
                    || self.states.is_none_or(|states| {
                        states.contains(&record.state)
                            && INDEXED.iter().all(|indexed| is_other(*indexed))
                    })
            });
            found.extend(fitting.map(|record| Shown::new(record, worker)));
            after = next;
            // A short page has used up the reads of one call.
            if after.is_none() || is_short {
                break;
            }
        }
        Ok(())
    }

    /// How many tasks of a part are to be read: only as many as the answer has, if it has the first of them.
    fn wanted(&self, part: Option<State>) -> usize {
        let is_newest_first = matches!(self.order, None | Some((Key::Received, true)));
        let is_compared = self.worker.is_some()
            || self.search != Search::All
            || (part.is_none() && self.states.is_some());
        match (self.limit, is_newest_first && !is_compared) {
            (Some(limit), true) => self.offset.saturating_add(limit).min(MOST),
            _ => MOST,
        }
    }

    fn has(&self, task: &Shown) -> bool {
        let is_of_worker = |worker: &String| {
            let own = task.worker.as_deref().unwrap_or_default();
            own.to_lowercase() == worker.to_lowercase()
        };
        self.worker.as_ref().is_none_or(is_of_worker)
            && (self.search == Search::All || self.search.finds(&task.document()))
    }

    /// The order of two tasks. What is not known comes first, and tasks of one value are in the order of their ids.
    fn compare(&self, one: &Shown, other: &Shown) -> Ordering {
        let (key, is_descending) = self.order.unwrap_or((Key::Received, true));
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let order = match key {
            Key::Name => lower(&one.name).cmp(&lower(&other.name)),
            Key::State => one.state.cmp(other.state),
            Key::Received => one.received.cmp(&other.received),
            Key::Started => one.started.cmp(&other.started),
        };
        let order = order.then_with(|| one.id.cmp(&other.id));
        if is_descending {
            order.reverse()
        } else {
            order
        }
    }
}

fn order(text: &str) -> Result<(Key, bool), Failure> {
    let name = text.trim_start_matches('-');
    let found = KEYS.iter().find(|(known, _)| *known == name);
    let key = found.map(|(_, key)| (*key, text.starts_with('-')));
    key.ok_or_else(|| {
        let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Failure::bad(format!("Invalid sort_by '{text}', expected one of {names}"))
    })
}

/// A time of UTC as `YYYY-MM-DD HH:MM`.
fn minute(text: &str) -> Result<u64, Failure> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M", text).ok();
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    let time = time.ok_or_else(|| {
        let form = "expected format 'YYYY-MM-DD HH:MM'";
        Failure::bad(format!("Invalid received_start or received_end, {form}"))
    })?;
    // No task is older than the epoch.
    Ok(u64::try_from(time.timestamp().as_millisecond()).unwrap_or(0))
}
