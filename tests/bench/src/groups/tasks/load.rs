//! Clients that submit tasks, and may wait for each result before the next submission.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use local_stack::process::interrupted;
use local_stack::{Error, Result};

use super::board::Board;

/// The clients of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The load's name, which follows a figure's name.
    pub name: &'static str,
    /// How many clients submit concurrently.
    pub clients: usize,
    /// How many tasks all clients submit.
    pub tasks: usize,
    /// Whether a client waits for its task's result before its next submission.
    pub waits: bool,
}

/// The results of a load.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Seconds from the start of each submission to the stored result.
    pub latencies: Vec<f64>,
    /// From the start of the first submission to the answer to the last one.
    pub accepted: Duration,
    /// From the start of the first submission to the last stored result.
    pub elapsed: Duration,
}

/// One task from its client's view.
#[derive(Debug, Clone, Copy)]
struct Lived {
    started: Instant,
    accepted: Instant,
    stored: Instant,
}

/// Runs a load; `submit` submits one task and returns its id.
///
/// # Errors
/// When a submission fails, or a result is missing.
pub fn run(
    load: &Load,
    board: &Board,
    submit: impl Fn() -> Result<String> + Sync,
) -> Result<Outcome> {
    let next = AtomicUsize::new(0);
    let lives = thread::scope(|scope| {
        let client = || client(load, board, &next, &submit);
        let clients: Vec<_> = (0..load.clients).map(|_| scope.spawn(client)).collect();
        let died = |_| Err(Error::new("a client's thread panicked"));
        let lives = clients.into_iter();
        let lives = lives.map(|client| client.join().unwrap_or_else(died));
        lives.collect::<Result<Vec<_>>>()
    })?;
    Ok(outcome(&lives.concat()))
}

fn client(
    load: &Load,
    board: &Board,
    next: &AtomicUsize,
    submit: &impl Fn() -> Result<String>,
) -> Result<Vec<Lived>> {
    let mut lives = Vec::new();
    let mut open = Vec::new();
    while next.fetch_add(1, Ordering::Relaxed) < load.tasks {
        if interrupted() {
            return Err(Error::new("stopped"));
        }
        let started = Instant::now();
        let id = submit()?;
        open.push((started, Instant::now(), id));
        if load.waits {
            settle(board, &mut open, &mut lives)?;
        }
    }
    settle(board, &mut open, &mut lives)?;
    Ok(lives)
}

/// Waits for the results of all open tasks.
fn settle(
    board: &Board,
    open: &mut Vec<(Instant, Instant, String)>,
    lives: &mut Vec<Lived>,
) -> Result<()> {
    for (started, accepted, id) in open.drain(..) {
        let stored = board.wait(&id)?;
        lives.push(Lived {
            started,
            accepted,
            stored,
        });
    }
    Ok(())
}

fn outcome(lives: &[Lived]) -> Outcome {
    let seconds = |life: &Lived| (life.stored - life.started).as_secs_f64();
    let first = lives.iter().map(|life| life.started).min();
    let since = |last: Option<Instant>| match (first, last) {
        (Some(first), Some(last)) => last - first,
        _ => Duration::ZERO,
    };
    Outcome {
        latencies: lives.iter().map(seconds).collect(),
        accepted: since(lives.iter().map(|life| life.accepted).max()),
        elapsed: since(lives.iter().map(|life| life.stored).max()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LOAD: Load = Load {
        name: "8 clients",
        clients: 8,
        tasks: 100,
        waits: true,
    };

    #[test]
    fn every_task_is_submitted_once_and_waited_for() {
        for waits in [true, false] {
            let board = Board::default();
            let ids = Mutex::new(0..);
            let submit = || {
                let id = ids.lock().unwrap().next().unwrap_or_default().to_string();
                board.stored(&id, Instant::now());
                Ok(id)
            };
            let outcome = run(&Load { waits, ..LOAD }, &board, submit).unwrap();
            assert_eq!(outcome.latencies.len(), 100);
            assert_eq!(ids.into_inner().unwrap().start, 100);
            assert!(outcome.elapsed > Duration::ZERO);
        }
    }

    #[test]
    fn a_refused_submission_ends_the_load() {
        let refused = || Err(Error::new("refused"));
        let error = run(&LOAD, &Board::default(), refused).unwrap_err();
        assert_eq!(error.to_string(), "refused");
    }

    #[test]
    fn times_are_counted_from_the_first_submission() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let life = |started, accepted, stored| Lived {
            started: at(started),
            accepted: at(accepted),
            stored: at(stored),
        };
        let outcome = outcome(&[life(2, 3, 9), life(1, 4, 5)]);
        assert_eq!(outcome.latencies, [7.0, 4.0]);
        assert_eq!(outcome.accepted, Duration::from_secs(3));
        assert_eq!(outcome.elapsed, Duration::from_secs(8));
    }
}
