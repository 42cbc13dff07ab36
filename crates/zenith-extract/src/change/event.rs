//! One event of a change stream, borrowed from the reply it came in.
//!
//! <https://www.mongodb.com/docs/manual/reference/change-events/>

use std::ops::Range;

use bson::{DateTime, RawBsonRef, RawDocument, Timestamp};
use zenith_bson::{RawError, RawValue, document_len, tag};

use super::fields::{frames, timestamp};
use super::token;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A document was inserted.
    Insert,
    /// A part of a document changed.
    Update,
    /// A document was replaced by another of the same `_id`.
    Replace,
    /// A document was deleted.
    Delete,
    /// A collection was dropped.
    Drop,
    /// A collection was renamed, to [`Change::renamed_to`].
    Rename,
    /// A database was dropped, after each of its collections.
    DropDatabase,
    /// What the stream watches no longer exists, and with this event the stream ends; a reader reopens it.
    Invalidate,
    /// Something this version does not know.
    Other,
}

/// One event. Ranges are of [`crate::ChangeBatch::bytes`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// To which database; empty for [`ChangeKind::Invalidate`].
    pub database: &'a str,
    /// To which collection; empty for [`ChangeKind::DropDatabase`] and [`ChangeKind::Invalidate`].
    pub collection: &'a str,
    /// When. Not unique: all changes of a transaction share it.
    pub cluster_time: Timestamp,
    /// Where the text of the token's `_data` lies: [`Change::token_data_bytes`].
    pub token_data: Range<usize>,
    /// Where the place right after this event lies: `_id`, [`Change::token_bytes`].
    pub token: Range<usize>,
    /// Where the document's key lies, a BSON document: `_id`, and before it the shard key of a sharded collection.
    pub key: Option<Range<usize>>,
    /// Where `_id` of the key lies, as a BSON element: [`Change::id_bytes`].
    pub id: Option<Range<usize>>,
    /// Where the document lies as it was after the change: of inserts and replacements, and of updates where images are
    /// requested and kept.
    pub document: Option<Range<usize>>,
    /// The transaction it was part of.
    pub transaction: Option<Transaction<'a>>,
    /// Database and collection after a [`ChangeKind::Rename`].
    pub renamed_to: Option<(&'a str, &'a str)>,
    /// When, by the server's clock (MongoDB 6.0 and later).
    pub wall_time: Option<DateTime>,
    /// Where the whole event lies. It is as the server sent it, without `updateDescription`, which is not requested.
    pub event: Range<usize>,
    /// What the ranges are of.
    bytes: &'a [u8],
}

/// A transaction of several changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transaction<'a> {
    /// The session, a BSON document.
    pub session: &'a [u8],
    /// The transaction's number in it.
    pub number: i64,
}

/// Why a document is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error("an event is no BSON document")]
    NotADocument,
    #[error("an event has no usable {0}")]
    Field(&'static str),
}

impl From<RawError> for EventError {
    fn from(_: RawError) -> EventError {
        EventError::NotADocument
    }
}

