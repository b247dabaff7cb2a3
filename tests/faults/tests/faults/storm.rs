//! The storm: load, faults and kills at the same time, and the rules that must hold afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::{Accepted, Clients, Submitted};
use crate::fault;
use crate::judge;
use crate::kills::{self, Victims};
use crate::numbers;
use crate::observer::Counts;
use crate::order::Kind;
use crate::poison::{self, Message};
use crate::report::Report;
use crate::service::Service;
use crate::workflows::{self, Workflow};

/// The share of the tasks that must end during the storm, so that faults hit most of the work, and
/// the longest time for that after the last submission.
const IN_STORM: f64 = 0.95;
const STORM_PATIENCE: Duration = Duration::from_secs(120);

/// The longest time for the remaining tasks after the storm: the longest backoffs, and the messages
/// that are still in the queues.
const PATIENCE: Duration = Duration::from_secs(240);

/// The time between two sets of poison messages.
const POISON_EVERY: Duration = Duration::from_secs(8);

/// The size of a storm.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The number of tasks that clients of the service submit.
    pub tasks: u64,
    /// The number of tasks in workflows of Celery.
    pub of_celery: usize,
}

/// How many records are read concurrently.
const READERS: usize = 12;

/// How many violations are printed in full.
const TOLD: usize = 20;

/// Submits tasks during a storm, and checks their records.
pub fn run(service: &Service, seed: u64, size: Size) {
    let started = Instant::now();
    let before = service.observer().counts();
    let numbers = numbers::read(service);
    let known: HashSet<String> = ids(&service.list()).into_iter().collect();
    let (submitted, victims, messages, workflows) = storm(service, seed, size);
    let mut times = vec![("the storm ended", started.elapsed())];

    let mut wrong = submitted.violations.clone();
    wrong.extend(settle(service));
    times.push(("the queues were empty", started.elapsed()));
    let listed: Vec<String> = ids(&service.list());
    let listed = listed.into_iter().filter(|id| !known.contains(id));
    let listed: Vec<String> = listed.collect();
    let records = read_all(service, &listed);
    times.push(("all records were read", started.elapsed()));
    Report {
        seed,
        submitted: &submitted,
        victims: &victims,
        records: &records,
        counts: &service.observer().counts().since(&before),
        poison: messages.len(),
        times: &times,
    }
    .print(service);
    wrong.extend(check_lists(&submitted, &listed));
    wrong.extend(check_records(service, &submitted, &messages, &records));
    wrong.extend(check_dead_letters(service, &messages));
    let of_ids = records.iter();
    let of_ids = of_ids.filter_map(|record| Some((record["task_id"].as_str()?, record)));
    wrong.extend(workflows::faults_of(service, &workflows, &of_ids.collect()));
    wrong.extend(check_schedules(service, &submitted));
    wrong.extend(check_numbers(service, &before, &numbers, &victims));
    for violation in wrong.iter().take(TOLD) {
        println!("✗ {violation}\n");
    }
    assert!(
        wrong.is_empty(),
        "{} violations; repeat with FAULTS_SEED={seed} FAULTS_TASKS={} FAULTS_CELERY={}",
        wrong.len(),
        size.tasks,
        size.of_celery
    );
}

/// The numbers of what ended since `before`, against the writes since then.
fn check_numbers(
    service: &Service,
    before: &Counts,
    earlier: &BTreeMap<&'static str, u64>,
    victims: &Victims,
) -> Vec<String> {
    let since = service.observer().counts().since(before);
    let counted = numbers::read(service).into_iter();
    let counted = counted.map(|(state, count)| (state, count - earlier[state]));
    numbers::faults_of(&counted.collect(), &since, victims)
}

/// Runs the load, the faults and the kills, and stops the faults when most tasks have ended.
fn storm(
    service: &Service,
    seed: u64,
    size: Size,
) -> (Submitted, Victims, Vec<Message>, Vec<Workflow>) {
    let over = AtomicBool::new(false);
    service.set_stormy(true);
    let all = thread::scope(|scope| {
        let killer = scope.spawn(|| kills::run(service, seed, &over));
        let poisoner = scope.spawn(|| send_poison(service, seed, &over));
        let celery = scope.spawn(|| workflows::send(service, seed, size.of_celery));
        // Joined, so that a panic ends the other threads too.
        let clients = scope.spawn(|| Clients::new(service, seed, size.tasks).run());
        let (submitted, celery) = (clients.join(), celery.join());
        if let (Ok(submitted), Ok(workflows)) = (&submitted, &celery) {
            let ids = submitted.accepted.iter().map(|task| &task.id);
            let ids = ids.chain(workflows.iter().flat_map(|workflow| &workflow.ids));
            let enough = ids.clone().count() as f64 * IN_STORM;
            service.eventually(STORM_PATIENCE, || {
                service.observer().ended(ids.clone()) as f64 >= enough
            });
        }
        over.store(true, Ordering::SeqCst);
        (submitted, killer.join(), poisoner.join(), celery)
    });
    service.set_stormy(false);
    match all {
        (Ok(submitted), Ok(victims), Ok(messages), Ok(workflows)) => {
            (submitted, victims, messages, workflows)
        }
        _ => panic!("the storm was cut short: see the message of a thread above"),
    }
}

