//! A gate stops an actor at a call to AWS: for ever, as if the actor died, or until other actors have
//! gone on.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// Whether an actor stops before the call takes effect, or after the effect and before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// The gate of one actor: all its calls go through the gate. The default gate stops no call.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of calls before the stop, and its side.
    stop: Mutex<Option<(u32, Side)>>,
    /// Whether the gate stops before each call.
    steps: bool,
    stopped: Notify,
    go: Notify,
}

impl Gate {
    /// A gate that stops its actor at the call with this number, from 0.
    pub fn stopping(call: u32, side: Side) -> Gate {
        let gate = Gate::default();
        *gate.0.stop.lock().unwrap() = Some((call, side));
        gate
    }

    /// A gate that stops its actor before each call; [`Gate::open`] lets one call through.
    pub fn stepping() -> Gate {
        Gate(Arc::new(Inner {
            steps: true,
            ..Inner::default()
        }))
    }

    /// Waits until the actor is stopped.
    pub async fn stopped(&self) {
        self.0.stopped.notified().await;
    }

    /// Lets a stopped actor go on. Only a stepping gate stops its actor again.
    pub fn open(&self) {
        *self.0.stop.lock().unwrap() = None;
        self.0.go.notify_one();
    }

    /// Makes a call, with the stop before or after the call.
    pub async fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        let stop = self.count();
        if stop == Some(Side::Before) {
            self.wait().await;
        }
        let answer = call();
        if stop == Some(Side::After) {
            self.wait().await;
        }
        answer
    }

    /// Counts a call, and returns the side of the stop, if any.
    fn count(&self) -> Option<Side> {
        if self.0.steps {
            return Some(Side::Before);
        }
        let mut stop = self.0.stop.lock().unwrap();
        match &mut *stop {
            Some((0, side)) => {
                let side = *side;
                *stop = None;
                Some(side)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    async fn wait(&self) {
        self.0.stopped.notify_one();
        self.0.go.notified().await;
    }
}
