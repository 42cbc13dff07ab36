//! The cursor of a change stream, on a connection of our own or by way of the driver.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mongodb::action::Action;
use mongodb::options::CursorType;
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::command::{Start, Stream};
use super::failure::Failure;
use super::reply::{Reply, is_resumable_by_driver};
use crate::mongodb::Deployment;
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::cursor::{self, DirectCursor};
use crate::mongodb::direct::{self, DialError, DirectConnection};
use crate::wire::{ReplyError, Settings, WireError};
use crate::{Namespace, ReplyBudget};

/// Requests under way at once: the server works on the next reply while the last one is on its way.
const PIPELINE_DEPTH: usize = 2;
/// The size an event is taken to have until some have come; by cursors of the driver, which cannot change the number they
/// ask for on the way, always.
const EVENT_BYTES: u32 = 512;

/// How replies are asked for.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) reply_budget: ReplyBudget,
    pub(super) batch_bytes: usize,
    pub(super) idle: Duration,
}

/// An open stream on its server.
pub(super) enum Cursor {
    Direct(Box<DirectStream>),
    Driver(Box<DriverCursor>),
}

pub(super) struct DirectStream {
    cursor: DirectCursor<Box<DirectConnection>>,
    batch_size: BatchSize,
}

pub(super) struct DriverCursor {
    cursor: RawBatchCursor,
    deployment: Arc<Deployment>,
    action: String,
}

impl Cursor {
    /// Opens a stream. The reply has no events, but a place and a time.
    pub(super) async fn open(
        deployment: &Arc<Deployment>,
        settings: Option<&Settings>,
        stream: &Stream,
        start: &Start,
        asking: &Asking,
    ) -> Result<(Cursor, Reply), Failure> {
        let Some(settings) = settings else {
            return DriverCursor::open(deployment, stream, start, asking).await;
        };
        let action = stream.action();
        match direct::dial(deployment, settings, &action).await {
            Ok(connection) => DirectStream::open(connection, deployment, stream, start, asking).await,
            Err(DialError::Failed(error)) => Err(Failure::new(error, false)),
            Err(DialError::Unsupported(reason)) => {
                tracing::debug!(reason, "following changes by the driver");
                DriverCursor::open(deployment, stream, start, asking).await
            }
        }
    }

    /// The next reply.
    pub(super) async fn next(&mut self, asking: &Asking) -> Result<Reply, Failure> {
        match self {
            Cursor::Direct(cursor) => cursor.next(asking).await,
            Cursor::Driver(cursor) => cursor.next(asking).await,
        }
    }

    /// Has the size of the next replies follow that of this one.
    pub(super) fn observe(&mut self, events: usize, bytes: usize) {
        if let Cursor::Direct(cursor) = self {
            cursor.batch_size.observe(events, bytes);
        }
    }
}

impl DirectStream {
    async fn open(
        connection: DirectConnection,
        deployment: &Arc<Deployment>,
        stream: &Stream,
        start: &Start,
        asking: &Asking,
    ) -> Result<(Cursor, Reply), Failure> {
        let (database, collection) = (stream.database().to_owned(), stream.collection().to_owned());
        let namespace = Namespace { database, collection };
        // Without a session: the server drops a cursor that nobody has asked for 10 minutes, and then the stream is opened
        // anew.
        let cursor = DirectCursor::new(deployment, Box::new(connection), namespace, stream.action());
        let batch_size = BatchSize::new(asking.batch_bytes, Some(EVENT_BYTES.into()));
        let mut opened = DirectStream { cursor, batch_size };
        opened.cursor.open(stream.aggregate(start)).await.map_err(|error| Failure::new(error, false))?;
        let reply = opened.receive(asking).await?;
        Ok((Cursor::Direct(Box::new(opened)), reply))
    }

    async fn next(&mut self, asking: &Asking) -> Result<Reply, Failure> {
        // The first time round nothing is under way yet.
        self.ask_ahead(asking).await?;
        let reply = self.receive(asking).await?;
        self.ask_ahead(asking).await?;
        Ok(reply)
    }

    /// Sends requests for as many replies as may be under way.
    async fn ask_ahead(&mut self, asking: &Asking) -> Result<(), Failure> {
        while self.cursor.has_more() && self.cursor.awaited() < PIPELINE_DEPTH {
            let asked = self.cursor.get_more(self.batch_size.documents(), Some(asking.idle)).await;
            asked.map_err(|error| Failure::new(error, false))?;
        }
        Ok(())
    }

    async fn receive(&mut self, asking: &Asking) -> Result<Reply, Failure> {
        let reply = self.cursor.receive(&asking.reply_budget).await;
        reply.and_then(|reply| Ok(Reply::new(reply)?)).map_err(|error| {
            let labelled = matches!(error, WireError::Reply(ReplyError::Command { is_resumable: true, .. }));
            Failure::new(self.cursor.failed(error), labelled)
        })
    }
}

impl DriverCursor {
    async fn open(
        deployment: &Arc<Deployment>,
        stream: &Stream,
        start: &Start,
        asking: &Asking,
    ) -> Result<(Cursor, Reply), Failure> {
        let action = stream.action();
        let database = deployment.client.database(stream.database());
        let events = (u32::try_from(asking.batch_bytes).unwrap_or(u32::MAX) / EVENT_BYTES).max(1);
        let run = database
            .run_raw_cursor_command(stream.aggregate(start))
            .cursor_type(CursorType::TailableAwait)
            .max_time(asking.idle)
            .batch_size(events)
            .optional(deployment.selection_criteria(), |run, criteria| run.selection_criteria(criteria));
        let cursor = run.batch().await.map_err(|error| failure(deployment, &action, error))?;
        let mut cursor = DriverCursor { cursor, deployment: Arc::clone(deployment), action };
        let reply = cursor.next(asking).await?;
        Ok((Cursor::Driver(Box::new(cursor)), reply))
    }

    async fn next(&mut self, asking: &Asking) -> Result<Reply, Failure> {
        let malformed =
            |reason: &dyn std::fmt::Display| Failure::new(self.deployment.malformed(&reason), false);
        let Some(reply) = self.cursor.next().await else {
            return Err(malformed(&"the stream has ended"));
        };
        let reply = reply.map_err(|error| failure(&self.deployment, &self.action, error))?;
        let reply = cursor::Reply::of_driver(&self.deployment, reply, &asking.reply_budget).await;
        Reply::new(reply.map_err(|error| Failure::new(error, false))?).map_err(|error| malformed(&error))
    }
}

fn failure(deployment: &Deployment, action: &str, error: mongodb::error::Error) -> Failure {
    let labelled = is_resumable_by_driver(&error);
    Failure::new(deployment.error(action, error), labelled)
}
