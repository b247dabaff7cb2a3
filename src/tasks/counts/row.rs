//! Numbers as attributes of a row.
//!
//! A row's `jobs` is the set of the names of its jobs. The number `c` of a job is the attribute `<key>c`, where the
//! key is derived from the job's name: names may be long, and each number would repeat the name.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::{Counts, Ended, Histogram, JobCounts};
use crate::dynamodb::Row;

/// The set of the names of a row's jobs.
pub const JOBS: &str = "jobs";

/// The namespace of the keys of jobs (a random UUID).
const KEYS: Uuid = Uuid::from_u128(0x8b1e_57c4_0d93_4a6f_b2c8_71f0_3e5a_96d4);
/// The bytes of a key's hash: two of a row's jobs have the same key once in 10^11 rows.
const HASH: usize = 6;
/// The characters of a key.
const KEY: usize = 8;

const RETRIES: &str = "t";
/// The sums of the times in milliseconds, and the buckets of the histograms, which the bucket's number follows.
const WAIT: (&str, &str) = ("W", "w");
const RUN: (&str, &str) = ("R", "r");

impl Ended {
    fn letter(self) -> &'static str {
        match self {
            Ended::Completed => "c",
            Ended::Failed => "f",
            Ended::Cancelled => "x",
            Ended::Expired => "e",
            Ended::Moved => "m",
        }
    }
}

/// The numbers as attributes: names and values, without zeros.
pub fn fields(counts: &Counts) -> Vec<(String, u64)> {
    let mut fields = Vec::new();
    for (job, counts) in &counts.jobs {
        let key = key(job);
        let mut add = |name: &str, count: u64| {
            if count > 0 {
                fields.push((format!("{key}{name}"), count));
            }
        };
        for (ended, count) in &counts.ended {
            add(ended.letter(), *count);
        }
        add(RETRIES, counts.retries);
        for ((sum, bucket), histogram) in [(WAIT, &counts.wait), (RUN, &counts.run)] {
            add(sum, histogram.sum_ms());
            for (number, count) in histogram.counts() {
                add(&format!("{bucket}{number}"), count);
            }
        }
    }
    fields
}

/// The names of the jobs, as a set.
pub fn names(counts: &Counts) -> AttributeValue {
    AttributeValue::Ss(counts.jobs.keys().cloned().collect())
}

/// The names of a row's jobs.
pub fn jobs(row: &Row) -> BTreeSet<String> {
    let jobs = row.get(JOBS).and_then(|jobs| jobs.as_ss().ok());
    jobs.into_iter().flatten().cloned().collect()
}

/// The numbers of a row. Attributes of other names, as of a later version, are left out.
pub fn read(row: &Row) -> Counts {
    let mut counts = Counts::default();
    for job in jobs(row) {
        counts.of(&job);
    }
    let keys: HashMap<String, String> = counts
        .jobs
        .keys()
        .map(|job| (key(job), job.clone()))
        .collect();
    for (name, value) in row {
        let (Some((start, field)), Ok(value)) = (name.split_at_checked(KEY), value.as_n()) else {
            continue;
        };
        let counts = keys.get(start).and_then(|job| counts.jobs.get_mut(job));
        if let (Some(counts), Ok(count)) = (counts, value.parse()) {
            read_field(counts, field, count);
        }
    }
    counts
}

fn read_field(counts: &mut JobCounts, field: &str, count: u64) {
    if let Some(ended) = Ended::ALL.into_iter().find(|ended| ended.letter() == field) {
        return counts.add_ended(ended, count);
    }
    if field == RETRIES {
        counts.retries += count;
        return;
    }
    read_time(&mut counts.wait, WAIT, field, count);
    read_time(&mut counts.run, RUN, field, count);
}

fn read_time(times: &mut Histogram, (sum, bucket): (&str, &str), field: &str, count: u64) {
    if field == sum {
        times.add_sum(count);
    } else if let Some(number) = field.strip_prefix(bucket)
        && let Ok(number) = number.parse()
    {
        times.add_to(number, count);
    }
}

fn key(job: &str) -> String {
    let hash = Uuid::new_v5(&KEYS, job.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..HASH])
}
