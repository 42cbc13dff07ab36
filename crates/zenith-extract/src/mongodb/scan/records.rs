//! A part of the order of storage, on a connection of our own.
//!
//! With `$_requestResumeToken` each reply of a scan names its last record, and `$_resumeAfter` begins right after
//! it. Members of a replica set copy collections from each other in this way. Two scans of a half each cost the server
//! little more than one of everything, where two ranges of `_id` cost it twice as much. An interrupted scan continues.
//!
//! A request bounds the documents of its reply, not where they end. Records that were deleted leave gaps in the
//! numbers, so a reply may go beyond the end of the range: it is thrown away and its place read again in smaller ones, until
//! a single document lies beyond the end.

use std::collections::VecDeque;

use mongodb::ClientSession;

use super::direct::PIPELINE_DEPTH;
use super::{PassEnd, Scan};
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::cursor::DirectCursor;
use crate::mongodb::direct::DirectConnection;
use crate::mongodb::find::Step;
use crate::mongodb::records::KEY_NOT_FOUND;
use crate::{DocumentBatch, ExtractError, PartitionBounds, RecordRange};

/// How many numbers below a deleted record are tried.
const GONE_MAX: i64 = 1_000;

/// What has been asked for.
struct Asked {
    size: BatchSize,
    /// No reply may have more documents; known once one went beyond the end.
    most: Option<i32>,
    /// Documents asked for by each request under way.
    under_way: VecDeque<i32>,
}

impl Asked {
    /// How many documents to ask for next; `None` if what is under way may reach the end.
    ///
    /// Where no record is missing this ends exactly with the range.
    fn next(&self, range: &RecordRange) -> Option<i32> {
        let documents = self.most.map_or(self.size.documents(), |most| most.min(self.size.documents()));
        let Some(until) = range.until else { return Some(documents) };
        let under_way: i64 = self.under_way.iter().copied().map(i64::from).sum();
        let room = until.saturating_sub(range.after.unwrap_or_default()).saturating_sub(under_way);
        (room > 0).then(|| documents.min(i32::try_from(room).unwrap_or(i32::MAX)))
    }

    /// Requests that may be under way at once: where the end is near each waits for what the one before has shown.
    fn depth(&self) -> usize {
        if self.most.is_some() { 1 } else { PIPELINE_DEPTH }
    }
}

impl Scan {
    /// Reads a range of records to its end.
    pub(super) async fn read_records(
        &mut self,
        range: RecordRange,
        direct: &mut DirectConnection,
        session: &ClientSession,
    ) -> Result<(), PassEnd> {
        let member = direct.member();
        if member != range.server {
            let reason = format!("reads go to {member} now, which numbers its records for itself");
            return Err(self.interrupted(ExtractError::Unreachable { address: range.server, reason }).into());
        }
        let size = BatchSize::new(self.options.batch_bytes, self.document_bytes);
        let mut asked = Asked { size, most: None, under_way: VecDeque::new() };
        while let Some(beyond) = self.read_until_beyond(&mut asked, direct, session).await? {
            asked.most = Some(beyond / 2);
        }
        Ok(())
    }

    /// What is left of the range.
    fn record_range(&self) -> Option<RecordRange> {
        match &self.partition.bounds {
            PartitionBounds::Records(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// Reads with one cursor: to the end of the range, or until a reply goes beyond it, and says of how many documents
    /// that reply was.
    async fn read_until_beyond(
        &mut self,
        asked: &mut Asked,
        direct: &mut DirectConnection,
        session: &ClientSession,
    ) -> Result<Option<i32>, PassEnd> {
        asked.under_way.clear();
        let mut cursor = self.cursor(direct, session)?;
        let mut reply = self.open_records(asked, &mut cursor).await?;
        loop {
            let (batch, record) = reply;
            asked.size.observe(batch.len(), batch.byte_len());
            let Some(mut range) = self.record_range() else { return Ok(None) };
            if !batch.is_empty() {
                let Some(record) = record else { return Err(self.no_record()) };
                if range.until.is_some_and(|until| record > until) {
                    let documents = i32::try_from(batch.len()).unwrap_or(i32::MAX);
                    // What is to come may need its memory.
                    drop(batch);
                    cursor.drain(&self.options.reply_budget).await?;
                    return Ok(Some(documents).filter(|&documents| documents > 1));
                }
                range.after = Some(record);
            }
            while cursor.has_more()
                && cursor.awaited() < asked.depth()
                && let Some(documents) = asked.next(&range)
            {
                cursor.get_more(documents, None).await?;
                asked.under_way.push_back(documents);
            }
            if !batch.is_empty() {
                self.hand_over(&Step::Natural, false, batch).await?;
                // Not before: what was not handed over is read again.
                self.partition.bounds = PartitionBounds::Records(range);
            }
            if !cursor.has_more() || cursor.awaited() == 0 {
                cursor.drain(&self.options.reply_budget).await?;
                return Ok(None);
            }
            reply = cursor.documents(&self.options.reply_budget).await?;
            asked.under_way.pop_front();
        }
    }

    /// The first reply of a cursor that begins after a record. If that was deleted, it begins after the one before,
    /// which is the same, as there was none between them.
    async fn open_records(
        &mut self,
        asked: &Asked,
        cursor: &mut DirectCursor<&mut DirectConnection>,
    ) -> Result<(DocumentBatch, Option<i64>), PassEnd> {
        let reply_budget = self.options.reply_budget.clone();
        let Some(range) = self.record_range() else { return Err(self.no_record()) };
        let documents = asked.next(&range).unwrap_or(1);
        let mut after = range.after;
        loop {
            cursor.open(self.find(&Step::Records { after }, documents)).await?;
            let gone = match cursor.documents(&reply_budget).await {
                Err(error @ ExtractError::Server { code: KEY_NOT_FOUND, .. }) => error,
                reply => return Ok(reply?),
            };
            after = match (after, range.after) {
                (Some(at), Some(began)) if began - at >= GONE_MAX => {
                    return Err(self.interrupted(gone).into());
                }
                // Records are numbered from 1.
                (Some(at), _) if at > 1 => Some(at - 1),
                _ => None,
            };
        }
    }

    fn no_record(&self) -> PassEnd {
        let reason = "a scan that was to tell the records it reads does not".to_owned();
        ExtractError::Protocol { address: self.deployment.address.clone(), reason }.into()
    }
}
