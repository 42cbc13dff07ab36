//! Changes as they come out of a change stream: batches of raw events, places in the stream.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`ChangeBatch`] | one reply: events in pool memory, and the place after them |
//! | [`Change`] | one event, borrowed: ranges and a few fields |
//! | [`ResumeToken`] | a place in the stream |

mod event;
mod fields;
mod token;

use std::sync::Arc;

use bson::Timestamp;

pub(crate) use event::EventError;
pub use event::{Change, ChangeKind, Transaction};
pub(crate) use fields::{frames, timestamp};
pub use token::ResumeToken;
pub(crate) use token::cluster_time as token_cluster_time;

use crate::{DocumentBatch, ExtractError};

/// The events of one reply, maybe none. Dropping it returns its memory to the pool.
#[derive(Debug)]
pub struct ChangeBatch {
    events: DocumentBatch,
    token_after: ResumeToken,
    operation_time: Option<Timestamp>,
    /// Who sent it, for messages.
    address: Arc<str>,
}

impl ChangeBatch {
    pub(crate) fn new(
        events: DocumentBatch,
        token_after: ResumeToken,
        operation_time: Option<Timestamp>,
        address: Arc<str>,
    ) -> ChangeBatch {
        ChangeBatch { events, token_after, operation_time, address }
    }

    /// The bytes that ranges of a [`Change`] are of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.events.documents_bytes()
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none, and only the place in the stream has moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The size of the events together, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.events.byte_len()
    }

    /// The events, in the order of the stream.
    pub fn changes(&self) -> impl Iterator<Item = Result<Change<'_>, ExtractError>> {
        let bytes = self.bytes();
        self.events
            .ranges()
            .map(move |event| Change::parse(bytes, event).map_err(|error| self.malformed(error)))
    }

    /// The place after all events of this batch, and after everything before it that does not concern the stream: save
    /// it of empty batches too, else the stream of an idle collection falls behind the oplog. A stream of any scope can
    /// be opened after it; so it is not behind a [`ChangeKind::Invalidate`] that ends the batch, which comes again then.
    #[must_use]
    pub fn token_after(&self) -> &ResumeToken {
        &self.token_after
    }

    /// The newest operation the server knew of when it answered.
    #[must_use]
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.operation_time
    }

    fn malformed(&self, error: EventError) -> ExtractError {
        ExtractError::Protocol { address: self.address.to_string(), reason: error.to_string() }
    }
}
