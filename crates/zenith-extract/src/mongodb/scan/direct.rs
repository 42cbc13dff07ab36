//! Scans on a connection of our own: replies land in the pool, and the server is never left waiting for the next
//! request.
//!
//! Several `getMore` are under way at once, so that the next one is there when the server has finished sending, also over
//! a long line. Measured, that is as fast as one `getMore` answered with all there is (exhaust), and each can ask for
//! the number of documents that the last replies suggest: in exhaust the first number stays, and a collection that
//! begins with large documents would be read one small document at a time for the rest of it.

use bson::RawDocumentBuf;
use mongodb::ClientSession;

use super::{PassEnd, Scan};
use crate::mongodb::batch_size::BatchSize;
use crate::mongodb::cursor::DirectCursor;
use crate::mongodb::direct::{self, DialError, DirectConnection};
use crate::mongodb::find::Step;
use crate::mongodb::session::KeepAlive;
use crate::wire::Settings;
use crate::{ExtractError, PartitionBounds};

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
        let mut cursor = self.cursor(direct, session)?;
        cursor.open(self.find(step, batch_size.documents())).await?;
        let mut first = true;
        loop {
            let (batch, _) = cursor.documents(&self.options.reply_budget).await?;
            batch_size.observe(batch.len(), batch.byte_len());
            while cursor.has_more() && cursor.awaited() < PIPELINE_DEPTH {
                cursor.get_more(batch_size.documents(), None).await?;
            }
            first &= !self.hand_over(step, first, batch).await?;
            if !cursor.has_more() {
                break;
            }
        }
        Ok(cursor.drain(&self.options.reply_budget).await?)
    }

    pub(super) fn cursor<'a>(
        &self,
        direct: &'a mut DirectConnection,
        session: &ClientSession,
    ) -> Result<DirectCursor<&'a mut DirectConnection>, ExtractError> {
        let namespace = self.partition.namespace.clone();
        DirectCursor::new(&self.deployment, direct, namespace, self.action()).in_session(session)
    }

    pub(super) fn find(&self, step: &Step, documents: i32) -> RawDocumentBuf {
        self.command(step, Some(documents))
    }
}
