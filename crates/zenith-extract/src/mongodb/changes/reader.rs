//! Reads a stream in its own task, ahead of the consumer, and opens it again after an interruption.
//!
//! The stream continues after the last delivered reply: replies are delivered in order, and each has the resume token
//! after it, so no change comes twice and none is left out.

use std::sync::Arc;
use std::time::Duration;

use bson::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use super::command::{Start, Stream};
use super::cursor::{Asking, Cursor};
use super::failure::{FATAL, Failure, UNKNOWN_STAGE};
use super::reply::Reply;
use super::split::Pieces;
use super::{preflight, too_large};
use crate::mongodb::backoff::Backoff;
use crate::mongodb::direct::usable_settings;
use crate::mongodb::{Deployment, Transport};
use crate::wire::Settings;
use crate::{
    Change, ChangeBatch, ChangeKind, ChangeReader, DocumentBatch, ExtractError, ResumeToken, Scope,
    WatchOptions,
};

/// Replies that are read before they are asked for; two more may be under way.
const READ_AHEAD: usize = 2;

/// The stream of changes of a [`crate::MongoSource`].
#[derive(Debug)]
pub struct MongoChanges {
    opened: (ResumeToken, Timestamp),
    batches: mpsc::Receiver<Result<ChangeBatch, ExtractError>>,
    task: JoinHandle<()>,
}

impl ChangeReader for MongoChanges {
    fn opened(&self) -> (ResumeToken, Timestamp) {
        self.opened.clone()
    }

    async fn next(&mut self) -> Result<ChangeBatch, ExtractError> {
        // The task only ends after an error, or because it panicked.
        self.batches.recv().await.unwrap_or(Err(ExtractError::ChangesStopped))
    }
}

