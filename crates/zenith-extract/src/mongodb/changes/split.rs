//! Events that the server sends in pieces, put together again.
//!
//! `$changeStreamSplitLargeEvent` cuts an event of more than 16 MB between its top-level fields. Each piece has a token
//! of its own, but a stream continues only after that of the last one: after another, the event would not be whole. So
//! the place of a batch is never inside an event.
//!
//! <https://www.mongodb.com/docs/manual/reference/operator/aggregation/changeStreamSplitLargeEvent/>

use bson::{RawDocument, RawDocumentBuf};

use super::reply::Reply;
use crate::batch::{FramingError, Memory, array_of};
use crate::change::frames;
use crate::{DocumentBatch, ExtractError, ReplyBudget, ResumeToken};

/// The field that marks a piece.
const SPLIT: &str = "splitEvent";

/// The pieces of an event that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    event: Option<RawDocumentBuf>,
    expected: i32,
}

/// Why pieces do not make an event.
#[derive(Debug, thiserror::Error)]
pub(super) enum SplitError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("a piece of an event is damaged: {0}")]
    Damaged(String),
    #[error("piece {found} of an event came where piece {expected} should")]
    Order { found: i32, expected: i32 },
}

impl From<bson::error::Error> for SplitError {
    fn from(error: bson::error::Error) -> SplitError {
        SplitError::Damaged(error.to_string())
    }
}

/// Whole events, and the place after them.
pub(super) struct Whole {
    pub(super) events: DocumentBatch,
    /// `None` if it is the place before, still.
    pub(super) token: Option<ResumeToken>,
}

impl Pieces {
    /// The whole events of a reply. A reply without pieces is passed on unchanged; otherwise the events are copied.
    /// There are none unless the server `splits` events.
    pub(super) async fn assemble(
        &mut self,
        reply: Reply,
        splits: bool,
        reply_budget: &ReplyBudget,
        address: &str,
    ) -> Result<Whole, ExtractError> {
        let malformed = |error: SplitError| ExtractError::Protocol {
            address: address.to_owned(),
            reason: error.to_string(),
        };
        let Reply { memory, events, token, .. } = reply;
        let batch = DocumentBatch::new(memory, events).map_err(|error| malformed(error.into()))?;
        if self.event.is_none() && !(splits && batch.documents().any(is_piece)) {
            return Ok(Whole { events: batch, token: Some(token) });
        }
        let (events, last) = self.join(&batch).map_err(malformed)?;
        // An event after which nothing follows is left behind with the reply; later places are the reply's own.
        let token = if self.event.is_none() { Some(token) } else { last };
        // What is joined may need the memory that the pieces occupy.
        drop(batch);
        let bytes =
            array_of(events.iter().map(|event| event.as_bytes())).map_err(|error| malformed(error.into()))?;
        drop(events);
        let share = reply_budget.reserve(bytes.len()).await?;
        let array = 0..bytes.len();
        let events = DocumentBatch::new(Memory::Heap { bytes, _share: share }, array)
            .map_err(|error| malformed(error.into()))?;
        Ok(Whole { events, token })
    }

    /// Forgets the pieces of an event that will come again from its start.
    pub(super) fn clear(&mut self) {
        *self = Pieces::default();
    }

    /// The events that are whole, and the place after the last of them.
    fn join(
        &mut self,
        batch: &DocumentBatch,
    ) -> Result<(Vec<RawDocumentBuf>, Option<ResumeToken>), SplitError> {
        let mut whole: Vec<RawDocumentBuf> = Vec::new();
        for document in batch.documents() {
            let document = RawDocument::from_bytes(document)?;
            match place(document)? {
                None if self.event.is_none() => whole.push(document.to_owned()),
                None => return Err(SplitError::Order { found: 0, expected: self.expected }),
                Some((number, count)) => whole.extend(self.piece(document, number, count)?),
            }
        }
        let last = match whole.last() {
            Some(event) => {
                let token =
                    event.get_document("_id").map_err(|error| SplitError::Damaged(error.to_string()))?;
                let token = ResumeToken::new(token.to_owned());
                Some(token.map_err(|error| SplitError::Damaged(error.to_string()))?)
            }
            None => None,
        };
        Ok((whole, last))
    }

    /// Takes a piece; the event, if it was its last.
    fn piece(
        &mut self,
        piece: &RawDocument,
        number: i32,
        count: i32,
    ) -> Result<Option<RawDocumentBuf>, SplitError> {
        let expected = if self.event.is_some() { self.expected } else { 1 };
        if number != expected || count < number {
            return Err(SplitError::Order { found: number, expected });
        }
        let mut event = self.event.take().unwrap_or_default();
        for element in piece.iter() {
            let (name, value) = element?;
            match name.as_str() {
                SPLIT => {}
                // The token of the last piece is that of the event.
                "_id" if number < count => {}
                _ => event.append(name, value),
            }
        }
        if number == count {
            return Ok(Some(event));
        }
        self.event = Some(event);
        self.expected = number + 1;
        Ok(None)
    }
}

/// Whether an event is a piece of one. The reader of the event finds damage.
fn is_piece(event: &[u8]) -> bool {
    let Ok(elements) = frames(event, 0..event.len()) else { return false };
    elements.flatten().any(|element| element.key == SPLIT.as_bytes())
}

