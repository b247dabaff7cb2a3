//! Processes that die, at times and of kinds that the seed decides.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use local_stack::process;

use crate::fault;
use crate::service::Service;

/// How many milliseconds pass between two kills.
const PAUSE: std::ops::Range<u64> = 300..2_000;

/// The functions of which one process in so many kills is.
const OTHERS: [&str; 4] = ["create_task", "cancel_task", "retry_task", "read_task"];
const OTHER_IN: u32 = 6;

/// Kills until it is told to stop, and counts by function.
pub fn run(service: &Service, seed: u64, over: &AtomicBool) -> BTreeMap<&'static str, u64> {
    let mut random = fault::random(seed, "kills", 0, "");
    let mut killed = BTreeMap::new();
    while !over.load(Ordering::SeqCst) {
        let next = Instant::now() + Duration::from_millis(random.u64(PAUSE));
        while Instant::now() < next && !over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        let function = match random.u32(..OTHER_IN) {
            0 => OTHERS[random.usize(..OTHERS.len())],
            _ => "worker",
        };
        let pids = service.pids_of(function);
        if let Some(pid) = random.choice(pids) {
            process::kill_now(pid);
            *killed.entry(function).or_default() += 1;
        }
    }
    killed
}
