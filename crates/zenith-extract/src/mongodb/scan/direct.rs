//! A cursor on a connection of our own: replies land in the pool, and the server is never left waiting for the next
//! request.
//!
//! Several `getMore` are under way at once, so that the next one is there when the server has finished sending, also over
//! a long line. Measured, that is as fast as one `getMore` answered with all there is (exhaust), and each can ask for
//! the number of documents that the last replies suggest: in exhaust the first number stays, and a collection that
//! begins with large documents would be read one small document at a time for the rest of it.

use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use mongodb::ClientSession;

use super::{PassEnd, Scan};
use crate::batch::Memory;
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::cursor_guard::CursorGuard;
use crate::mongodb::direct::{self, DialError, DirectConnection};
use crate::mongodb::error;
use crate::mongodb::find::{self, Step};
use crate::mongodb::session::KeepAlive;
use crate::wire::{Connection, CursorReply, ReplyError, Settings, WireError};
use crate::{DocumentBatch, ExtractError, Namespace, PartitionBounds, ReplyBudget};

/// Requests under way at once.
pub(super) const PIPELINE_DEPTH: usize = 4;

/// How reading by a connection of our own ended early.
pub(super) enum DirectStop {
    PassEnd(PassEnd),
    /// It cannot be done with this server; nothing has been read.
    Unsupported(String),
}

impl<T: Into<PassEnd>> From<T> for DirectStop {
    fn from(stop: T) -> DirectStop {
        DirectStop::PassEnd(stop.into())
    }
}

impl Scan {
    /// Reads one step to its end.
    pub(super) async fn read_directly(&mut self, step: &Step, settings: &Settings) -> Result<(), DirectStop> {
        let mut direct = match self.direct.take() {
            Some(direct) => direct,
            None => self.dial(settings).await?,
        };
        let deployment = self.deployment.clone();
        let action = self.action();
        let failed = |source| deployment.error(action.clone(), source);
        // The driver lends the session: it ends those left over when the client goes.
        let session = deployment.client.start_session().causal_consistency(false).await.map_err(failed)?;
        let _alive = KeepAlive::start(deployment.client.clone(), session.id().clone());
        self.read_cursor(step, &mut direct, &session).await?;
        self.direct = Some(direct);
        Ok(())
    }

    async fn dial(&self, settings: &Settings) -> Result<DirectConnection, DirectStop> {
        match direct::dial(&self.deployment, settings, &self.action()).await {
            Ok(connection) => Ok(connection),
            Err(DialError::Unsupported(reason)) => Err(DirectStop::Unsupported(reason)),
            Err(DialError::Failed(error)) => Err(error.into()),
        }
    }

    fn action(&self) -> String {
        format!("read {}", self.partition.namespace)
    }

    async fn read_cursor(
        &mut self,
        step: &Step,
        direct: &mut DirectConnection,
        session: &ClientSession,
    ) -> Result<(), PassEnd> {
        if let PartitionBounds::Records(range) = self.partition.bounds.clone() {
            return self.read_records(range, direct, session).await;
        }
        let mut batch_size = BatchSize::new(self.options.batch_bytes, self.document_bytes);
        let mut cursor = DirectCursor::new(self, direct, session)?;
        let find = self.find(step, batch_size.documents(), &cursor);
        cursor.send(&find).await?;
        let mut first = true;
        loop {
            let (batch, _) = cursor.receive(&self.options.reply_budget).await?;
            batch_size.observe(batch.len(), batch.byte_len());
            while cursor.has_more() && cursor.awaited() < PIPELINE_DEPTH {
                cursor.get_more(batch_size.documents()).await?;
            }
            first &= !self.hand_over(step, first, batch).await?;
            if !cursor.has_more() {
                break;
            }
        }
        cursor.drain(&self.options.reply_budget).await
    }

    pub(super) fn find(&self, step: &Step, documents: i32, cursor: &DirectCursor<'_>) -> RawDocumentBuf {
        let namespace = &self.partition.namespace;
        let mut command = find::command(namespace, step, Some(documents), self.read_concern());
        if let Some(preference) = direct::read_preference(&self.deployment.options) {
            command.append(cstr!("$readPreference"), preference);
        }
        command.append(cstr!("lsid"), cursor.session_id.clone());
        command.append(cstr!("$db"), namespace.database.as_str());
        command
    }
}

/// A cursor of a scan, on a connection of our own.
pub(super) struct DirectCursor<'a> {
    connection: &'a mut Connection,
    open: CursorGuard,
    namespace: Namespace,
    action: String,
    session_id: RawDocumentBuf,
}

impl<'a> DirectCursor<'a> {
    /// Not open yet: its first command opens it.
    pub(super) fn new(
        scan: &Scan,
        direct: &'a mut DirectConnection,
        session: &ClientSession,
    ) -> Result<DirectCursor<'a>, PassEnd> {
        let DirectConnection { connection, server } = direct;
        let namespace = scan.partition.namespace.clone();
        let session_id = bson::serialize_to_raw_document_buf(session.id()).map_err(|error| {
            PassEnd::Failed(ExtractError::Driver {
                action: "make a session".to_owned(),
                source: Box::new(error),
            })
        })?;
        let client = scan.deployment.client.clone();
        let open = CursorGuard::new(client, &namespace.database, &namespace.collection, server.clone());
        Ok(DirectCursor { connection, open, namespace, action: scan.action(), session_id })
    }

    fn failed(&self, error: WireError) -> PassEnd {
        PassEnd::Failed(error::from_wire(self.connection.address(), self.action.clone(), error))
    }

    pub(super) async fn send(&mut self, command: &RawDocument) -> Result<(), PassEnd> {
        let sent = self.connection.send(command).await;
        sent.map_err(|error| self.failed(error))
    }

    pub(super) async fn get_more(&mut self, documents: i32) -> Result<(), PassEnd> {
        let command = rawdoc! {
            "getMore": self.open.id,
            "collection": self.namespace.collection.as_str(),
            "batchSize": documents,
            "lsid": self.session_id.clone(),
            "$db": self.namespace.database.as_str(),
        };
        self.send(&command).await
    }

    /// The documents of the next reply, and the record they end with if it was to tell.
    pub(super) async fn receive(
        &mut self,
        reply_budget: &ReplyBudget,
    ) -> Result<(DocumentBatch, Option<i64>), PassEnd> {
        let landed = self.connection.receive(reply_budget).await.map_err(|error| self.failed(error))?;
        let body = landed.bytes.get(landed.body.clone()).unwrap_or_default();
        let reply = CursorReply::parse(body).map_err(|error| self.failed(error.into()))?;
        self.open.id = reply.cursor_id;
        let record = reply.record(body);
        let array = landed.body.start + reply.documents.start..landed.body.start + reply.documents.end;
        let memory = Memory::Landed { bytes: landed.bytes, _share: landed.share };
        let batch = DocumentBatch::new(memory, array)
            .map_err(|error| self.failed(ReplyError::Malformed(error.to_string()).into()))?;
        Ok((batch, record))
    }

    /// Whether the server has more.
    pub(super) fn has_more(&self) -> bool {
        self.open.id != 0
    }

    /// Replies that have been asked for and not come.
    pub(super) fn awaited(&self) -> usize {
        self.connection.awaited()
    }

    /// Takes what is still to come, which is of no interest: requests that overtook the end are answered with an error.
    pub(super) async fn drain(&mut self, reply_budget: &ReplyBudget) -> Result<(), PassEnd> {
        while self.awaited() > 0 {
            self.connection.receive(reply_budget).await.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}