impl<'a> Change<'a> {
    /// The text of the token's `_data`, comparable with [`crate::ResumeToken::order`].
    #[must_use]
    pub fn token_data_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.token_data.clone()).unwrap_or_default()
    }

    /// The place right after this event, a BSON document for [`crate::ResumeToken::decode`].
    #[must_use]
    pub fn token_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.token.clone()).unwrap_or_default()
    }

    /// `_id` of the key as a BSON element: its type byte, its name (always `_id`) and its value. Two are equal exactly
    /// if the `_id`s are the same in type and bytes, so they can be hashed and compared.
    #[must_use]
    pub fn id_bytes(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.id.clone()?)
    }

    /// The value of `_id` of the document's key.
    #[must_use]
    pub fn id_value(&self) -> Option<RawBsonRef<'a>> {
        RawDocument::from_bytes(self.bytes.get(self.key.clone()?)?).ok()?.get("_id").ok()?
    }

    /// Reads the event that fills `event` of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8], event: Range<usize>) -> Result<Change<'a>, EventError> {
        let field = EventError::Field;
        let mut change = Change::unread(bytes, event.clone());
        let (mut kind_seen, mut time_seen, mut session, mut number) = (false, false, None, None);
        for element in frames(bytes, event)? {
            let element = element?;
            let (value, place) = (element.value, element.value_range());
            match (element.key, value.tag) {
                (b"_id", tag::DOCUMENT) => {
                    change.token_data = token::data_within(bytes, place.clone()).ok_or(field("_id"))?;
                    change.token = place;
                }
                (b"operationType", tag::STRING) => {
                    change.kind = operation(value).ok_or(field("operationType"))?;
                    kind_seen = true;
                }
                (b"clusterTime", tag::TIMESTAMP) => {
                    change.cluster_time = value.as_timestamp().map(timestamp).ok_or(field("clusterTime"))?;
                    time_seen = true;
                }
                (b"wallTime", tag::DATE) => {
                    change.wall_time = value.as_date_ms().map(DateTime::from_millis);
                }
                (b"fullDocument", tag::DOCUMENT) => {
                    change.document = Some(framed(value, place).ok_or(field("fullDocument"))?);
                }
                (b"ns", tag::DOCUMENT) => {
                    (change.database, change.collection) = namespace(bytes, place).ok_or(field("ns"))?;
                }
                (b"to", tag::DOCUMENT) => {
                    change.renamed_to = Some(namespace(bytes, place).ok_or(field("to"))?);
                }
                (b"documentKey", tag::DOCUMENT) => {
                    change.id = key_id(bytes, place.clone()).ok_or(field("documentKey"))?;
                    change.key = Some(place);
                }
                (b"lsid", tag::DOCUMENT) => session = Some(value.bytes),
                (b"txnNumber", tag::INT64) => number = value.as_i64(),
                _ => {}
            }
        }
        if change.token.is_empty() {
            return Err(field("_id"));
        }
        if !kind_seen {
            return Err(field("operationType"));
        }
        if !time_seen {
            return Err(field("clusterTime"));
        }
        change.transaction = session.zip(number).map(|(session, number)| Transaction { session, number });
        Ok(change)
    }

    /// The event that fills `event` of `bytes`, with no field read yet.
    fn unread(bytes: &'a [u8], event: Range<usize>) -> Change<'a> {
        Change {
            kind: ChangeKind::Other,
            database: "",
            collection: "",
            cluster_time: Timestamp { time: 0, increment: 0 },
            token_data: 0..0,
            token: 0..0,
            key: None,
            id: None,
            document: None,
            transaction: None,
            renamed_to: None,
            wall_time: None,
            event,
            bytes,
        }
    }
}

fn operation(value: RawValue<'_>) -> Option<ChangeKind> {
    Some(match value.as_str_bytes()? {
        b"insert" => ChangeKind::Insert,
        b"update" => ChangeKind::Update,
        b"replace" => ChangeKind::Replace,
        b"delete" => ChangeKind::Delete,
        b"drop" => ChangeKind::Drop,
        b"rename" => ChangeKind::Rename,
        b"dropDatabase" => ChangeKind::DropDatabase,
        b"invalidate" => ChangeKind::Invalidate,
        _ => ChangeKind::Other,
    })
}

/// The place of a document whose length is right and whose terminator is there.
fn framed(value: RawValue<'_>, place: Range<usize>) -> Option<Range<usize>> {
    (document_len(value.bytes).ok()? == value.bytes.len()).then_some(place)
}

fn namespace<'a>(bytes: &'a [u8], place: Range<usize>) -> Option<(&'a str, &'a str)> {
    let (mut database, mut collection) = ("", "");
    for element in frames(bytes, place).ok()? {
        let element = element.ok()?;
        let text = |value: RawValue<'a>| std::str::from_utf8(value.as_str_bytes()?).ok();
        match (element.key, element.value.tag) {
            (b"db", tag::STRING) => database = text(element.value)?,
            (b"coll", tag::STRING) => collection = text(element.value)?,
            _ => {}
        }
    }
    Some((database, collection))
}