/// Which piece of how many it is.
fn place(event: &RawDocument) -> Result<Option<(i32, i32)>, SplitError> {
    let Some(split) = event.get(SPLIT)? else { return Ok(None) };
    let damaged = || SplitError::Damaged("its splitEvent has no numbers".to_owned());
    let split = split.as_document().ok_or_else(damaged)?;
    let number = |key: &str| split.get_i32(key).map_err(|_| damaged());
    Ok(Some((number("fragment")?, number("of")?)))
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, rawdoc};
    use zenith_memory::Pool;

    use super::*;
    use crate::ChangeBatch;

    const MIB: usize = 1024 * 1024;

    fn event(token: &str, id: i32) -> RawDocumentBuf {
        rawdoc! {
            "_id": { "_data": token }, "operationType": "update", "clusterTime": Timestamp { time: 1, increment: 1 },
            "fullDocument": { "_id": id, "text": "x".repeat(1000) }, "documentKey": { "_id": id },
        }
    }

    fn piece(token: &str, number: i32, count: i32, mut fields: RawDocumentBuf) -> RawDocumentBuf {
        let mut piece =
            rawdoc! { "_id": { "_data": token }, "splitEvent": { "fragment": number, "of": count } };
        let fields = std::mem::take(&mut fields);
        for element in fields.iter() {
            let (name, value) = element.unwrap();
            piece.append(name, value);
        }
        piece
    }

    async fn assemble(
        pieces: &mut Pieces,
        reply_budget: &ReplyBudget,
        events: &[RawDocumentBuf],
        place: &str,
    ) -> Result<Whole, ExtractError> {
        let bytes = array_of(events.iter().map(|event| event.as_bytes())).unwrap();
        let share = reply_budget.reserve(bytes.len()).await.unwrap();
        let array = 0..bytes.len();
        let reply = Reply {
            memory: Memory::Heap { bytes, _share: share },
            events: array,
            cursor_id: 1,
            token: ResumeToken::new(rawdoc! { "_data": place }).unwrap(),
            operation_time: None,
        };
        pieces.assemble(reply, true, reply_budget, "here").await
    }

    fn order(whole: &Whole) -> Option<&[u8]> {
        whole.token.as_ref().map(ResumeToken::order)
    }

    fn reply_budget() -> ReplyBudget {
        ReplyBudget::new(Pool::new(MIB).unwrap())
    }

    #[tokio::test]
    async fn an_event_over_three_replies_comes_whole_and_its_inside_is_no_place() {
        let (reply_budget, mut pieces) = (reply_budget(), Pieces::default());
        let time = Timestamp { time: 1, increment: 1 };
        let first = piece("8202", 1, 3, rawdoc! { "operationType": "update", "clusterTime": time });
        let whole = assemble(&mut pieces, &reply_budget, &[event("8201", 1), first], "8202").await.unwrap();
        assert_eq!((whole.events.len(), order(&whole)), (1, Some(&b"8201"[..])));
        drop(whole);
        let second = piece("8203", 2, 3, rawdoc! { "fullDocument": { "_id": 2 } });
        let whole = assemble(&mut pieces, &reply_budget, &[second], "8203").await.unwrap();
        assert_eq!((whole.events.len(), order(&whole)), (0, None));
        drop(whole);
        let third = piece("8204", 3, 3, rawdoc! { "documentKey": { "_id": 2 } });
        let whole = assemble(&mut pieces, &reply_budget, &[third, event("8205", 3)], "8206").await.unwrap();
        assert_eq!((whole.events.len(), order(&whole)), (2, Some(&b"8206"[..])));
        let token = whole.token.clone().unwrap();
        let batch = ChangeBatch::new(whole.events, token, None, "here".into());
        let change = batch.changes().next().unwrap().unwrap();
        assert_eq!(change.token_data_bytes(), b"8204");
        assert_eq!(&batch.bytes()[change.document.unwrap()], rawdoc! { "_id": 2 }.as_bytes());
    }

    /// The pieces fill the whole share: what is made of them must not wait for it.
    #[tokio::test]
    async fn an_event_larger_than_the_share_does_not_wait_for_itself() {
        let (reply_budget, mut pieces) = (reply_budget(), Pieces::default());
        let time = Timestamp { time: 1, increment: 1 };
        let large = || rawdoc! { "text": "x".repeat(MIB) };
        let first = piece(
            "8202",
            1,
            2,
            rawdoc! { "operationType": "update", "clusterTime": time, "fullDocument": large() },
        );
        let second = piece("8203", 2, 2, rawdoc! { "fullDocumentBeforeChange": large() });
        let whole = assemble(&mut pieces, &reply_budget, &[first, second], "8203").await.unwrap();
        assert!(whole.events.byte_len() > 2 * MIB && whole.events.len() == 1);
    }

    #[tokio::test]
    async fn pieces_out_of_order_are_refused() {
        for numbers in [&[(2, 2)][..], &[(1, 3), (3, 3)], &[(1, 2), (1, 2)], &[(1, 0)]] {
            let (reply_budget, mut pieces) = (reply_budget(), Pieces::default());
            let events: Vec<_> =
                numbers.iter().map(|&(number, count)| piece("82", number, count, rawdoc! {})).collect();
            assert!(assemble(&mut pieces, &reply_budget, &events, "82").await.is_err(), "{numbers:?}");
        }
        let (reply_budget, mut pieces) = (reply_budget(), Pieces::default());
        let events = [piece("82", 1, 2, rawdoc! {}), event("83", 1)];
        assert!(assemble(&mut pieces, &reply_budget, &events, "83").await.is_err());
        // From its start, as after a lost connection.
        pieces.clear();
        let events = [piece("82", 1, 2, rawdoc! {}), piece("83", 2, 2, rawdoc! {})];
        assert_eq!(assemble(&mut pieces, &reply_budget, &events, "83").await.unwrap().events.len(), 1);
    }
}
