//! Divides the order of storage of one server into ranges of records.
//!
//! Records are numbered as they come, so the numbers between the first and the last are about evenly spread. A range can
//! only begin after a record that is there, which is tried.

use bson::raw::cstr;
use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::direct::{self, DialError, usable_settings};
use super::{Deployment, Transport, error, preflight};
use crate::wire::Connection;
use crate::{CollectionKind, ExtractError, Namespace, RecordRange, Topology};

/// The server's code for a record to begin after that is not there.
pub(super) const KEY_NOT_FOUND: i32 = 211;
/// Fewer are read sooner than a scan of their own has begun.
const RECORDS_MIN: i64 = 1_000;
/// Numbers that are tried for each end of a range.
const TRIES: i64 = 16;

/// At most `desired` ranges of about as many records each; `None` if this deployment cannot be read so.
pub(super) async fn ranges(
    deployment: &Deployment,
    transport: Transport,
    namespace: &Namespace,
    kind: CollectionKind,
    desired: usize,
) -> Result<Option<Vec<RecordRange>>, ExtractError> {
    let ranges = find(deployment, transport, namespace, kind, desired).await;
    match &ranges {
        Ok(Ok(_)) => {}
        Ok(Err(reason)) => tracing::debug!(%namespace, reason, "reading in one scan"),
        Err(error) => tracing::debug!(%namespace, %error, "reading in one scan"),
    }
    match ranges {
        Ok(found) => Ok(found.ok()),
        // A server that does not know how, or documents whose `_id` alone is a megabyte.
        Err(ExtractError::Server { .. } | ExtractError::Protocol { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ranges, or why there are none.
async fn find(
    deployment: &Deployment,
    transport: Transport,
    namespace: &Namespace,
    kind: CollectionKind,
    desired: usize,
) -> Result<Result<Vec<RecordRange>, String>, ExtractError> {
    if kind != CollectionKind::Collection {
        return Ok(Err(format!("a {kind:?} is not read in parts")));
    }
    if !direct::reads_one_server(&deployment.options) {
        return Ok(Err("reads go to several servers, which number their records each for itself".to_owned()));
    }
    let Some(settings) = usable_settings(deployment, transport) else {
        return Ok(Err("the driver chooses the server for each command".to_owned()));
    };
    let hello: Document = deployment.command("admin", doc! { "hello": 1 }, "greet the server").await?;
    if preflight::topology(&hello) == Topology::Sharded {
        return Ok(Err("shards number their records each for itself".to_owned()));
    }
    let action = format!("divide {namespace}");
    let mut direct = match direct::dial(deployment, &settings, &action).await {
        Ok(direct) => direct,
        Err(DialError::Unsupported(reason)) => return Ok(Err(reason)),
        Err(DialError::Failed(error)) => return Err(error),
    };
    let member = direct.member();
    let mut asking = Asking { connection: &mut direct.connection, deployment, namespace, action };
    let ends = match (asking.record(1).await?, asking.record(-1).await?) {
        (Some(first), Some(last)) => asking.ends(first, last, desired).await?,
        _ => return Ok(Err("it has no documents, or its records are not numbered".to_owned())),
    };
    Ok(Ok(RecordRange::split_at(&member, ends)))
}

/// Looks at single records.
struct Asking<'a> {
    connection: &'a mut Connection,
    deployment: &'a Deployment,
    namespace: &'a Namespace,
    action: String,
}

impl Asking<'_> {
    /// The record at one end of the order of storage.
    async fn record(&mut self, direction: i32) -> Result<Option<i64>, ExtractError> {
        let options = rawdoc! { "hint": { "$natural": direction }, "showRecordId": true };
        let reply = self.one(&options).await?;
        Ok(first_document(&reply).and_then(|document| document.get_i64("$recordId").ok()))
    }

    /// Records that are there, ascending, about evenly spread between two.
    async fn ends(&mut self, first: i64, last: i64, desired: usize) -> Result<Vec<i64>, ExtractError> {
        let parts = i64::try_from(desired).unwrap_or(i64::MAX).max(1);
        let step = last.saturating_sub(first) / parts;
        let mut ends: Vec<i64> = Vec::new();
        if step < RECORDS_MIN {
            return Ok(ends);
        }
        for part in 1..parts {
            let wanted = first + step * part;
            for record in wanted..wanted + TRIES {
                if self.is_there(record).await? {
                    ends.push(record);
                    break;
                }
            }
        }
        Ok(ends)
    }

    async fn is_there(&mut self, record: i64) -> Result<bool, ExtractError> {
        let options = rawdoc! {
            "hint": { "$natural": 1 },
            "$_requestResumeToken": true,
            "$_resumeAfter": { "$recordId": record },
        };
        match self.one(&options).await {
            Ok(_) => Ok(true),
            Err(ExtractError::Server { code: KEY_NOT_FOUND, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds one document, of which only `_id` comes.
    async fn one(&mut self, options: &RawDocument) -> Result<RawDocumentBuf, ExtractError> {
        let mut command = rawdoc! {
            "find": self.namespace.collection.as_str(),
            "projection": { "_id": 1 },
            "limit": 1,
            "singleBatch": true,
        };
        for (key, value) in options.into_iter().flatten() {
            command.append(key, value);
        }
        if let Some(preference) = direct::read_preference(&self.deployment.options) {
            command.append(cstr!("$readPreference"), preference);
        }
        command.append(cstr!("$db"), self.namespace.database.as_str());
        let reply = self.connection.call(&command).await;
        reply.map_err(|error| error::from_wire(self.connection.address(), self.action.clone(), error))
    }
}

fn first_document(reply: &RawDocument) -> Option<&RawDocument> {
    let batch = reply.get_document("cursor").ok()?.get_array("firstBatch").ok()?;
    batch.into_iter().next()?.ok()?.as_document()
}
