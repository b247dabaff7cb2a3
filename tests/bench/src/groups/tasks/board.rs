//! The times at which results were stored, and clients that wait for them.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use local_stack::process::interrupted;
use local_stack::{Error, Result};

/// The longest wait for a result.
const PATIENCE: Duration = Duration::from_secs(120);

/// The times at which results were stored, by task id. A result may be stored before its client
/// knows the task's id.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<String, Slot>>);

#[derive(Debug)]
enum Slot {
    Stored(Instant),
    Awaited(Sender<Instant>),
}

impl Board {
    /// Records that a task's result was stored. Later calls for the same task have no effect.
    pub fn stored(&self, id: &str, at: Instant) {
        let mut slots = self.slots();
        match slots.remove(id) {
            Some(Slot::Awaited(sender)) => drop(sender.send(at)),
            Some(Slot::Stored(first)) => drop(slots.insert(id.to_owned(), Slot::Stored(first))),
            None => drop(slots.insert(id.to_owned(), Slot::Stored(at))),
        }
    }

    /// Waits until a task's result is stored, and returns the time.
    ///
    /// # Errors
    /// When the wait takes too long.
    pub fn wait(&self, id: &str) -> Result<Instant> {
        let (sender, stored) = channel();
        {
            let mut slots = self.slots();
            match slots.remove(id) {
                Some(Slot::Stored(at)) => return Ok(at),
                _ => drop(slots.insert(id.to_owned(), Slot::Awaited(sender))),
            }
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match stored.recv_timeout(Duration::from_millis(200)) {
                Ok(at) => return Ok(at),
                Err(_) if interrupted() => return Err(Error::new("stopped")),
                Err(_) if Instant::now() > until => {
                    return Err(Error::new(format!("no result of the task {id}")));
                }
                Err(_) => {}
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_returns_a_result_stored_before_or_after_its_start() {
        let board = Board::default();
        let at = Instant::now();
        board.stored("early", at);
        board.stored("early", at + PATIENCE);
        assert_eq!(board.wait("early").unwrap(), at);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| board.wait("late").unwrap());
            while !matches!(board.slots().get("late"), Some(Slot::Awaited(_))) {
                std::thread::yield_now();
            }
            board.stored("late", at);
            assert_eq!(waiting.join().unwrap(), at);
        });
        assert!(board.slots().is_empty());
    }
}