/// The element `_id` of a key; a key without one is possible, damage is not.
fn key_id(bytes: &[u8], key: Range<usize>) -> Option<Option<Range<usize>>> {
    for element in frames(bytes, key).ok()? {
        let element = element.ok()?;
        if element.key == b"_id" {
            return Some(Some(element.range()));
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use bson::{RawBsonRef, RawDocumentBuf, rawdoc};
    use proptest::prelude::*;

    use super::*;

    fn update() -> RawDocumentBuf {
        rawdoc! {
            "_id": { "_data": "8263A1B2C300000007" },
            "operationType": "update",
            "clusterTime": Timestamp { time: 9, increment: 7 },
            "wallTime": DateTime::from_millis(1234),
            "fullDocument": { "_id": 5, "text": "after" },
            "ns": { "db": "shop", "coll": "orders" },
            "documentKey": { "region": "eu", "_id": 5 },
            "updateDescription": { "updatedFields": { "text": "after" }, "removedFields": [] },
            "lsid": { "id": 1 },
            "txnNumber": 3_i64,
            "of a later version": true,
        }
    }

    fn parse(event: &RawDocumentBuf) -> Result<Change<'_>, EventError> {
        Change::parse(event.as_bytes(), 0..event.as_bytes().len())
    }

    #[test]
    fn every_field_is_found() {
        let event = update();
        let change = parse(&event).unwrap();
        assert_eq!((change.kind, change.database, change.collection), (ChangeKind::Update, "shop", "orders"));
        assert_eq!(change.cluster_time, Timestamp { time: 9, increment: 7 });
        assert_eq!(change.wall_time, Some(DateTime::from_millis(1234)));
        assert_eq!(change.token_data_bytes(), b"8263A1B2C300000007");
        assert_eq!(change.token_bytes(), rawdoc! { "_data": "8263A1B2C300000007" }.as_bytes());
        let part = |place: Option<Range<usize>>| event.as_bytes()[place.unwrap()].to_vec();
        assert_eq!(part(change.document.clone()), rawdoc! { "_id": 5, "text": "after" }.into_bytes());
        assert_eq!(part(change.key.clone()), rawdoc! { "region": "eu", "_id": 5 }.into_bytes());
        assert_eq!(change.id_value(), Some(RawBsonRef::Int32(5)));
        assert_eq!(change.id_bytes(), Some(&b"\x10_id\0\x05\0\0\0"[..]));
        assert_eq!(change.transaction.map(|transaction| transaction.number), Some(3));
        assert_eq!(change.renamed_to, None);
    }

    #[test]
    fn an_update_may_come_without_its_document() {
        let event = rawdoc! {
            "_id": { "_data": "82" }, "operationType": "update", "fullDocument": null,
            "clusterTime": Timestamp { time: 9, increment: 7 },
        };
        let change = parse(&event).unwrap();
        assert_eq!((change.document, change.id, change.key), (None, None, None));
    }

    #[test]
    fn what_is_missing_is_named() {
        let time = Timestamp { time: 1, increment: 1 };
        let without_time = rawdoc! { "_id": { "_data": "82" }, "operationType": "drop" };
        assert_eq!(parse(&without_time).unwrap_err(), EventError::Field("clusterTime"));
        let without_kind = rawdoc! { "_id": { "_data": "82" }, "clusterTime": time };
        assert_eq!(parse(&without_kind).unwrap_err(), EventError::Field("operationType"));
        let without_token = rawdoc! { "operationType": "drop", "clusterTime": time };
        assert_eq!(parse(&without_token).unwrap_err(), EventError::Field("_id"));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..1000, to in any::<u8>(), cut in 0usize..1000) {
            let mut bytes = update().into_bytes();
            let len = bytes.len();
            bytes[at % len] = to;
            bytes.truncate(cut);
            for range in [0..bytes.len(), 0..len] {
                if let Ok(change) = Change::parse(&bytes, range) {
                    let inside = |place: &Option<Range<usize>>| place.clone().is_none_or(|at| bytes.get(at).is_some());
                    prop_assert!(inside(&change.document) && inside(&change.key));
                    let _ = change.id_value();
                }
            }
        }
    }
}
