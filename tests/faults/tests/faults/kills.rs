//! Kills and freezes processes; the seed determines the times and the processes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use local_stack::process;

use crate::fault;
use crate::service::{LEASE_SECONDS, Service};

/// The milliseconds between two victims.
const PAUSE: std::ops::Range<u64> = 200..1_500;

/// Victims besides the worker: one victim in `OTHER_IN` is a process of these functions.
const OTHERS: [&str; 4] = ["create_task", "cancel_task", "retry_task", "read_task"];
const OTHER_IN: u32 = 6;

/// One victim in `BODIES_IN` is a process that runs task bodies in Python, once `BODIES_ENDED` bodies have ended
/// since the last one: a new process takes a second of a core to start.
const BODIES_IN: u32 = 5;
const BODIES_ENDED: u64 = 5;
const BODIES: &str = "bodies";

/// One worker in `FROZEN_IN` is frozen instead of killed, for so many milliseconds. When it is
/// thawed, other workers have its tasks, and the worker continues with them all the same.
const FROZEN_IN: u32 = 3;
const FROZEN: std::ops::Range<u64> = LEASE_SECONDS * 1_000 + 300..LEASE_SECONDS * 1_000 + 3_000;

/// The number of victims of each function.
pub type Victims = BTreeMap<String, u64>;

/// Kills and freezes processes until `over` is set. Returns the number of victims by function.
pub fn run(service: &Service, seed: u64, over: &AtomicBool) -> Victims {
    let mut random = fault::random(seed, "kills", 0, "");
    let mut victims = Victims::new();
    let mut frozen: Vec<(Instant, u32)> = Vec::new();
    let mut next = Instant::now();
    let mut bodies = 0;
    while !over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
        thaw(&mut frozen, Instant::now());
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + Duration::from_millis(random.u64(PAUSE));
        let function = match random.u32(..OTHER_IN) {
            0 => OTHERS[random.usize(..OTHERS.len())],
            _ if random.u32(..BODIES_IN) == 0 => BODIES,
            _ => "worker",
        };
        let freezes = function == "worker" && random.u32(..FROZEN_IN) == 0;
        let pids = match function {
            BODIES if service.ended_bodies() >= bodies + BODIES_ENDED => {
                bodies = service.ended_bodies();
                service.body_pids()
            }
            BODIES => continue,
            function => service.pids_of(function),
        };
        let Some(pid) = random.choice(pids) else {
            continue;
        };
        if freezes {
            process::freeze(pid);
            let time = Duration::from_millis(random.u64(FROZEN));
            frozen.push((Instant::now() + time, pid));
            *victims.entry(format!("{function} frozen")).or_default() += 1;
        } else {
            process::kill_now(pid);
            *victims.entry(format!("{function} killed")).or_default() += 1;
        }
    }
    thaw(
        &mut frozen,
        Instant::now() + Duration::from_millis(FROZEN.end),
    );
    victims
}

/// Thaws processes whose time has come. A process that was killed in the meantime no longer exists,
/// and its id is not reused so soon.
fn thaw(frozen: &mut Vec<(Instant, u32)>, now: Instant) {
    for (_, pid) in frozen.extract_if(.., |(due, _)| *due <= now) {
        process::thaw(pid);
    }
}
