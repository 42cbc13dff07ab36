//! The current documents of some `_id`s, by connections that stay open.
//!
//! `$in` on the `_id` index, with a read concern of majority and at least as new as the events that named the `_id`s: so
//! no document is older than the change that asks for it, and none is rolled back.

use std::sync::Arc;

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, Timestamp, rawdoc};
use futures_util::StreamExt;
use mongodb::action::Action;

use crate::mongodb::backoff::Backoff;
use crate::mongodb::cursor::{DirectCursor, Reply};
use crate::mongodb::direct::{self, DialError, DirectConnection, usable_settings};
use crate::mongodb::filter::Filter;
use crate::mongodb::find;
use crate::mongodb::{Deployment, Transport};
use crate::wire::Settings;
use crate::{DocumentBatch, ExtractError, Namespace, ReadConcern, ReplyBudget};

/// The most `_id`s one command asks for, and the most bytes of them: a command may have 16 MB.
const IDS_MAX: usize = 10_000;
const ID_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a reply may come to: 16 MB of documents, and what surrounds them.
const REPLY_BYTES_MAX: usize = 17 * 1024 * 1024;
/// `InvalidOptions`: with a cluster time, a member does not know that time yet.
const INVALID_OPTIONS: i32 = 72;

/// Documents that are looked up.
pub(super) struct Wanted<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) ids: &'a [RawBson],
    /// At least as new as this.
    pub(super) after: Option<Timestamp>,
    /// Without what this leaves out.
    pub(super) projection: Option<&'a RawDocument>,
    /// Only those that match.
    pub(super) filter: &'a Filter,
}

pub(super) async fn lookup(
    deployment: &Arc<Deployment>,
    transport: Transport,
    wanted: Wanted<'_>,
    reply_budget: &ReplyBudget,
) -> Result<Vec<DocumentBatch>, ExtractError> {
    let Wanted { namespace, ids, after, projection, filter } = wanted;
    let mut lookup = Lookup {
        deployment,
        settings: usable_settings(deployment, transport),
        namespace,
        reply_budget,
        projection,
        filter,
        concern: after.map_or(ReadConcern::Majority, ReadConcern::MajorityAfter),
        ids: ids.len(),
        found: Vec::new(),
    };
    for ids in parts(ids) {
        lookup.part(ids).await?;
    }
    Ok(lookup.found)
}

/// Cuts `_id`s into parts for one command each.
fn parts(ids: &[RawBson]) -> Vec<RawArrayBuf> {
    let mut parts = Vec::new();
    let (mut part, mut len) = (RawArrayBuf::new(), 0);
    for id in ids {
        if len == IDS_MAX || part.as_bytes().len() > ID_BYTES_MAX {
            parts.push(std::mem::take(&mut part));
            len = 0;
        }
        part.push(id.as_raw_bson_ref());
        len += 1;
    }
    if len > 0 {
        parts.push(part);
    }
    parts
}

struct Lookup<'a> {
    deployment: &'a Arc<Deployment>,
    settings: Option<Arc<Settings>>,
    namespace: &'a Namespace,
    reply_budget: &'a ReplyBudget,
    projection: Option<&'a RawDocument>,
    filter: &'a Filter,
    concern: ReadConcern,
    /// How many are looked up in all.
    ids: usize,
    found: Vec<DocumentBatch>,
}

