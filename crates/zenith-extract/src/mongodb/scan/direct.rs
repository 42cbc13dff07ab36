//! A cursor on a connection of our own: replies land in the pool, and the server is never left waiting for the next
//! request.
//!
//! Several `getMore` are under way at once, so that the next one is there when the server has finished sending, also over
//! a long line. Measured, that is as fast as one `getMore` answered with all there is (exhaust), and each can ask for
//! the number of documents that the last replies suggest: in exhaust the first number stays, and a collection that
//! begins with large documents would be read one small document at a time for the rest of it.

use bson::raw::cstr;
use bson::{RawDocumentBuf, rawdoc};
use mongodb::ClientSession;

use super::{Scan, Stop};
use crate::batch::Memory;
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::direct::{self, DialError, DirectConnection};
use crate::mongodb::error;
use crate::mongodb::find::{self, Step};
use crate::mongodb::open_cursor::OpenCursor;
use crate::mongodb::session::KeepAlive;
use crate::wire::{CursorReply, ReplyError, Settings, WireError};
use crate::{DocumentBatch, ExtractError, Namespace};

/// Requests under way at once.
const PIPELINE_DEPTH: usize = 4;

/// How reading by a connection of our own ended early.
pub(super) enum DirectStop {
    Stop(Stop),
    /// It cannot be done with this server; nothing has been read.
    Unsupported(String),
}

impl<T: Into<Stop>> From<T> for DirectStop {
    fn from(stop: T) -> DirectStop {
        DirectStop::Stop(stop.into())
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
    ) -> Result<(), Stop> {
        let DirectConnection { connection, server } = direct;
        let namespace = self.partition.namespace.clone();
        let address = connection.address().clone();
        let action = self.action();
        let failed = |error: WireError| Stop::Failed(error::from_wire(&address, action.clone(), error));
        let mut batch_size = BatchSize::new(self.options.batch_bytes, self.document_bytes);
        let session_id = bson::serialize_to_raw_document_buf(session.id()).map_err(|error| {
            Stop::Failed(ExtractError::Driver {
                action: "make a session".to_owned(),
                source: Box::new(error),
            })
        })?;
        let (client, server) = (self.deployment.client.clone(), server.clone());
        let mut cursor = OpenCursor::new(client, &namespace.database, &namespace.collection, server);

        let find = self.find(step, batch_size.documents(), &session_id);
        connection.send(&find).await.map_err(failed)?;
        let mut first = true;
        loop {
            let landed = connection.receive(&self.options.landing).await.map_err(failed)?;
            let body = landed.bytes.get(landed.body.clone()).unwrap_or_default();
            let reply = CursorReply::parse(body).map_err(|error| failed(error.into()))?;
            cursor.id = reply.cursor_id;
            let array = landed.body.start + reply.documents.start..landed.body.start + reply.documents.end;
            let batch =
                DocumentBatch::new(Memory::Landed { bytes: landed.bytes, _share: landed.share }, array)
                    .map_err(|error| failed(ReplyError::Malformed(error.to_string()).into()))?;
            batch_size.observe(batch.len(), batch.byte_len());
            while cursor.id != 0 && connection.awaited() < PIPELINE_DEPTH {
                let get_more = get_more(&namespace, cursor.id, batch_size.documents(), &session_id);
                connection.send(&get_more).await.map_err(failed)?;
            }
            first &= !self.hand_over(step, first, batch).await?;
            if cursor.id == 0 {
                break;
            }
        }
        // Requests that overtook the end are answered with an error, which is of no interest.
        while connection.awaited() > 0 {
            connection.receive(&self.options.landing).await.map_err(failed)?;
        }
        Ok(())
    }

    fn find(&self, step: &Step, batch_documents: i32, session_id: &RawDocumentBuf) -> RawDocumentBuf {
        let namespace = &self.partition.namespace;
        let mut command = find::command(namespace, step, Some(batch_documents), self.read_concern());
        if let Some(preference) = direct::read_preference(&self.deployment.options) {
            command.append(cstr!("$readPreference"), preference);
        }
        command.append(cstr!("lsid"), session_id.clone());
        command.append(cstr!("$db"), namespace.database.as_str());
        command
    }
}

fn get_more(
    namespace: &Namespace,
    cursor_id: i64,
    batch_documents: i32,
    session_id: &RawDocumentBuf,
) -> RawDocumentBuf {
    rawdoc! {
        "getMore": cursor_id,
        "collection": namespace.collection.as_str(),
        "batchSize": batch_documents,
        "lsid": session_id.clone(),
        "$db": namespace.database.as_str(),
    }
}
