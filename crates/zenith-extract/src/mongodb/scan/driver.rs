//! A cursor through the driver: the driver reads replies onto the heap, and they are passed on without a copy.

use bson::RawDocumentBuf;
use bson::raw::cstr;
use futures_util::StreamExt;
use mongodb::action::Action;

use super::{PassEnd, Scan};
use crate::ExtractError;
use crate::mongodb::cursor::Reply;
use crate::mongodb::find::{self, Step};
use crate::mongodb::session::KeepAlive;

impl Scan {
    /// Reads one step to its end. The size of replies is set once: the driver's cursor cannot change it later.
    pub(super) async fn read_by_driver(&mut self, step: &Step) -> Result<(), PassEnd> {
        if let Step::Records { .. } = step {
            let reason =
                "records are only numbered alike on one server, and the driver chooses it".to_owned();
            return Err(ExtractError::InvalidPartition { reason }.into());
        }
        let deployment = self.deployment.clone();
        let client = &deployment.client;
        let namespace = self.partition.namespace.clone();
        let failed = |source| deployment.error(format!("read {namespace}"), source);
        let mut session = client.start_session().causal_consistency(false).await.map_err(failed)?;
        let _alive = KeepAlive::start(client.clone(), session.id().clone());
        let reply_documents = self.reply_documents();
        let command = self.command(step, reply_documents);
        let database = client.database(&namespace.database);
        let run = database
            .run_raw_cursor_command(command)
            .optional(
                reply_documents.and_then(|documents| u32::try_from(documents).ok()),
                |run, documents| run.batch_size(documents),
            )
            .optional(deployment.selection_criteria(), |run, criteria| run.selection_criteria(criteria));
        let mut cursor = run.session(&mut session).batch().await.map_err(failed)?;
        let mut first = true;
        loop {
            // The stream borrows the session for one reply; the cursor keeps its place.
            let Some(reply) = cursor.stream(&mut session).next().await else { return Ok(()) };
            let reply = reply.map_err(failed)?;
            let reply = Reply::of_driver(&deployment, reply, &self.options.reply_budget).await?;
            let batch = reply.documents().map_err(|error| deployment.malformed(&error))?;
            first &= !self.hand_over(step, first, batch).await?;
        }
    }

    /// The command of a step, whose first reply is to have so many documents.
    pub(super) fn command(&self, step: &Step, reply_documents: Option<i32>) -> RawDocumentBuf {
        let namespace = &self.partition.namespace;
        let mut command = find::command(namespace, step, &self.filter, reply_documents, self.read_concern());
        if let Some(projection) = &self.options.projection {
            command.append(cstr!("projection"), projection.clone());
        }
        command
    }

    /// The read concern to send; the driver does not add that of the connection string to raw commands.
    fn read_concern(&self) -> Option<RawDocumentBuf> {
        let configured =
            self.deployment.options.read_concern.as_ref().map(|concern| find::level(&concern.level));
        find::read_concern(self.options.read_concern, configured)
    }

    /// Documents of average size that make a reply, if the average is known.
    pub(super) fn reply_documents(&self) -> Option<i32> {
        let bytes = u64::try_from(self.options.round_trip_bytes).unwrap_or(u64::MAX);
        let documents = bytes / self.document_bytes.filter(|&bytes| bytes > 0)?;
        Some(i32::try_from(documents).unwrap_or(i32::MAX).max(1))
    }
}
