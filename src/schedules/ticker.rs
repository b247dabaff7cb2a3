//! The ticker: hands out the times of all schedules that are due until the next tick, and adds up the numbers of
//! tasks.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, future};

use super::hand_out::{HandOut, Handed};
use super::plan::LEAD;
use super::store::SHARDS;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::emf::{Metric, Set, emit, milliseconds};
use crate::error::Chain;
use crate::tasks::counts::CountStore;

/// The time at the end of an invocation in which no further page is begun, in milliseconds.
const WRAP_UP: u64 = 10_000;

/// Hands out the times of all schedules, and adds up the numbers of tasks.
#[derive(Debug, Clone)]
pub struct Ticker {
    hand_out: HandOut,
    counts: CountStore,
}

/// The outcome of a tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// What was handed out.
    pub handed: Handed,
    /// Whether the time was over before all that was due was handed out; the next tick goes on.
    pub is_partial: bool,
}

impl Ticker {
    /// A ticker.
    pub fn new(hand_out: HandOut, counts: CountStore) -> Ticker {
        Ticker { hand_out, counts }
    }

    /// Hands out what is due until the next tick, and adds the minutes since the last tick to the totals of the
    /// numbers of tasks. `deadline` is Lambda's deadline, in milliseconds since the Unix epoch. Ticks may be
    /// repeated, run at the same time and end at any point.
    ///
    /// # Errors
    /// When the table of schedules does not answer. Other partitions of the index are handed out all the same.
    pub async fn tick(&self, deadline: u64) -> Result<Ticked, StoreError> {
        let (ticked, ()) = future::join(self.tick_shards(deadline), self.fold()).await;
        ticked
    }

    /// Adds up the numbers of tasks. The next tick makes up for a failure.
    async fn fold(&self) {
        if let Err(error) = self.counts.fold().await {
            tracing::warn!(error = %Chain(&error), "the numbers of tasks were not added up");
        }
    }

    async fn tick_shards(&self, deadline: u64) -> Result<Ticked, StoreError> {
        let until = deadline.saturating_sub(WRAP_UP);
        let mut shards: FuturesUnordered<_> = (0..SHARDS)
            .map(|shard| self.tick_shard(shard, until))
            .collect();
        let (mut ticked, mut failure) = (Ticked::default(), None);
        while let Some(outcome) = shards.next().await {
            match outcome {
                Ok(shard) => ticked = ticked.and(shard),
                Err(error) => failure = Some(error),
            }
        }
        report(&ticked);
        match failure {
            Some(error) => Err(error),
            None => Ok(ticked),
        }
    }

    /// One partition of the index, page by page, what is due first at the front.
    async fn tick_shard(&self, shard: u8, until: u64) -> Result<Ticked, StoreError> {
        let mut ticked = Ticked::default();
        let mut from = None;
        loop {
            let now = now_ms();
            let store = &self.hand_out.schedules;
            let page = store.due(shard, now + LEAD, from).await?;
            let handed = self.hand_out.hand_out(page.schedules, now).await;
            ticked.handed = ticked.handed.and(handed);
            from = page.next;
            if from.is_none() {
                return Ok(ticked);
            }
            if now_ms() >= until {
                ticked.is_partial = true;
                return Ok(ticked);
            }
        }
    }
}

impl Ticked {
    fn and(self, other: Ticked) -> Ticked {
        Ticked {
            handed: self.handed.and(other.handed),
            is_partial: self.is_partial || other.is_partial,
        }
    }
}

/// Counts a tick: `ScheduleTimes` handed out, `ScheduleLag` of the latest of them, and `SchedulesLeft` by
/// failures. Each tick counts, so that an alarm sees when no tick comes.
fn report(ticked: &Ticked) {
    let Handed { times, lag, failed } = ticked.handed;
    let metrics: [Metric; 3] = [
        ("ScheduleTimes", "Count", times),
        milliseconds("ScheduleLag", Duration::from_millis(lag)),
        ("SchedulesLeft", "Count", failed),
    ];
    emit(&[Set::of(&[], &metrics)]);
    tracing::info!(times, lag, failed, is_partial = ticked.is_partial, "ticked");
}
