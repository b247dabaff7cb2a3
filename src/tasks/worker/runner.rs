//! The thread on which jobs run.
//!
//! A job that computes for long, or blocks, must not keep its own lease from being extended, nor
//! the results of others from being written. So jobs have a thread and a runtime of their own; all
//! calls to AWS stay on the worker's.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Runs jobs on another thread.
#[derive(Debug)]
pub struct Runner(Mutex<JobThread>);

#[derive(Debug)]
struct JobThread {
    runtime: Handle,
    /// Dropped, it ends the thread once nothing blocks it.
    _stop: oneshot::Sender<()>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> io::Result<Runner> {
        JobThread::start().map(|thread| Runner(Mutex::new(thread)))
    }

    /// Begins to run a job. Dropping the handle does not stop it; `abort` does, at its next await
    /// point.
    pub fn spawn<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        thread.runtime.spawn(job)
    }

    /// Takes another thread for all further jobs, since one blocks this one and does not end.
    /// Others that run on it go on when it ends, or are lost with their attempts.
    pub fn replace(&self) {
        match JobThread::start() {
            Ok(fresh) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(error) => tracing::error!(%error, "there is no other thread for jobs"),
        }
    }
}

impl JobThread {
    fn start() -> io::Result<JobThread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("jobs".to_owned())
            .spawn(move || drop(runtime.block_on(stopped)))?;
        Ok(JobThread {
            runtime: handle,
            _stop: stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blocked_thread_is_replaced() {
        let runner = Runner::start().unwrap();
        assert_eq!(runner.spawn(async { 1 }).await.unwrap(), 1);
        let (free, blocked) = std::sync::mpsc::channel::<()>();
        let stuck = runner.spawn(async move { blocked.recv().is_err() });
        runner.replace();
        assert_eq!(runner.spawn(async { 2 }).await.unwrap(), 2);
        drop(free);
        assert!(
            stuck.await.unwrap(),
            "the old thread ends what it has begun"
        );
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_job() {
        let runner = Runner::start().unwrap();
        let panicked = runner.spawn(async { panic!("a bug") }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(runner.spawn(async { 1 }).await.unwrap(), 1);
    }
}
