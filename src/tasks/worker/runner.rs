//! The thread on which jobs run.
//!
//! A job that computes for long, or blocks, must not delay the heartbeats of its own lease or the
//! results of other tasks. So jobs have a thread and a runtime of their own; all calls to AWS stay
//! on the worker's thread.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Runs jobs on a thread of their own.
#[derive(Debug)]
pub struct Runner(Mutex<JobThread>);

#[derive(Debug)]
struct JobThread {
    runtime: Handle,
    /// Dropping the sender ends the thread, unless a job blocks the thread.
    _stop: oneshot::Sender<()>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system starts no thread.
    pub fn start() -> io::Result<Runner> {
        JobThread::start().map(|thread| Runner(Mutex::new(thread)))
    }

    /// Starts a job. Dropping the handle does not stop the job; `abort` stops the job at its next
    /// await point.
    pub fn spawn<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        thread.runtime.spawn(job)
    }

    /// Starts another thread for all further jobs, because a job blocks the present thread. The other
    /// jobs of the blocked thread go on if that job ends; otherwise their attempts are lost.
    pub fn replace(&self) {
        match JobThread::start() {
            Ok(fresh) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(error) => tracing::error!(%error, "no other thread for jobs could be started"),
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
        let (begun, has_begun) = oneshot::channel();
        let stuck = runner.spawn(async move {
            begun.send(()).unwrap();
            blocked.recv().is_err()
        });
        // A thread that is replaced drops the jobs that have not begun.
        has_begun.await.unwrap();
        runner.replace();
        assert_eq!(runner.spawn(async { 2 }).await.unwrap(), 2);
        drop(free);
        assert!(stuck.await.unwrap(), "the old thread ends its jobs");
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_job() {
        let runner = Runner::start().unwrap();
        let panicked = runner.spawn(async { panic!("a bug") }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(runner.spawn(async { 1 }).await.unwrap(), 1);
    }
}
