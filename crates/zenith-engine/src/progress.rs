//! What a run has done so far, for displays and for the summary.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::timings::{Stage, Timings, TimingsSnapshot};

/// Counters of one run. Its workers write them, any thread may read them.
#[derive(Debug, Default)]
pub struct Progress {
    /// Documents the collection is thought to have; 0 while unknown.
    documents_expected: AtomicU64,
    documents_read: AtomicU64,
    rows_unwound: AtomicU64,
    source_bytes: AtomicU64,
    rows_written: AtomicU64,
    arrow_bytes: AtomicU64,
    extra_values: AtomicU64,
    dead_letters: AtomicU64,
    inserts: AtomicU64,
    inserts_repeated: AtomicU64,
    retries: [AtomicU64; Retried::ALL.len()],
    memory_in_use: AtomicU64,
    timings: Timings,
    told: Mutex<Told>,
    are_ignored_told: AtomicBool,
}

/// What was said of dead letters.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    dead_letters: u64,
}

/// What was tried again, apart from inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// Something else that was asked of the target.
    Target,
    /// Something that was asked of the source.
    Source,
    /// The change stream was opened again.
    Stream,
    /// The state could not be read or written.
    State,
    /// Anything else.
    Other,
}

impl Retried {
    /// All of them, in the order of [`ProgressSnapshot::retries`].
    pub const ALL: [Retried; 5] =
        [Retried::Target, Retried::Source, Retried::Stream, Retried::State, Retried::Other];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Retried::Target => "target",
            Retried::Source => "source",
            Retried::Stream => "stream",
            Retried::State => "state",
            Retried::Other => "other",
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Documents the collection is thought to have, and the rows that those read so far have beyond one each; 0 while unknown.
    pub documents_expected: u64,
    /// Documents read.
    pub documents_read: u64,
    /// Rows that documents have beyond one each, as an array of theirs is unwound.
    pub rows_unwound: u64,
    /// Bytes of BSON read.
    pub source_bytes: u64,
    /// Rows acknowledged as durable.
    pub rows_written: u64,
    /// Bytes of Arrow data sent for them.
    pub arrow_bytes: u64,
    /// Values that went to the extra column, as far as their rows have been counted.
    pub extra_values: u64,
    /// Documents put into the dead letter table.
    pub dead_letters: u64,
    /// Inserts acknowledged.
    pub inserts: u64,
    /// Inserts that had to be sent again.
    pub inserts_repeated: u64,
    /// What else was tried again, in the order of [`Retried::ALL`].
    pub retries: [u64; Retried::ALL.len()],
    /// Bytes of the memory budget in use.
    pub memory_in_use: u64,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressSnapshot {
            documents_expected: match get(&self.documents_expected) {
                0 => 0,
                documents => documents + get(&self.rows_unwound),
            },
            documents_read: get(&self.documents_read),
            rows_unwound: get(&self.rows_unwound),
            source_bytes: get(&self.source_bytes),
            rows_written: get(&self.rows_written),
            arrow_bytes: get(&self.arrow_bytes),
            extra_values: get(&self.extra_values),
            dead_letters: get(&self.dead_letters),
            inserts: get(&self.inserts),
            inserts_repeated: get(&self.inserts_repeated),
            retries: self.retries.each_ref().map(get),
            memory_in_use: get(&self.memory_in_use),
        }
    }

    /// Where the time has gone.
    #[must_use]
    pub fn timings(&self) -> TimingsSnapshot {
        self.timings.snapshot()
    }

    /// Counts the time since `begun` as spent with something.
    pub(crate) fn spent(&self, stage: Stage, begun: Instant) {
        self.timings.spent(stage, begun.elapsed());
    }

    /// Does what makes columns of documents on this thread, and counts its time, apart from that of waiting for memory.
    pub(crate) fn decoding<V>(&self, work: impl FnOnce() -> V) -> V {
        let (begun, waited_before) = (Instant::now(), zenith_memory::waited());
        let done = work();
        let waited = zenith_memory::waited().saturating_sub(waited_before);
        self.timings.spent(Stage::Wait, waited);
        self.timings.spent(Stage::Decode, begun.elapsed().saturating_sub(waited));
        done
    }

    pub(crate) fn expect(&self, documents: u64) {
        self.documents_expected.store(documents, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, documents: usize, bytes: usize) {
        self.documents_read.fetch_add(to_u64(documents), Ordering::Relaxed);
        self.source_bytes.fetch_add(to_u64(bytes), Ordering::Relaxed);
    }

    pub(crate) fn unwound(&self, rows: usize) {
        self.rows_unwound.fetch_add(to_u64(rows), Ordering::Relaxed);
    }

    pub(crate) fn written(&self, rows: u64, bytes: u64) {
        self.rows_written.fetch_add(rows, Ordering::Relaxed);
        self.arrow_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inserts.fetch_add(1, Ordering::Relaxed);
    }

    /// So many rows were written for so many documents.
    pub(crate) fn written_for(&self, documents: u64, rows: u64) {
        self.rows_written.fetch_add(documents, Ordering::Relaxed);
        self.rows_written.fetch_sub(rows, Ordering::Relaxed);
    }

    pub(crate) fn repeated(&self) {
        self.inserts_repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// Something else than an insert is tried again.
    pub(crate) fn retried(&self, what: Retried) {
        if let Some(index) = Retried::ALL.iter().position(|known| *known == what) {
            self.retries[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn extra(&self, values: u64) {
        self.extra_values.fetch_add(values, Ordering::Relaxed);
    }

    pub(crate) fn dead(&self, letters: u64) {
        self.dead_letters.fetch_add(letters, Ordering::Relaxed);
    }

    /// How many dead letters there have been since it was last said, if it is time to say it again.
    pub(crate) fn tell_dead_letters(&self, every: Duration) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.at.is_some_and(|at| at.elapsed() < every) {
            return None;
        }
        let dead_letters = self.dead_letters.load(Ordering::Relaxed);
        let untold = dead_letters.saturating_sub(told.dead_letters);
        *told = Told { at: Some(Instant::now()), dead_letters };
        Some(untold)
    }

    /// Tells once that fields without a column are left out, these among them.
    pub(crate) fn tell_ignored(&self, pipeline: &str, fields: &BTreeSet<String>) {
        const NAMED: usize = 5;
        if fields.is_empty() || self.are_ignored_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let named: Vec<&str> = fields.iter().take(NAMED).map(String::as_str).collect();
        let others = if fields.len() > NAMED { " and others" } else { "" };
        tracing::warn!(
            pipeline,
            "fields that the table has no column for are left out, as on_new_field = \"ignore\": {}{others}",
            named.join(", ")
        );
    }

    pub(crate) fn memory(&self, bytes: usize) {
        self.memory_in_use.store(to_u64(bytes), Ordering::Relaxed);
    }

    /// A load starts over: what was read and written before does not count.
    pub(crate) fn restart(&self) {
        for counter in [
            &self.documents_read,
            &self.rows_unwound,
            &self.source_bytes,
            &self.rows_written,
            &self.arrow_bytes,
            &self.extra_values,
            &self.dead_letters,
            &self.inserts,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
