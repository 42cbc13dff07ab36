//! Changes that wait to be written, and the places where they may be split into batches.
//!
//! A batch never ends inside one cluster time: the changes of a transaction become visible together, and no two rows of
//! one document have the same version. Only a transaction that is more than a batch holds, or whose parts come more than
//! 100 ms apart, is written in parts.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::event::{Event, EventKind};
use crate::simulation::{self, DeliberateBug};

/// How long the end of a transaction is waited for. A server sends all of one as fast as it can, but a transaction may
/// end with its reply, or go on in the next.
const TRANSACTION_TIMEOUT: Duration = Duration::from_millis(100);

/// Changes in the order of the stream.
#[derive(Debug)]
pub(super) struct PendingEvents {
    events: VecDeque<Event>,
    bytes: usize,
    arrived: Instant,
}

/// What can be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BatchReadiness {
    /// Nothing before this moment, or before more has come.
    At(Instant),
    /// The first so many changes can be written.
    Rows(usize),
    /// The first change is not one of a document.
    Gone,
}

/// How large a batch may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl PendingEvents {
    pub(super) fn new() -> PendingEvents {
        PendingEvents { events: VecDeque::new(), bytes: 0, arrived: Instant::now() }
    }

    pub(super) fn push(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.arrived = Instant::now();
        }
        self.bytes += events.iter().map(|event| event.bytes).sum::<usize>();
        self.events.extend(events);
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<Event> {
        let taken: Vec<Event> = self.events.drain(..count.min(self.events.len())).collect();
        self.bytes -= taken.iter().map(|event| event.bytes).sum::<usize>();
        taken
    }

    /// Changes up to the place `order`, and whether one behind it has come.
    pub(super) fn up_to(&self, order: &[u8]) -> (usize, bool) {
        let count = self.events.iter().take_while(|event| event.order() <= order).count();
        (count, count < self.events.len())
    }

    pub(super) fn is_full(&self, limits: Limits) -> bool {
        self.bytes >= limits.bytes
    }

    /// What can be done, if the next batch is due at `due` unless there are changes enough.
    pub(super) fn ready(&self, limits: Limits, due: Instant) -> BatchReadiness {
        let now = Instant::now();
        let enough = self.events.len() >= limits.rows || self.is_full(limits);
        if !enough && now < due {
            return BatchReadiness::At(due);
        }
        let whole = self.events.iter().position(|event| matches!(event.kind, EventKind::Gone(_)));
        if whole == Some(0) {
            return BatchReadiness::Gone;
        }
        let complete = whole.unwrap_or(self.events.len());
        if complete > limits.rows {
            let rows = self.boundary(limits.rows, complete);
            let may_go_on = rows == complete && whole.is_none() && !self.is_full(limits);
            if may_go_on && now < self.arrived + TRANSACTION_TIMEOUT {
                return BatchReadiness::At(self.arrived + TRANSACTION_TIMEOUT);
            }
            return BatchReadiness::Rows(rows);
        }
        let held = match self.events.back() {
            Some(last)
                if whole.is_none() && last.in_transaction && now < self.arrived + TRANSACTION_TIMEOUT =>
            {
                self.before_version(complete, last.version)
            }
            _ => complete,
        };
        match held {
            0 if self.is_full(limits) => BatchReadiness::Rows(complete),
            0 => BatchReadiness::At(self.arrived + TRANSACTION_TIMEOUT),
            rows => BatchReadiness::Rows(rows),
        }
    }

    /// The last place at or before `wanted` between two versions, else the first one after it.
    fn boundary(&self, wanted: usize, complete: usize) -> usize {
        if simulation::has(DeliberateBug::BatchEndsInsideClusterTime) {
            return wanted;
        }
        let Some(version) = self.events.get(wanted).map(|event| event.version) else { return complete };
        match self.before_version(wanted, version) {
            0 => self.events.iter().take(complete).take_while(|event| event.version == version).count(),
            place => place,
        }
    }

    /// Changes among the first `end` before those of `version` at their end.
    fn before_version(&self, end: usize, version: u64) -> usize {
        let same = self.events.range(..end).rev().take_while(|event| event.version == version).count();
        end - same
    }
}
