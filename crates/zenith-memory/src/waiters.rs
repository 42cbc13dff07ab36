//! Who waits for something shared, so that its holders can tell.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;

/// Counts those who wait for something shared; clones count together.
#[derive(Clone, Debug)]
pub struct Waiters {
    count: watch::Sender<usize>,
}

impl Default for Waiters {
    fn default() -> Waiters {
        Waiters { count: watch::Sender::new(0) }
    }
}

impl Waiters {
    /// The output of `future`, which is counted as one who waits while it is pending.
    pub async fn counted<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        // What is there at once is not waited for.
        let first = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        });
        match first.await {
            Some(output) => output,
            None => {
                let _one = Waiter::new(&self.count);
                future.await
            }
        }
    }

    /// Returns while somebody waits.
    pub async fn any(&self) {
        // The sender is here, so the channel is open.
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await;
    }
}

/// One who waits, until dropped.
struct Waiter<'w>(&'w watch::Sender<usize>);

impl Waiter<'_> {
    fn new(count: &watch::Sender<usize>) -> Waiter<'_> {
        count.send_modify(|count| *count += 1);
        Waiter(count)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::Waiters;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_counted_until_they_have_it_or_give_up() {
        let (waiters, semaphore) = (Waiters::default(), Arc::new(Semaphore::new(1)));
        let waits = async |waiters: &Waiters| timeout(Duration::from_secs(1), waiters.any()).await.is_ok();
        let held = waiters.counted(Arc::clone(&semaphore).acquire_owned()).await.unwrap();
        assert!(!waits(&waiters).await, "it was there at once");
        let other = tokio::spawn({
            let (waiters, semaphore) = (waiters.clone(), Arc::clone(&semaphore));
            async move { waiters.counted(semaphore.acquire_owned()).await.unwrap() }
        });
        assert!(waits(&waiters).await);
        let given_up = tokio::time::timeout(
            Duration::from_millis(5),
            waiters.counted(Arc::clone(&semaphore).acquire_owned()),
        );
        assert!(given_up.await.is_err());
        drop(held);
        drop(other.await.unwrap());
        assert!(!waits(&waiters).await);
    }
}
