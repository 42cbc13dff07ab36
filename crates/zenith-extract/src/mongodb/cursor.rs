//! A cursor on a connection of our own: of a scan, of a change stream, of a look-up. And a reply of any cursor.

use std::ops::{DerefMut, Range};
use std::time::Duration;

use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use mongodb::ClientSession;
use mongodb::raw_batch_cursor::RawBatch;

use super::cursor_guard::CursorGuard;
use super::direct::{self, DirectConnection};
use super::{Deployment, error};
use crate::batch::{FramingError, Memory};
use crate::wire::{CursorReply, ReplyError, WireError};
use crate::{DocumentBatch, ExtractError, Namespace, ReplyBudget};

/// What a cursor answered, its documents still as they came.
pub(super) struct Reply {
    pub(super) memory: Memory,
    /// Places in the memory.
    pub(super) at: CursorReply,
}

impl Reply {
    /// Reads the document that fills `body` of the memory.
    pub(super) fn read(memory: Memory, body: Range<usize>) -> Result<Reply, ReplyError> {
        let at = CursorReply::parse(memory.bytes(), body)?;
        Ok(Reply { memory, at })
    }

    /// Reads a reply that the driver has received, once there is room for it.
    pub(super) async fn of_driver(
        deployment: &Deployment,
        reply: RawBatch,
        reply_budget: &ReplyBudget,
    ) -> Result<Reply, ExtractError> {
        let len = reply.as_raw_document().as_bytes().len();
        let share = reply_budget.reserve(len).await?;
        Reply::read(Memory::Driver { reply, _share: share }, 0..len)
            .map_err(|error| deployment.malformed(&error))
    }

    /// The documents.
    pub(super) fn documents(self) -> Result<DocumentBatch, FramingError> {
        DocumentBatch::new(self.memory, self.at.documents)
    }
}

/// A cursor on a connection, which is borrowed (`&mut`) or the cursor's own (`Box`). Dropped before its end, it is
/// closed on the server.
pub(super) struct DirectCursor<C> {
    connection: C,
    open: CursorGuard,
    namespace: Namespace,
    action: String,
    preference: Option<RawDocumentBuf>,
    session_id: Option<RawDocumentBuf>,
}

impl<C: DerefMut<Target = DirectConnection>> DirectCursor<C> {
    /// Not open yet. `namespace` is what its `getMore` names, `action` what errors say was tried.
    pub(super) fn new(
        deployment: &Deployment,
        connection: C,
        namespace: Namespace,
        action: String,
    ) -> DirectCursor<C> {
        let (client, server) = (deployment.client.clone(), connection.server.clone());
        let open = CursorGuard::new(client, &namespace.database, &namespace.collection, server);
        let preference = direct::read_preference(&deployment.options);
        DirectCursor { connection, open, namespace, action, preference, session_id: None }
    }

    /// The same in a session.
    pub(super) fn in_session(mut self, session: &ClientSession) -> Result<DirectCursor<C>, ExtractError> {
        let id = bson::serialize_to_raw_document_buf(session.id()).map_err(|error| ExtractError::Driver {
            action: "make a session".to_owned(),
            source: Box::new(error),
        })?;
        self.session_id = Some(id);
        Ok(self)
    }

    /// Asks for the first reply. The command is completed: where it is read, its session and its database.
    pub(super) async fn open(&mut self, mut command: RawDocumentBuf) -> Result<(), ExtractError> {
        if let Some(preference) = &self.preference {
            command.append(cstr!("$readPreference"), preference.clone());
        }
        self.send(command).await
    }

    /// Asks for the next reply. A server without documents answers after `wait`, if that is given.
    pub(super) async fn get_more(
        &mut self,
        documents: i32,
        wait: Option<Duration>,
    ) -> Result<(), ExtractError> {
        let mut command = rawdoc! {
            "getMore": self.open.id,
            "collection": self.namespace.collection.as_str(),
            "batchSize": documents,
        };
        if let Some(wait) = wait {
            command.append(cstr!("maxTimeMS"), i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        }
        self.send(command).await
    }

    async fn send(&mut self, mut command: RawDocumentBuf) -> Result<(), ExtractError> {
        if let Some(id) = &self.session_id {
            command.append(cstr!("lsid"), id.clone());
        }
        command.append(cstr!("$db"), self.namespace.database.as_str());
        let command: &RawDocument = &command;
        self.connection.connection.send(command).await.map_err(|error| self.failed(error))
    }

    /// The next reply.
    pub(super) async fn receive(&mut self, reply_budget: &ReplyBudget) -> Result<Reply, WireError> {
        let landed = self.connection.connection.receive(reply_budget).await?;
        let memory = Memory::Landed { bytes: landed.bytes, _share: landed.share };
        let reply = Reply::read(memory, landed.body)?;
        self.open.id = reply.at.cursor_id;
        Ok(reply)
    }

    /// The documents of the next reply, and the record they end with if that was requested.
    pub(super) async fn documents(
        &mut self,
        reply_budget: &ReplyBudget,
    ) -> Result<(DocumentBatch, Option<i64>), ExtractError> {
        let reply = self.receive(reply_budget).await.map_err(|error| self.failed(error))?;
        let record = reply.at.record(reply.memory.bytes());
        let malformed = |error: FramingError| self.failed(ReplyError::Malformed(error.to_string()).into());
        Ok((reply.documents().map_err(malformed)?, record))
    }

    /// What went wrong on its connection.
    pub(super) fn failed(&self, error: WireError) -> ExtractError {
        error::from_wire(self.connection.connection.address(), self.action.clone(), error)
    }

    /// Whether the server has more.
    pub(super) fn has_more(&self) -> bool {
        self.open.id != 0
    }

    /// Replies that have been asked for and not come.
    pub(super) fn awaited(&self) -> usize {
        self.connection.connection.awaited()
    }

    /// Takes what is still to come, which is of no interest: requests that overtook the end are answered with an error.
    pub(super) async fn drain(&mut self, reply_budget: &ReplyBudget) -> Result<(), ExtractError> {
        while self.awaited() > 0 {
            let dropped = self.connection.connection.receive(reply_budget).await;
            dropped.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}
