//! The reply to `find` and `getMore`: where its documents are, and how to continue.

use std::ops::Range;

use bson::{RawBsonRef, RawDocument, Timestamp};
use zenith_bson::{Elements, RawError, tag};

use crate::change::timestamp;

/// The label of errors after which a change stream may be reopened.
pub(crate) const RESUMABLE: &str = "ResumableChangeStreamError";

/// What a cursor command answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CursorReply {
    /// Where the BSON array of documents lies.
    pub(crate) documents: Range<usize>,
    /// The cursor to ask for more; 0 after the last reply.
    pub(crate) cursor_id: i64,
    /// Where the place after them lies, of a change stream and of a scan that requested it.
    pub(crate) token: Option<Range<usize>>,
    /// The newest operation the server knew of.
    pub(crate) operation_time: Option<Timestamp>,
}

/// Why a reply has no documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyError {
    /// The server says that the command failed.
    #[error("{message} ({code_name}, code {code})")]
    Command {
        code: i32,
        code_name: String,
        message: String,
        /// Whether it is labelled as one after which a change stream may be reopened.
        is_resumable: bool,
    },
    /// It is no reply to a cursor command.
    #[error("{0}")]
    Malformed(String),
}

impl From<RawError> for ReplyError {
    fn from(error: RawError) -> ReplyError {
        ReplyError::Malformed(error.to_string())
    }
}

impl CursorReply {
    /// Reads the reply that fills `body` of `bytes`; places are places in `bytes`.
    pub(crate) fn parse(bytes: &[u8], body: Range<usize>) -> Result<CursorReply, ReplyError> {
        let missing = |what: &str| ReplyError::Malformed(format!("it has no {what}"));
        let reply = RawDocument::from_bytes(bytes.get(body.clone()).unwrap_or_default());
        check_ok(reply.map_err(|error| ReplyError::Malformed(error.to_string()))?)?;
        let (mut cursor, mut operation_time) = (None, None);
        for element in Elements::within(bytes, body)? {
            let element = element?;
            match (element.key, element.value.tag) {
                (b"cursor", tag::DOCUMENT) => cursor = Some(element.value_range()),
                (b"operationTime", tag::TIMESTAMP) => {
                    operation_time = element.value.as_timestamp().map(timestamp);
                }
                _ => {}
            }
        }
        let (mut documents, mut cursor_id, mut token) = (None, None, None);
        for element in Elements::within(bytes, cursor.ok_or_else(|| missing("cursor"))?)? {
            let element = element?;
            match (element.key, element.value.tag) {
                (b"firstBatch" | b"nextBatch", tag::ARRAY) => documents = Some(element.value_range()),
                (b"firstBatch" | b"nextBatch", other) => {
                    return Err(ReplyError::Malformed(format!("its documents are a {}", tag::name(other))));
                }
                (b"id", _) => cursor_id = element.value.as_i64(),
                (b"postBatchResumeToken", tag::DOCUMENT) => token = Some(element.value_range()),
                _ => {}
            }
        }
        Ok(CursorReply {
            documents: documents.ok_or_else(|| missing("documents"))?,
            cursor_id: cursor_id.ok_or_else(|| missing("cursor id"))?,
            token,
            operation_time,
        })
    }

    /// The record the documents end with, of a scan that requested it. `bytes` are what the reply was read from.
    pub(crate) fn record(&self, bytes: &[u8]) -> Option<i64> {
        Elements::within(bytes, self.token.clone()?).ok()?.find_key(b"$recordId")?.value.as_i64()
    }
}

/// The error a reply carries, if its `ok` is not 1.
pub(crate) fn check_ok(reply: &RawDocument) -> Result<(), ReplyError> {
    let get = |key: &str| reply.get(key).map_err(|error| ReplyError::Malformed(error.to_string()));
    let ok = match get("ok")? {
        Some(RawBsonRef::Double(ok)) => ok == 1.0,
        Some(RawBsonRef::Int32(ok)) => ok == 1,
        Some(RawBsonRef::Int64(ok)) => ok == 1,
        Some(RawBsonRef::Boolean(ok)) => ok,
        _ => return Err(ReplyError::Malformed("it has no ok".to_owned())),
    };
    if ok {
        return Ok(());
    }
    let text = |key: &str| {
        Ok::<_, ReplyError>(get(key)?.and_then(RawBsonRef::as_str).unwrap_or_default().to_owned())
    };
    let labels = get("errorLabels")?.and_then(RawBsonRef::as_array);
    let is_resumable = labels
        .is_some_and(|labels| labels.into_iter().flatten().any(|label| label.as_str() == Some(RESUMABLE)));
    Err(ReplyError::Command {
        is_resumable,
        code: get("code")?.and_then(RawBsonRef::as_i32).unwrap_or_default(),
        code_name: text("codeName")?,
        message: text("errmsg")?,
    })
}

#[cfg(test)]
mod tests {
    use bson::{rawbson, rawdoc};
    use proptest::prelude::*;

    use super::*;

    fn parse(reply: &[u8]) -> Result<CursorReply, ReplyError> {
        CursorReply::parse(reply, 0..reply.len())
    }

    #[test]
    fn finds_the_documents() {
        let reply = rawdoc! {
            "cursor": { "firstBatch": [{ "_id": 1 }, { "_id": 2 }], "id": 7_i64, "ns": "a.b" }, "ok": 1.0
        };
        let parsed = parse(reply.as_bytes()).unwrap();
        assert_eq!(parsed.cursor_id, 7);
        let expected = rawbson!([{ "_id": 1 }, { "_id": 2 }]);
        assert_eq!(&reply.as_bytes()[parsed.documents], expected.as_array().unwrap().as_bytes());
    }

    #[test]
    fn failures_keep_the_servers_words() {
        let reply = rawdoc! { "ok": 0.0, "errmsg": "cursor id 5 not found", "code": 43, "codeName": "CursorNotFound" };
        let error = parse(reply.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "cursor id 5 not found (CursorNotFound, code 43)");
        for odd in
            [rawdoc! {}, rawdoc! { "ok": 1 }, rawdoc! { "ok": 1, "cursor": { "firstBatch": 1, "id": 0_i64 } }]
        {
            assert!(matches!(parse(odd.as_bytes()), Err(ReplyError::Malformed(_))));
        }
    }

    #[test]
    fn labels_are_read() {
        let is_resumable = |reply: bson::RawDocumentBuf| {
            matches!(parse(reply.as_bytes()), Err(ReplyError::Command { is_resumable: true, .. }))
        };
        assert!(is_resumable(rawdoc! { "ok": 0, "errorLabels": ["Other", RESUMABLE] }));
        assert!(!is_resumable(rawdoc! { "ok": 0, "errorLabels": ["Other"] }));
        assert!(!is_resumable(rawdoc! { "ok": 0 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn damaged_replies_never_panic(at in 0usize..1000, to in any::<u8>()) {
            let reply = rawdoc! { "cursor": { "nextBatch": [{ "_id": 1 }], "id": 7_i64, "ns": "a.b" }, "ok": 1.0 };
            let mut bytes = reply.into_bytes();
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = parse(&bytes);
        }
    }
}
