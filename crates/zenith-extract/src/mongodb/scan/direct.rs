//! A cursor on a connection of our own: replies land in the pool, and the server is never left waiting for the next
//! request.
//!
//! Several `getMore` are under way at once, so that the next one is there when the server has finished sending, also over
//! a long line. Measured, that is as fast as one `getMore` answered with all there is (exhaust), and each can ask for
//! the number of documents that the last replies suggest: in exhaust the first number stays, and a collection that
//! begins with large documents would be read one small document at a time for the rest of it.

use bson::raw::cstr;
use bson::{Document, RawDocumentBuf, doc, rawdoc};
use mongodb::options::{SelectionCriteria, ServerAddress};
use mongodb::{Client, ClientSession};
use tokio::runtime::Handle;

use super::batch_size::BatchSize;
use super::{Scan, Stop};
use crate::batch::Memory;
use crate::mongodb::direct;
use crate::mongodb::error;
use crate::mongodb::find::{self, Step};
use crate::mongodb::session::KeepAlive;
use crate::wire::{self, Address, Connection, CursorReply, ReplyError, ScramError, Settings, WireError};
use crate::{DocumentBatch, ExtractError, Namespace};

/// Requests under way at once.
const PIPELINE_DEPTH: usize = 4;

/// What a scan keeps between its steps.
#[derive(Debug)]
pub(super) struct DirectConnection {
    connection: Connection,
    server: ServerAddress,
}

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
        let failed = |source| deployment.error(format!("read {}", self.partition.namespace), source);
        // The driver lends the session: it ends those left over when the client goes.
        let session = deployment.client.start_session().causal_consistency(false).await.map_err(failed)?;
        let _alive = KeepAlive::start(deployment.client.clone(), session.id().clone());
        self.read_cursor(step, &mut direct, &session).await?;
        self.direct = Some(direct);
        Ok(())
    }

    async fn dial(&self, settings: &Settings) -> Result<DirectConnection, DirectStop> {
        let server = direct::select_server(&self.deployment).await?;
        let Some(address) = direct::wire_address(&server) else {
            return Err(DirectStop::Unsupported(format!("{server} is an address for the driver")));
        };
        match wire::connect(&address, settings).await {
            Ok(connection) => Ok(DirectConnection { connection, server }),
            Err(WireError::Unsupported(reason)) => Err(DirectStop::Unsupported(reason)),
            Err(error) => Err(extract_error(&address, &self.partition.namespace, error).into()),
        }
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
        let failed = |error: WireError| Stop::Failed(extract_error(&address, &namespace, error));
        let mut batch_size = BatchSize::new(self.options.batch_bytes, self.document_bytes);
        let session_id = bson::serialize_to_raw_document_buf(session.id()).map_err(|error| {
            Stop::Failed(ExtractError::Driver {
                action: "make a session".to_owned(),
                source: Box::new(error),
            })
        })?;
        let mut cursor = OpenCursor::new(self.deployment.client.clone(), &namespace, server.clone());

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

/// A cursor the server keeps for us; closed there if it is dropped before its end.
struct OpenCursor {
    id: i64,
    client: Client,
    database: String,
    collection: String,
    server: ServerAddress,
}

impl OpenCursor {
    fn new(client: Client, namespace: &Namespace, server: ServerAddress) -> OpenCursor {
        let (database, collection) = (namespace.database.clone(), namespace.collection.clone());
        OpenCursor { id: 0, client, database, collection, server }
    }
}

impl Drop for OpenCursor {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.id == 0 {
            return;
        }
        let command: Document = doc! { "killCursors": &self.collection, "cursors": [self.id] };
        let (client, database, server) = (self.client.clone(), self.database.clone(), self.server.clone());
        runtime.spawn(async move {
            let there =
                SelectionCriteria::Predicate(std::sync::Arc::new(move |info| *info.address() == server));
            let database = client.database(&database);
            if let Err(error) = database.run_command(command).selection_criteria(there).await {
                tracing::debug!(%error, "a cursor could not be closed; the server will");
            }
        });
    }
}

fn extract_error(address: &Address, namespace: &Namespace, error: WireError) -> ExtractError {
    let address = address.to_string();
    let action = format!("read {namespace}");
    match error {
        WireError::Io(source) => ExtractError::Connection { address, source },
        WireError::Message(error) => ExtractError::Protocol { address, reason: error.to_string() },
        WireError::Reply(ReplyError::Malformed(reason)) => ExtractError::Protocol { address, reason },
        WireError::Reply(ReplyError::Command { code, code_name, message }) => {
            error::server(&address, action, code, code_name, message)
        }
        WireError::Memory(error) => error.into(),
        WireError::Scram(ScramError::Malformed) => {
            ExtractError::Protocol { address, reason: ScramError::Malformed.to_string() }
        }
        WireError::Scram(error) => ExtractError::Authentication { address, reason: error.to_string() },
        WireError::Tls(reason) => ExtractError::Tls { address, reason },
        WireError::Unsupported(reason) => ExtractError::Protocol { address, reason },
    }
}
