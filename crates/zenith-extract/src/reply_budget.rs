//! The share of the pool that replies may occupy before they are decoded.
//!
//! Replies and the columns made from them come out of one pool. If replies could take all of it, their decoding would
//! wait for memory that only decoding can free. So readers draw on a share of the pool, and the decoders keep the
//! rest.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zenith_memory::{GRANULE, MemoryError, Pool, PoolBuf, Reservation, Waiters, round_up};

/// A share of a pool for replies; clones draw on the same share. First come, first served.
#[derive(Clone, Debug)]
pub struct ReplyBudget {
    pool: Pool,
    /// One permit is one granule.
    share: Arc<Semaphore>,
    granules_max: u32,
    waiters: Waiters,
}

impl ReplyBudget {
    /// Half of the pool.
    #[must_use]
    pub fn new(pool: Pool) -> ReplyBudget {
        let bytes_max = pool.budget() / 2;
        ReplyBudget::with_share(pool, bytes_max)
    }

    /// `bytes_max` of the pool, at most all of it.
    ///
    /// Below about 17 MiB a collection of the largest documents is read one reply at a time, in overdraft.
    #[must_use]
    pub fn with_share(pool: Pool, bytes_max: usize) -> ReplyBudget {
        let bytes_max = bytes_max.clamp(GRANULE, pool.budget());
        // A pool's budget fits u32 granules; `Pool::new` sees to that.
        let granules_max = u32::try_from(bytes_max / GRANULE).unwrap_or(u32::MAX);
        let share = Arc::new(Semaphore::new(bytes_max / GRANULE));
        ReplyBudget { pool, share, granules_max, waiters: Waiters::default() }
    }

    /// The size of the share.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        usize::try_from(self.granules_max).unwrap_or(usize::MAX).saturating_mul(GRANULE)
    }

    /// Waits for `bytes` of the share and of the pool.
    ///
    /// More than the whole share is given by overdrawing the pool, to one reply at a time and while no other has landed.
    ///
    /// # Errors
    /// None that a reply of MongoDB (48 MB at most) could cause; the pool's, otherwise.
    pub async fn reserve(&self, bytes: usize) -> Result<BudgetPermit, MemoryError> {
        let granules = u32::try_from(round_up(bytes) / GRANULE).unwrap_or(u32::MAX);
        let permits = granules.min(self.granules_max);
        // The semaphore is never closed, so acquiring cannot fail.
        let permit = self.waiters.counted(Arc::clone(&self.share).acquire_many_owned(permits)).await.ok();
        let reservation = if granules > self.granules_max {
            self.pool.overdraft(bytes).await
        } else {
            self.pool.reserve(bytes).await?
        };
        Ok(BudgetPermit { reservation, _permit: permit })
    }

    /// Those who wait for a part of the share.
    #[must_use]
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// A part of the share, held until dropped.
#[derive(Debug)]
pub struct BudgetPermit {
    reservation: Reservation,
    _permit: Option<OwnedSemaphorePermit>,
}

impl BudgetPermit {
    /// Makes a buffer of what was reserved. The share has to be kept as long as the buffer.
    ///
    /// # Errors
    /// As [`Reservation::allocate`].
    pub fn allocate(&mut self, capacity: usize) -> Result<PoolBuf, MemoryError> {
        self.reservation.allocate(capacity)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zenith_memory::Pool;

    use super::ReplyBudget;

    const MIB: usize = 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn replies_leave_the_rest_of_the_pool_alone() {
        let pool = Pool::new(8 * MIB).unwrap();
        let reply_budget = ReplyBudget::new(pool.clone());
        let held = reply_budget.reserve(3 * MIB).await.unwrap();
        let waiting = tokio::spawn({
            let reply_budget = reply_budget.clone();
            async move { reply_budget.reserve(2 * MIB).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        assert!(pool.try_reserve(4 * MIB).is_some());
        drop(held);
        waiting.await.unwrap();
        assert_eq!(pool.stats().in_use, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_larger_than_the_share_is_alone_and_overdraws() {
        let pool = Pool::new(2 * MIB).unwrap();
        let reply_budget = ReplyBudget::new(pool.clone());
        let mut large = reply_budget.reserve(17 * MIB).await.unwrap();
        assert_eq!(large.allocate(17 * MIB).unwrap().len(), 17 * MIB);
        let next = tokio::spawn(async move { reply_budget.reserve(512).await.unwrap() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!next.is_finished());
        assert!(pool.try_reserve(2 * MIB).is_some());
        drop(large);
        next.await.unwrap();
    }
}