impl Drop for MongoChanges {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn open(
    deployment: &Arc<Deployment>,
    transport: Transport,
    options: WatchOptions,
) -> Result<MongoChanges, ExtractError> {
    let start = Start::from(&options.from);
    let images = options.images && preflight::keeps_images(deployment, &options.namespaces).await;
    let mut stream = Stream::new(&options, images, preflight::splits_large_events(deployment).await?);
    let asking =
        Asking { reply_budget: options.reply_budget, batch_bytes: options.batch_bytes, idle: options.idle };
    let settings = usable_settings(deployment, transport);
    let (cursor, reply) = cursor_guard(deployment, settings.as_deref(), &mut stream, &start, &asking)
        .await
        .map_err(|failure| failure.explained(&deployment.address, &stream, &start))?;
    let time = opening_time(&reply).ok_or_else(|| ExtractError::Protocol {
        address: deployment.address.clone(),
        reason: "an opened change stream has no operationTime".to_owned(),
    })?;
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    let reading = Reading {
        deployment: Arc::clone(deployment),
        address: Arc::from(deployment.address.as_str()),
        settings,
        stream,
        asking,
        token: reply.token.clone(),
        told: reply.token.clone(),
        invalidation: None,
        beyond: None,
        pieces: Pieces::default(),
        sender,
    };
    let task = tokio::spawn(reading.run(cursor));
    Ok(MongoChanges { opened: (reply.token, time), batches, task })
}

/// The newest time that was before the stream.
///
/// The reply's `operationTime` may be too early: it is that of what a majority has, while a stream begins right after
/// what its server has. A copy made at `operationTime` could be without the changes in between, and the stream would not
/// bring them. Where the stream begins is the time of its first place, so what is before is before that.
fn opening_time(reply: &Reply) -> Option<Timestamp> {
    let before = reply.token.cluster_time().map(|time| match time.increment.checked_sub(1) {
        Some(increment) => Timestamp { time: time.time, increment },
        None => Timestamp { time: time.time.saturating_sub(1), increment: u32::MAX },
    });
    reply.operation_time.map(|time| before.map_or(time, |before| before.max(time)))
}

/// The place before the invalidation these events end with, if they do: that of the event before it, else `told`.
fn before_invalidation(events: &DocumentBatch, told: &ResumeToken) -> Option<ResumeToken> {
    let bytes = events.documents_bytes();
    let (mut before, mut last) = (None, None);
    for event in events.ranges().skip(events.len().saturating_sub(2)) {
        (before, last) = (last, Change::parse(bytes, event).ok());
    }
    last.filter(|last| last.kind == ChangeKind::Invalidate)?;
    Some(
        before
            .and_then(|before| ResumeToken::decode(before.token_bytes()).ok())
            .unwrap_or_else(|| told.clone()),
    )
}

/// Leaves out the first events, up to this place.
fn leave_out(events: &mut DocumentBatch, place: &ResumeToken) {
    loop {
        let bytes = events.documents_bytes();
        let first = events.ranges().next().map(|event| Change::parse(bytes, event));
        // What is damaged is found by whoever reads it.
        let Some(Ok(first)) = first else { return };
        if first.token_data_bytes() > place.order() {
            return;
        }
        events.skip_first();
    }
}

/// Opens the stream, without the stage that splits events if the server turns out not to know it: a member of an older
/// version may have become primary.
async fn cursor_guard(
    deployment: &Arc<Deployment>,
    settings: Option<&Settings>,
    stream: &mut Stream,
    start: &Start,
    asking: &Asking,
) -> Result<(Cursor, Reply), Failure> {
    match Cursor::open(deployment, settings, stream, start, asking).await {
        Err(failure) if stream.split && failure.has_code(UNKNOWN_STAGE) => {
            stream.split = false;
            Cursor::open(deployment, settings, stream, start, asking).await
        }
        other => other,
    }
}

/// A stream being read.
struct Reading {
    deployment: Arc<Deployment>,
    address: Arc<str>,
    settings: Option<Arc<Settings>>,
    stream: Stream,
    asking: Asking,
    /// The resume token after all delivered replies.
    token: ResumeToken,
    /// The resume token that the consumer received last.
    told: ResumeToken,
    /// The place of the last invalidation. It is not reported: only a stream of the same scope knows it, and a later
    /// reader may follow more collections, or fewer.
    invalidation: Option<ResumeToken>,
    /// A place that the server does not find, as that of an event of a collection that is not followed any more: the stream
    /// begins at its time instead, and what is not beyond it is left out.
    beyond: Option<ResumeToken>,
    pieces: Pieces,
    sender: mpsc::Sender<Result<ChangeBatch, ExtractError>>,
}

/// Why reading from a cursor has stopped.
enum ReadEnd {
    /// The consumer was dropped.
    Abandoned,
    /// The server has closed the stream, as after an invalidation.
    Ended,
    Failed(Failure),
}

impl From<Failure> for ReadEnd {
    fn from(failure: Failure) -> ReadEnd {
        ReadEnd::Failed(failure)
    }
}

impl Reading {
    async fn run(mut self, cursor: Cursor) {
        let mut cursor = Some(cursor);
        let mut backoff = Backoff::new();
        loop {
            let stop = match cursor.take() {
                Some(open) => self.read(open, &mut backoff).await,
                None => match self.reopen().await {
                    Ok(open) => {
                        cursor = Some(open);
                        continue;
                    }
                    Err(failure) => ReadEnd::Failed(failure),
                },
            };
            let pause = match stop {
                ReadEnd::Abandoned => return,
                ReadEnd::Ended => Duration::ZERO,
                ReadEnd::Failed(failure) => match self.pause_after(failure, &mut backoff).await {
                    Ok(pause) => pause,
                    Err(error) => {
                        // If nobody listens any more, nobody needs to know.
                        let _ = self.sender.send(Err(error)).await;
                        return;
                    }
                },
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Hands over replies for as long as they come.
    async fn read(&mut self, mut cursor: Cursor, backoff: &mut Backoff) -> ReadEnd {
        loop {
            let ended = match cursor.next(&self.asking).await {
                Ok(reply) => {
                    let ended = reply.cursor_id == 0;
                    match self.hand_over(reply, &mut cursor).await {
                        Ok(()) => ended,
                        Err(stop) => return stop,
                    }
                }
                Err(failure) => return ReadEnd::Failed(failure),
            };
            backoff.reset();
            if ended {
                return ReadEnd::Ended;
            }
        }
    }

    async fn hand_over(&mut self, reply: Reply, cursor: &mut Cursor) -> Result<(), ReadEnd> {
        let operation_time = reply.operation_time;
        let splits = self.stream.split;
        let whole = self.pieces.assemble(reply, splits, &self.asking.reply_budget, &self.address).await;
        let mut whole = whole.map_err(|error| Failure::new(error, false))?;
        cursor.observe(whole.events.len(), whole.events.byte_len());
        let Some(token) = whole.token.take() else { return Ok(()) };
        if let Some(place) = &self.beyond {
            leave_out(&mut whole.events, place);
            if token.order() <= place.order() {
                return Ok(());
            }
            self.beyond = None;
        }
        if let Some(before) = before_invalidation(&whole.events, &self.told) {
            self.invalidation = Some(token.clone());
            self.told = before;
        }
        if self.invalidation.as_ref() != Some(&token) {
            self.told = token.clone();
        }
        let place = self.told.clone();
        let batch = ChangeBatch::new(whole.events, place, operation_time, Arc::clone(&self.address));
        // Where nothing happens nobody has to be told of each place: the next reply tells a later one. So an idle stream
        // moves on with the oplog, though its consumer may be busy for a long time.
        let sent = match batch.is_empty() {
            true => match self.sender.try_send(Ok(batch)) {
                Err(TrySendError::Closed(_)) => Err(ReadEnd::Abandoned),
                Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            },
            false => self.sender.send(Ok(batch)).await.map_err(|_| ReadEnd::Abandoned),
        };
        self.token = token;
        sent
    }

    async fn reopen(&mut self) -> Result<Cursor, Failure> {
        self.pieces.clear();
        let start = match self.beyond.as_ref().and_then(ResumeToken::cluster_time) {
            Some(time) => Start::Time(time),
            None => Start::After(self.token.clone()),
        };
        let settings = self.settings.clone();
        let stream = &mut self.stream;
        let opening = cursor_guard(&self.deployment, settings.as_deref(), stream, &start, &self.asking);
        let (cursor, _) = opening.await?;
        Ok(cursor)
    }

    /// Whether the place is one in a wider stream, hence that of an event of a collection that is not followed any more. One
    /// that is nowhere may be of another deployment, or long forgotten.
    async fn is_elsewhere(&self) -> bool {
        let databases = self.stream.namespaces.iter().map(|namespace| namespace.database.clone());
        let scopes = databases.map(Scope::Database).chain([Scope::Cluster]);
        let asking = Asking { batch_bytes: 1, idle: Duration::from_millis(1), ..self.asking.clone() };
        for scope in scopes {
            let stream = Stream { scope, namespaces: Vec::new(), images: false, split: false };
            let start = Start::After(self.token.clone());
            let opened =
                Cursor::open(&self.deployment, self.settings.as_deref(), &stream, &start, &asking).await;
            if let Ok((mut cursor, _)) = opened
                && cursor.next(&asking).await.is_ok()
            {
                return true;
            }
        }
        false
    }

    /// How long to wait before the stream is reopened; the error, if that would not help.
    async fn pause_after(
        &mut self,
        failure: Failure,
        backoff: &mut Backoff,
    ) -> Result<Duration, ExtractError> {
        if failure.has_code(FATAL) && self.beyond.is_none() && self.is_elsewhere().await {
            tracing::debug!(token = ?self.token, "the place is not in this stream: going on from its time");
            self.beyond = Some(self.token.clone());
            return Ok(Duration::ZERO);
        }
        let start = Start::After(self.token.clone());
        if failure.is_too_large() {
            return Err(too_large::explained(&self.deployment, failure.error, &self.stream).await);
        }
        let pause = if failure.is_resumable() { backoff.next() } else { None };
        let Some(pause) = pause else {
            return Err(failure.explained(&self.address, &self.stream, &start));
        };
        tracing::debug!(token = ?self.token, error = %failure.error, ?pause, "opening the change stream anew");
        Ok(pause)
    }
}
