//! Which times are handed out at a moment.

use super::*;
use crate::schedules::plan::{GRACE, LEAD, MAX_MADE_UP, Plan};

fn schedule(definition: Definition) -> Schedule {
    Schedule::new("s".to_owned(), None, definition, START).unwrap()
}

fn plan(schedule: &Schedule, now: u64) -> Option<Plan> {
    let times = schedule.definition.times(schedule.anchor).unwrap();
    schedule.plan(&times, now)
}

/// The claimed times as seconds after [`START`], and the next time likewise.
fn planned(schedule: &Schedule, after: u64) -> (Vec<i64>, Option<i64>) {
    let plan = plan(schedule, START + after * SECOND).unwrap();
    let claim = plan.claim.into_iter().map(seconds).collect();
    (claim, plan.next.map(seconds))
}

#[test]
fn times_until_the_next_tick_are_claimed() {
    let of_ten = schedule(every(10));
    assert_eq!(
        planned(&of_ten, 0),
        (vec![10, 20, 30, 40, 50, 60, 70], Some(80))
    );
    let hourly = schedule(every(3600));
    assert_eq!(plan(&hourly, START), None);
    let soon = 3600 - LEAD / SECOND;
    assert_eq!(plan(&hourly, START + soon * SECOND - 1), None);
    assert_eq!(planned(&hourly, soon), (vec![3600], Some(7200)));
}

#[test]
fn a_time_is_missed_after_a_minute() {
    let mut hourly = schedule(every(3600));
    hourly.definition.missed = Missed::None;
    let last = 3600 + GRACE / SECOND;
    assert_eq!(planned(&hourly, last), (vec![3600], Some(7200)));
    assert_eq!(planned(&hourly, last + 1), (vec![], Some(7200)));
}

#[test]
fn of_missed_times_one_none_or_all_run() {
    for (missed, expected) in [
        (Missed::One, vec![540, 600, 660]),
        (Missed::None, vec![600, 660]),
        (Missed::All, (1..=11).map(|minute| minute * 60).collect()),
    ] {
        let mut of_minutes = schedule(every(60));
        of_minutes.definition.missed = missed;
        assert_eq!(
            planned(&of_minutes, 630),
            (expected, Some(720)),
            "{missed:?}"
        );
    }
}

#[test]
fn at_most_a_hundred_missed_times_run_whatever_the_length_of_the_gap() {
    let year = 365 * 24 * 3600;
    let mut of_seconds = schedule(every(1));
    of_seconds.definition.missed = Missed::All;
    let began = std::time::Instant::now();
    let (claim, next) = planned(&of_seconds, year);
    let on_time = (GRACE + LEAD) / SECOND + 1;
    assert_eq!(claim.len(), MAX_MADE_UP + usize::try_from(on_time).unwrap());
    let first = year - GRACE / SECOND - MAX_MADE_UP as u64;
    assert_eq!(claim[0], i64::try_from(first).unwrap());
    assert!(claim.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(next, Some(claim[claim.len() - 1] + 1));
    // A gap of a year has 31 million times.
    assert!(began.elapsed() < Duration::from_secs(5));
    // Rare times in a long gap.
    let mut of_months = schedule(every(30 * 24 * 3600));
    of_months.definition.missed = Missed::All;
    assert_eq!(planned(&of_months, year).0.len(), 12);
}

#[test]
fn a_schedule_ends_at_its_end_and_after_its_last_run() {
    let mut of_ten = schedule(every(10));
    of_ten.definition.end = Some(START + 30 * SECOND);
    assert_eq!(planned(&of_ten, 0), (vec![10, 20, 30], None));
    of_ten.definition.end = None;
    of_ten.definition.max_runs = Some(2);
    assert_eq!(planned(&of_ten, 0), (vec![10, 20], None));
    of_ten.count = 1;
    assert_eq!(planned(&of_ten, 0), (vec![10], None));
}

#[test]
fn a_schedule_begins_at_its_start() {
    let mut late = every(10);
    late.start = Some(START + 35 * SECOND);
    // An interval without a start of its own begins there.
    assert_eq!(
        planned(&schedule(late), 0),
        (vec![35, 45, 55, 65, 75], Some(85))
    );
    let mut late = minutely();
    // The first whole minute after START is 20 seconds later.
    late.start = Some(START + 20 * SECOND);
    assert_eq!(planned(&schedule(late.clone()), 0), (vec![20], Some(80)));
    late.start = Some(START + 20 * SECOND + 1);
    assert_eq!(planned(&schedule(late), 10), (vec![80], Some(140)));
}

#[test]
fn one_time_fires_once() {
    let at = |seconds: u64| schedule(definition(Spec::At(START + seconds * SECOND)));
    assert_eq!(planned(&at(30), 0), (vec![30], None));
    assert_eq!(planned(&at(30), 1000), (vec![30], None));
    assert_eq!(at(0).next, None);
}

#[test]
fn a_change_of_other_parts_keeps_the_next_time() {
    let mut of_minutes = schedule(every(60));
    let mut changed = every(60);
    changed.missed = Missed::All;
    of_minutes.redefine(changed, START + 600 * SECOND).unwrap();
    assert_eq!(of_minutes.next.map(seconds), Some(60));
    // Another rule drops what was missed.
    of_minutes
        .redefine(every(61), START + 600 * SECOND)
        .unwrap();
    assert_eq!(of_minutes.next.map(seconds), Some(661));
    // No time that was claimed is claimed again.
    of_minutes.last = Some(START + 670 * SECOND);
    of_minutes
        .redefine(minutely(), START + 601 * SECOND)
        .unwrap();
    assert_eq!(of_minutes.next.map(seconds), Some(680));
}

#[test]
fn times_of_a_pause_are_dropped() {
    let mut of_minutes = schedule(every(60));
    of_minutes.set_paused(true, START).unwrap();
    assert_eq!((of_minutes.next, of_minutes.due()), (None, None));
    assert_eq!(plan(&of_minutes, START + 600 * SECOND), None);
    // A paused schedule can be redefined.
    of_minutes.redefine(every(50), START + 10 * SECOND).unwrap();
    assert_eq!(of_minutes.next, None);
    of_minutes.set_paused(false, START + 600 * SECOND).unwrap();
    assert_eq!(of_minutes.next.map(seconds), Some(610));
}

#[test]
fn more_runs_continue_an_ended_schedule() {
    let mut of_ten = every(10);
    of_ten.max_runs = Some(2);
    let mut ended = schedule(of_ten.clone());
    let first = plan(&ended, START).unwrap();
    ended.claim(first);
    assert_eq!((ended.count, ended.next), (2, None));
    of_ten.max_runs = Some(3);
    ended.redefine(of_ten.clone(), START + 40 * SECOND).unwrap();
    assert_eq!(ended.next.map(seconds), Some(50));
    of_ten.max_runs = Some(1);
    ended.redefine(of_ten, START + 40 * SECOND).unwrap();
    assert_eq!(ended.next, None);
}
