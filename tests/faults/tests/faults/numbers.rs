//! The numbers of `GET /stats/` against the writes that the table accepted.

use std::collections::BTreeMap;

use crate::call::FINAL;
use crate::kills::Victims;
use crate::observer::Counts;
use crate::service::Service;

/// The most tasks of a batch.
const BATCH: u64 = 10;

/// What has ended in the last day, by state.
pub fn read(service: &Service) -> BTreeMap<&'static str, u64> {
    let answer = service.ask("GET", "/stats/?window=86400", None, "");
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let stats = answer.json;
    let jobs = stats["jobs"].as_array().expect("jobs");
    let sum = |state: &&'static str| {
        let of_jobs = jobs.iter().filter_map(|job| job[*state].as_u64());
        (*state, of_jobs.sum())
    };
    FINAL.iter().map(sum).collect()
}

/// The numbers never exceed what ended. They miss at most the batches of workers that were killed or lost their
/// leases, the batches whose numbers a fault kept from the table, and the ends of which a function did not learn.
pub fn faults_of(
    counted: &BTreeMap<&'static str, u64>,
    ended: &Counts,
    victims: &Victims,
) -> Vec<String> {
    let (workers, others): (Vec<_>, Vec<_>) = victims
        .iter()
        .partition(|(name, _)| name.starts_with("worker"));
    let sum = |of: Vec<(&String, &u64)>| of.into_iter().map(|(_, count)| count).sum::<u64>();
    let allowed = BATCH * (sum(workers) + ended.lost_numbers) + sum(others) + ended.unanswered_ends;
    // In a small storm nearly every batch may be lost, so most ends must be counted in any case.
    let ends: u64 = FINAL.iter().map(|state| ended.writes(state)).sum();
    let allowed = allowed.min(ends / 2);
    let (mut wrong, mut missing) = (Vec::new(), 0);
    for (state, counted) in counted {
        let writes = ended.writes(state);
        match writes.checked_sub(*counted) {
            Some(short) => missing += short,
            None => wrong.push(format!(
                "{counted} tasks are counted as {state}, and {writes} are"
            )),
        }
    }
    let (written, lost) = (ended.numbers, ended.lost_numbers);
    println!(
        "numbers: {counted:?}, {missing} ends are missing of {allowed} that may be; \
         {written} writes, {lost} kept from the table\n"
    );
    if missing > allowed {
        wrong.push(format!(
            "the numbers miss {missing} ends, and {allowed} may be missing"
        ));
    }
    wrong
}
