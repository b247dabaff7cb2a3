//! A place where a caller of AWS can be stopped: for good, as if it died, or until others have done
//! something meanwhile.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// Whether a caller stops before a call is done, or when it is done and not yet answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// All calls of one caller go through its gate. One that is not told to stop anybody lets all through.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// After so many calls the caller is stopped.
    stop: Mutex<Option<(u32, Side)>>,
    /// Whether the caller is stopped before each call.
    steps: bool,
    stopped: Notify,
    go: Notify,
}

impl Gate {
    /// A gate that stops its caller at the call with this number, from 0.
    pub fn stopping(call: u32, side: Side) -> Gate {
        let gate = Gate::default();
        *gate.0.stop.lock().unwrap() = Some((call, side));
        gate
    }

    /// A gate that stops its caller before each call; [`Gate::open`] lets one through.
    pub fn stepping() -> Gate {
        Gate(Arc::new(Inner {
            steps: true,
            ..Inner::default()
        }))
    }

    /// Waits until the caller has been stopped.
    pub async fn stopped(&self) {
        self.0.stopped.notified().await;
    }

    /// Lets a stopped caller go on; one that does not go step by step is never stopped again.
    pub fn open(&self) {
        *self.0.stop.lock().unwrap() = None;
        self.0.go.notify_one();
    }

    /// Passes a call on.
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

    /// Counts a call; where its caller is to be stopped, if at all.
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