impl Lookup<'_> {
    fn action(&self) -> String {
        format!("look up documents of {}", self.namespace)
    }

    /// Looks up one part, as often as it takes.
    async fn part(&mut self, ids: RawArrayBuf) -> Result<(), ExtractError> {
        let command = self.command(ids);
        let mut backoff = Backoff::new();
        let before = self.found.len();
        loop {
            let kept = self.deployment.lookups.take();
            let was_kept = kept.is_some();
            let error = match self.attempt(kept, &command).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.found.truncate(before);
            if !is_transient(&error) {
                return Err(error);
            }
            self.deployment.lookups.clear();
            // A connection that was kept may have been closed long ago, which says nothing about the server.
            if was_kept && matches!(error, ExtractError::Connection { .. }) {
                continue;
            }
            let Some(pause) = backoff.next() else { return Err(error) };
            tracing::debug!(namespace = %self.namespace, %error, ?pause, "looking up again");
            tokio::time::sleep(pause).await;
        }
    }

    fn command(&self, ids: RawArrayBuf) -> RawDocumentBuf {
        let mut command = rawdoc! {
            "find": self.namespace.collection.as_str(),
            "filter": self.filter.and(rawdoc! { "_id": { "$in": ids } }),
            // All that fit into a reply: by default the first one would have 101.
            "batchSize": i32::MAX,
        };
        if let Some(projection) = self.projection {
            command.append(cstr!("projection"), projection);
        }
        if let Some(concern) = find::read_concern(self.concern, None) {
            command.append(cstr!("readConcern"), concern);
        }
        command
    }

    async fn attempt(
        &mut self,
        kept: Option<DirectConnection>,
        command: &RawDocumentBuf,
    ) -> Result<(), ExtractError> {
        let Some(settings) = self.settings.clone() else { return self.by_driver(command).await };
        let mut connection = match kept {
            Some(connection) => connection,
            None => match direct::dial(self.deployment, &settings, &self.action()).await {
                Ok(connection) => connection,
                Err(DialError::Failed(error)) => return Err(error),
                Err(DialError::Unsupported(reason)) => {
                    tracing::debug!(reason, "looking up by the driver");
                    self.settings = None;
                    return self.by_driver(command).await;
                }
            },
        };
        self.directly(&mut connection, command).await?;
        self.deployment.lookups.give(connection);
        Ok(())
    }

    async fn directly(
        &mut self,
        direct: &mut DirectConnection,
        command: &RawDocumentBuf,
    ) -> Result<(), ExtractError> {
        let mut cursor = DirectCursor::new(self.deployment, direct, self.namespace.clone(), self.action());
        self.check_room()?;
        cursor.open(command.clone()).await?;
        loop {
            let (batch, _) = cursor.documents(self.reply_budget).await?;
            self.keep(batch);
            if !cursor.has_more() {
                return Ok(());
            }
            self.check_room()?;
            cursor.get_more(i32::MAX, None).await?;
        }
    }

    async fn by_driver(&mut self, command: &RawDocumentBuf) -> Result<(), ExtractError> {
        let failed =
            |source| self.deployment.error(format!("look up documents of {}", self.namespace), source);
        let database = self.deployment.client.database(&self.namespace.database);
        let run = database
            .run_raw_cursor_command(command.clone())
            .optional(self.deployment.selection_criteria(), |run, criteria| run.selection_criteria(criteria));
        let mut cursor = run.batch().await.map_err(failed)?;
        while let Some(reply) = cursor.next().await {
            let reply = reply.map_err(|source| self.deployment.error(self.action(), source))?;
            self.check_room()?;
            let reply = Reply::of_driver(self.deployment, reply, self.reply_budget).await?;
            self.keep(reply.documents().map_err(|error| self.deployment.malformed(&error))?);
        }
        Ok(())
    }

    fn keep(&mut self, batch: DocumentBatch) {
        if !batch.is_empty() {
            self.found.push(batch);
        }
    }

    /// Whether one more reply has room beside those held already: waiting for it would be waiting for ourselves.
    fn check_room(&self) -> Result<(), ExtractError> {
        let held: usize = self.found.iter().map(DocumentBatch::memory_len).sum();
        if self.found.is_empty() || held + REPLY_BYTES_MAX <= self.reply_budget.bytes_max() {
            return Ok(());
        }
        Err(ExtractError::LookupTooLarge { namespace: self.namespace.clone(), ids: self.ids })
    }
}

fn is_transient(error: &ExtractError) -> bool {
    let unheard_of = matches!(error, ExtractError::Server { code: INVALID_OPTIONS, message, .. }
        if message.contains("afterClusterTime"));
    unheard_of || error.is_transient()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_in_number_and_bytes() {
        let ids: Vec<RawBson> = (0..25_000).map(RawBson::Int32).collect();
        let lens = |ids: &[RawBson]| -> Vec<usize> {
            parts(ids).iter().map(|part| part.into_iter().count()).collect()
        };
        assert_eq!(lens(&ids), [10_000, 10_000, 5_000]);
        assert_eq!(lens(&[]), [0; 0]);
        let large = vec![RawBson::String("x".repeat(3_000_000)); 5];
        assert_eq!(lens(&large), [2, 2, 1]);
    }
}
