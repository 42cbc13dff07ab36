//! One reply of a change stream: where its events are, and the place after them.

use std::ops::Range;

use bson::Timestamp;

use crate::ResumeToken;
use crate::batch::Memory;
use crate::mongodb::cursor;
use crate::wire::{RESUMABLE, ReplyError};

/// A reply whose fields have been read.
pub(super) struct Reply {
    pub(super) memory: Memory,
    /// Where the BSON array of events lies in the memory.
    pub(super) events: Range<usize>,
    /// 0 when the stream has ended.
    pub(super) cursor_id: i64,
    pub(super) token: ResumeToken,
    pub(super) operation_time: Option<Timestamp>,
}

impl Reply {
    /// Takes what the cursor of a stream answered.
    pub(super) fn new(reply: cursor::Reply) -> Result<Reply, ReplyError> {
        let cursor::Reply { memory, at } = reply;
        let token = at.token.and_then(|token| memory.bytes().get(token));
        let token =
            token.ok_or_else(|| ReplyError::Malformed("it has no postBatchResumeToken".to_owned()))?;
        let token = ResumeToken::decode(token).map_err(|error| ReplyError::Malformed(error.to_string()))?;
        let (cursor_id, operation_time, events) = (at.cursor_id, at.operation_time, at.documents);
        Ok(Reply { cursor_id, token, operation_time, events, memory })
    }
}

/// Whether the server labels the error that the driver met as one after which the stream may be reopened.
pub(super) fn is_resumable_by_driver(error: &mongodb::error::Error) -> bool {
    error.contains_label(RESUMABLE)
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};
    use zenith_memory::Pool;

    use super::*;
    use crate::ReplyBudget;

    async fn parse(reply: RawDocumentBuf) -> Result<Reply, ReplyError> {
        let reply_budget = ReplyBudget::new(Pool::new(1024 * 1024).unwrap());
        let bytes = reply.into_bytes();
        let share = reply_budget.reserve(bytes.len()).await.unwrap();
        let body = 0..bytes.len();
        Reply::new(cursor::Reply::read(Memory::Heap { bytes, _share: share }, body)?)
    }

    #[tokio::test]
    async fn events_and_places_are_found() {
        let time = Timestamp { time: 7, increment: 1 };
        let cursor = rawdoc! {
            "nextBatch": [{ "a": 1 }], "postBatchResumeToken": { "_data": "8263" }, "id": 5_i64, "ns": "a.b",
        };
        let reply = parse(rawdoc! { "cursor": cursor, "ok": 1, "operationTime": time }).await.unwrap();
        assert_eq!((reply.cursor_id, reply.operation_time), (5, Some(time)));
        assert_eq!(reply.token.order(), b"8263");
        assert_eq!(reply.events.len(), 4 + 3 + rawdoc! { "a": 1 }.as_bytes().len() + 1);
    }

    #[tokio::test]
    async fn a_reply_without_a_place_is_refused() {
        for cursor in [
            rawdoc! { "nextBatch": [], "id": 5_i64 },
            rawdoc! { "nextBatch": [], "id": 5_i64, "postBatchResumeToken": { "_data": 1 } },
        ] {
            let reply = parse(rawdoc! { "cursor": cursor, "ok": 1 }).await;
            assert!(matches!(reply, Err(ReplyError::Malformed(_))));
        }
    }
}
