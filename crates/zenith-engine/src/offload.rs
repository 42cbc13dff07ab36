//! Work that may block, away from the threads of the async runtime; in a simulation the task does it itself.

use std::future::Future;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::simulation;

/// The thread that did the work has panicked, or none could be started.
#[derive(Debug)]
pub(crate) struct Lost;

/// Does a piece of work on a thread where it may block.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
    if simulation::is_inline() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Lost)
}

/// A worker that may block between its awaits.
pub(crate) struct Worker<T> {
    ended: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Worker<T> {
    /// Has a thread of this name do the work.
    ///
    /// # Errors
    /// [`Lost`] if the system has no thread.
    pub(crate) fn spawn(
        name: String,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Worker<T>, Lost> {
        let (sender, ended) = oneshot::channel();
        let handle = Handle::current();
        if simulation::is_inline() {
            handle.spawn(async move {
                // Nobody listens to a load that has been given up.
                let _ = sender.send(work.await);
            });
        } else {
            let work = move || {
                let _ = sender.send(handle.block_on(work));
            };
            thread::Builder::new().name(name).spawn(work).map_err(|_| Lost)?;
        }
        Ok(Worker { ended })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Lost`] if it has panicked.
    pub(crate) async fn join(self) -> Result<T, Lost> {
        self.ended.await.map_err(|_| Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere_and_its_panic_is_told() {
        let here = thread::current().id();
        let there = run(move || thread::current().id()).await.unwrap();
        assert_ne!(here, there);
        let worker =
            Worker::spawn("worker".to_owned(), async { thread::current().name().map(str::to_owned) });
        assert_eq!(worker.unwrap().join().await.unwrap().as_deref(), Some("worker"));
        let worker = Worker::spawn("worker".to_owned(), async { assert_eq!(1, 2, "on purpose") });
        assert!(worker.unwrap().join().await.is_err());
    }
}
