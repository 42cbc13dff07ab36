//! The cursor of a change stream, on a connection of our own or by way of the driver.

use std::sync::Arc;
use std::time::Duration;

use bson::raw::cstr;
use bson::{RawDocumentBuf, rawdoc};
use futures_util::StreamExt;
use mongodb::action::Action;
use mongodb::options::CursorType;
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::command::{Start, Stream};
use super::failure::Failure;
use super::reply::{Reply, is_labelled_resumable, is_resumable_by_driver};
use crate::batch::Memory;
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::cursor_guard::CursorGuard;
use crate::mongodb::direct::{self, DialError, DirectConnection};
use crate::mongodb::{Deployment, error};
use crate::wire::{ReplyError, Settings};
use crate::{ExtractError, ReplyBudget};

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
    Direct(Box<DirectCursor>),
    Driver(Box<DriverCursor>),
}

pub(super) struct DirectCursor {
    connection: DirectConnection,
    open: CursorGuard,
    database: String,
    collection: String,
    batch_size: BatchSize,
    action: String,
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
            Ok(connection) => DirectCursor::open(connection, deployment, stream, start, asking).await,
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

impl DirectCursor {
    async fn open(
        connection: DirectConnection,
        deployment: &Arc<Deployment>,
        stream: &Stream,
        start: &Start,
        asking: &Asking,
    ) -> Result<(Cursor, Reply), Failure> {
        let (database, collection) = (stream.database().to_owned(), stream.collection().to_owned());
        let (client, server) = (deployment.client.clone(), connection.server.clone());
        let mut cursor = DirectCursor {
            open: CursorGuard::new(client, &database, &collection, server),
            connection,
            database,
            collection,
            batch_size: BatchSize::new(asking.batch_bytes, Some(EVENT_BYTES.into())),
            action: stream.action(),
        };
        let mut command = stream.aggregate(start);
        if let Some(preference) = direct::read_preference(&deployment.options) {
            command.append(cstr!("$readPreference"), preference);
        }
        command.append(cstr!("$db"), cursor.database.as_str());
        cursor.send(&command).await?;
        let reply = cursor.receive(asking).await?;
        Ok((Cursor::Direct(Box::new(cursor)), reply))
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
        while self.open.id != 0 && self.connection.connection.awaited() < PIPELINE_DEPTH {
            // Without a session: the server drops a cursor that nobody has asked for 10 minutes, and then the stream is
            // opened anew.
            let get_more = rawdoc! {
                "getMore": self.open.id,
                "collection": self.collection.as_str(),
                "batchSize": self.batch_size.documents(),
                "maxTimeMS": i64::try_from(asking.idle.as_millis()).unwrap_or(i64::MAX),
                "$db": self.database.as_str(),
            };
            self.send(&get_more).await?;
        }
        Ok(())
    }

    async fn send(&mut self, command: &RawDocumentBuf) -> Result<(), Failure> {
        let sent = self.connection.connection.send(command).await;
        let address = self.connection.connection.address();
        sent.map_err(|error| Failure::new(error::from_wire(address, self.action.clone(), error), false))
    }

    async fn receive(&mut self, asking: &Asking) -> Result<Reply, Failure> {
        let landed = self.connection.connection.receive(&asking.reply_budget).await;
        let address = self.connection.connection.address();
        let failed =
            |error, labelled| Failure::new(error::from_wire(address, self.action.clone(), error), labelled);
        let landed = landed.map_err(|error| failed(error, false))?;
        let body = landed.body.clone();
        let labelled = match landed.bytes.get(body.clone()) {
            // Only errors are small enough to be copied for a look.
            Some(reply) if reply.len() < 64 * 1024 => is_labelled_resumable(reply),
            _ => false,
        };
        let memory = Memory::Landed { bytes: landed.bytes, _share: landed.share };
        let reply = Reply::parse(memory, body).map_err(|error| failed(error.into(), labelled))?;
        self.open.id = reply.cursor_id;
        Ok(reply)
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
        let malformed = |reason: String| {
            let address = self.deployment.address.clone();
            Failure::new(ExtractError::Protocol { address, reason }, false)
        };
        let Some(reply) = self.cursor.next().await else {
            return Err(malformed("the stream has ended".to_owned()));
        };
        let reply = reply.map_err(|error| failure(&self.deployment, &self.action, error))?;
        let len = reply.as_raw_document().as_bytes().len();
        let share =
            asking.reply_budget.reserve(len).await.map_err(|error| Failure::new(error.into(), false))?;
        Reply::parse(Memory::Driver { reply, _share: share }, 0..len).map_err(|error| match error {
            ReplyError::Malformed(reason) => malformed(reason),
            other => malformed(other.to_string()),
        })
    }
}

fn failure(deployment: &Deployment, action: &str, error: mongodb::error::Error) -> Failure {
    let labelled = is_resumable_by_driver(&error);
    Failure::new(deployment.error(action, error), labelled)
}