/// Sends a set of poison messages, duplicates and good messages from time to time.
fn send_poison(service: &Service, seed: u64, over: &AtomicBool) -> Vec<Message> {
    let mut random = fault::random(seed, "poison", 0, "");
    let mut sent = Vec::new();
    let mut next = Instant::now();
    while !over.load(Ordering::SeqCst) {
        if Instant::now() < next {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        for message in poison::messages(&mut random) {
            for _ in 0..=usize::from(message.twice) {
                service.send(&message.body);
            }
            sent.push(message);
        }
        next = Instant::now() + POISON_EVERY;
    }
    sent
}

/// Waits until the queues are empty. A task that has not ended always has a message.
fn settle(service: &Service) -> Option<String> {
    let is_empty = service.eventually(PATIENCE, || service.queued() == 0);
    (!is_empty).then(|| format!("the queues still have {} messages", service.queued()))
}

fn ids(records: &[Value]) -> Vec<String> {
    let ids = records
        .iter()
        .filter_map(|record| record["task_id"].as_str());
    ids.map(str::to_owned).collect()
}

/// The records of these tasks, each read by itself.
fn read_all(service: &Service, ids: &[String]) -> Vec<Value> {
    let next = AtomicUsize::new(0);
    let records = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while let Some(id) = ids.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let record = service.task(id);
                    records.lock().expect("records").push(record);
                }
            });
        }
    });
    records.into_inner().expect("records")
}

/// Every accepted task is in the list exactly once.
fn check_lists(submitted: &Submitted, listed: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let once: HashSet<&String> = listed.iter().collect();
    if once.len() != listed.len() {
        let twice = listed.len() - once.len();
        wrong.push(format!("{twice} tasks are listed twice"));
    }
    for task in &submitted.accepted {
        if !once.contains(&task.id) {
            wrong.push(format!("task {} is accepted but not listed", task.id));
        }
    }
    wrong
}

fn check_records(
    service: &Service,
    submitted: &Submitted,
    messages: &[Message],
    records: &[Value],
) -> Vec<String> {
    let accepted = submitted.accepted.iter();
    let accepted: HashMap<&str, &Accepted> =
        accepted.map(|task| (task.id.as_str(), task)).collect();
    let sent = messages.iter();
    let sent: HashMap<&str, &Message> = sent
        .filter_map(|one| Some((one.id.as_deref()?, one)))
        .collect();
    let mut wrong = Vec::new();
    for record in records {
        let id = record["task_id"].as_str().unwrap_or_default();
        let task = accepted.get(id);
        let mut found = judge::faults_of(record, &service.observer().endings(id));
        if let Some(task) = task {
            found.extend(judge::faults_of_accepted(task, record));
        }
        if let Some(message) = sent.get(id) {
            found.extend(judge::faults_of_message(message, record));
        }
        if !found.is_empty() {
            wrong.push(describe(service, id, &found, record));
        }
    }
    for id in sent
        .keys()
        .filter(|id| records.iter().all(|record| record["task_id"] != **id))
    {
        wrong.push(format!(
            "the message of task {id} was sent, but the task has no record"
        ));
    }
    wrong
}

/// A violation, with the task's record, writes and log lines.
fn describe(service: &Service, id: &str, found: &[String], record: &Value) -> String {
    format!(
        "task {id}: {}\n{record:#}\nwrites to the record, and faults:\n{}\nlast log lines about the task:\n{}",
        found.join("; "),
        service.observer().story(id),
        service.last_lines_with(id, 20)
    )
}

/// The dead-letter queue has exactly the poison messages, each with a reason. Repeated calls may
/// have sent a message more than once.
fn check_dead_letters(service: &Service, messages: &[Message]) -> Vec<String> {
    let mut wrong = Vec::new();
    let kept = service.take_dead_letters();
    let poison = messages.iter().filter(|message| message.is_poison());
    let poison: HashSet<&str> = poison.map(|message| message.body.as_str()).collect();
    for (body, reason) in &kept {
        if !poison.contains(body.as_str()) {
            wrong.push(format!(
                "the dead-letter queue has {body} with the reason {reason:?}"
            ));
        } else if reason.is_empty() {
            wrong.push(format!("the dead-letter queue has no reason for {body}"));
        }
    }
    let kept: HashSet<&str> = kept.iter().map(|(body, _)| body.as_str()).collect();
    for body in poison.difference(&kept) {
        wrong.push(format!("the dead-letter queue does not have {body:?}"));
    }
    wrong
}

/// A cancelled task's schedule is deleted. If the schedule remains, the function has logged why.
fn check_schedules(service: &Service, submitted: &Submitted) -> Vec<String> {
    let left = service.schedules();
    let is_scheduled = |task: &&Accepted| matches!(task.order.kind, Kind::Scheduled { .. });
    let scheduled: Vec<&Accepted> = submitted.accepted.iter().filter(is_scheduled).collect();
    println!(
        "schedules of {} cancelled tasks: {} remain\n",
        scheduled.len(),
        left.len()
    );
    let is_of = |name: &String, task: &Accepted| name.starts_with(&task.id);
    let is_told = |task: &Accepted| {
        let lines = service.last_lines_with(&task.id, usize::MAX);
        lines.contains("a one-time schedule was not deleted")
    };
    let mut wrong = Vec::new();
    for task in &scheduled {
        if left.iter().any(|name| is_of(name, task)) && !is_told(task) {
            wrong.push(format!(
                "task {} is cancelled, but its schedule remains",
                task.id
            ));
        }
    }
    for name in &left {
        if !scheduled.iter().any(|task| is_of(name, task)) {
            wrong.push(format!("the schedule {name} belongs to no accepted task"));
        }
    }
    if !scheduled.is_empty() && left.len() == scheduled.len() {
        wrong.push("no schedule was deleted".to_owned());
    }
    wrong
}
