//! Where a pipeline is in the change stream, and how that is written down.

use std::time::SystemTime;

use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf};
use zenith_extract::ResumeToken;
use zenith_state::Checkpoint;

use super::event::Event;
use crate::{EngineError, Result};

/// A place in the stream up to which everything is in the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) token: ResumeToken,
    /// The version of the last change, and how many changes of that version came before the next one: rows of a change
    /// log are numbered within their version, also by a run that goes on in the middle of one.
    pub(crate) version: u64,
    pub(crate) index: u32,
    /// The place of the last change itself, if there has been one. Places between changes are known to every source of that
    /// time; this one is known only to the source that it is of.
    pub(crate) last: Option<ResumeToken>,
}

impl Position {
    pub(crate) fn new(token: ResumeToken) -> Position {
        Position { token, version: 0, index: 0, last: None }
    }

    /// The place after `events`, which come right after this one.
    pub(super) fn after(&self, events: &[Event]) -> Result<Position> {
        let Some(last) = events.last() else { return Ok(self.clone()) };
        let (version, index) = self.number_after(events);
        let token = last.token()?;
        Ok(Position { last: Some(token.clone()), token, version, index })
    }

    /// How far rows are numbered within the last version.
    pub(super) fn number_after(&self, events: &[Event]) -> (u64, u32) {
        let Some(last) = events.last() else { return (self.version, self.index) };
        let same = events.iter().rev().take_while(|event| event.version == last.version).count();
        let same_before = if self.version == last.version { self.index } else { 0 };
        (last.version, same_before.saturating_add(u32::try_from(same).unwrap_or(u32::MAX)))
    }

    /// Bytes for [`Position::decode`].
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let token = RawDocumentBuf::from_bytes(self.token.encode()).map_err(|_| unreadable())?;
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("token"), token);
        document.append(cstr!("version"), self.version.cast_signed());
        document.append(cstr!("index"), i64::from(self.index));
        if let Some(last) = &self.last {
            document
                .append(cstr!("last"), RawDocumentBuf::from_bytes(last.encode()).map_err(|_| unreadable())?);
        }
        Ok(document.into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Position> {
        let read = || {
            let document = RawDocument::from_bytes(bytes).ok()?;
            Some(Position {
                token: ResumeToken::decode(document.get_document("token").ok()?.as_bytes()).ok()?,
                version: document.get_i64("version").ok()?.cast_unsigned(),
                index: u32::try_from(document.get_i64("index").ok()?).ok()?,
                // Earlier versions did not keep it.
                last: document
                    .get_document("last")
                    .ok()
                    .and_then(|last| ResumeToken::decode(last.as_bytes()).ok()),
            })
        };
        read().ok_or_else(unreadable)
    }

    /// What the state keeps of this place.
    pub(crate) fn checkpoint(&self, rows: u64, source_time: Option<SystemTime>) -> Result<Checkpoint> {
        Ok(Checkpoint {
            position: self.encode()?,
            order: self.token.order().to_vec(),
            source_time,
            rows,
            saved: SystemTime::now(),
        })
    }
}

fn unreadable() -> EngineError {
    EngineError::Checkpoint {
        reason: "the saved position in the change stream cannot be read; reload the pipeline".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, rawdoc};

    use super::super::version::version_of;
    use super::*;

    #[test]
    fn positions_are_read_as_they_were_written() {
        let token = ResumeToken::new(rawdoc! { "_data": "8263A1B2C300000007" }).unwrap();
        let last = Some(ResumeToken::new(rawdoc! { "_data": "8263A1B2C300000006" }).unwrap());
        let position = Position { token, version: u64::MAX - 1, index: 3, last };
        assert_eq!(Position::decode(&position.encode().unwrap()).unwrap(), position);
        let position = Position { last: None, ..position };
        assert_eq!(Position::decode(&position.encode().unwrap()).unwrap(), position);
        assert!(Position::decode(b"no BSON").is_err());
        assert_eq!(position.checkpoint(9, None).unwrap().order, b"8263A1B2C300000007");
    }

    #[test]
    fn versions_are_in_the_order_of_cluster_times() {
        let at = |time, increment| version_of(Timestamp { time, increment });
        assert!(at(1, u32::MAX) < at(2, 0) && at(2, 0) < at(2, 1));
    }
}
