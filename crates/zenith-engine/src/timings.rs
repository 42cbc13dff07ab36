//! Where the time of a pipeline goes, for displays and for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of a [`HistogramSnapshot`], in seconds; the last bucket has none.
pub const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What a pipeline spends time with. Stages overlap, as they run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for documents of a collection that is read whole.
    Read,
    /// Making columns of documents.
    Decode,
    /// Waiting for memory to make them in.
    Wait,
    /// From the first byte of an insert that is sent to its acknowledgement, repeats included.
    Insert,
    /// Making a batch of changes durable: the intent, the insert and the checkpoint.
    Flush,
}

/// Durations by size, as they are counted.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// Durations by size at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// How many lie in each bucket; they are not cumulative.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl HistogramSnapshot {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    fn snapshot(&self) -> HistogramSnapshot {
        let mut buckets = [0; BOUNDS.len() + 1];
        for (count, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        HistogramSnapshot { buckets, sum: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)) }
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that a pipeline has spent. Its workers write it, any thread may read it.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    read: AtomicU64,
    decode: AtomicU64,
    wait: AtomicU64,
    insert: Histogram,
    flush: Histogram,
}

/// The time that a pipeline has spent, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimingsSnapshot {
    /// With [`Stage::Read`].
    pub read: Duration,
    /// With [`Stage::Decode`].
    pub decode: Duration,
    /// With [`Stage::Wait`].
    pub wait: Duration,
    /// With each [`Stage::Insert`].
    pub insert: HistogramSnapshot,
    /// With each [`Stage::Flush`].
    pub flush: HistogramSnapshot,
}

impl Timings {
    pub(crate) fn spent(&self, stage: Stage, took: Duration) {
        let of = match stage {
            Stage::Read => &self.read,
            Stage::Decode => &self.decode,
            Stage::Wait => &self.wait,
            Stage::Insert => return self.insert.add(took),
            Stage::Flush => return self.flush.add(took),
        };
        of.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> TimingsSnapshot {
        TimingsSnapshot {
            read: Duration::from_nanos(self.read.load(Ordering::Relaxed)),
            decode: Duration::from_nanos(self.decode.load(Ordering::Relaxed)),
            wait: Duration::from_nanos(self.wait.load(Ordering::Relaxed)),
            insert: self.insert.snapshot(),
            flush: self.flush.snapshot(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_by_size() {
        let timings = Timings::default();
        for millis in [3, 5, 6, 700, 40_000] {
            timings.spent(Stage::Insert, Duration::from_millis(millis));
        }
        timings.spent(Stage::Decode, Duration::from_millis(2));
        timings.spent(Stage::Wait, Duration::from_millis(3));
        let now = timings.snapshot();
        assert_eq!((now.read, now.wait), (Duration::ZERO, Duration::from_millis(3)));
        assert_eq!(now.insert.buckets, [2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!((now.insert.count(), now.insert.sum), (5, Duration::from_millis(40_714)));
        assert_eq!((now.decode, now.flush), (Duration::from_millis(2), HistogramSnapshot::default()));
    }
}
