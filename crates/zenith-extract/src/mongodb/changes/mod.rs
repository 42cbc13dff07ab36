//! MongoDB's change streams.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`preflight`] | whether there are any for this user, over what |
//! | [`command`] | the commands and the pipeline |
//! | [`cursor`], [`reply`] | replies, on a connection of our own or by the driver |
//! | [`reader`] | reads ahead in a task, and reopens the stream after an interruption |
//! | [`split`] | events that come in pieces |
//! | [`failure`], [`too_large`] | what ends a stream, in words that help |
//! | [`health`] | the clock of the source, and how far back its oplog reaches |
//! | [`identity`] | what identifies a deployment |
//! | [`lookup`] | the current documents of some `_id`s |

mod command;
mod cursor;
mod failure;
mod health;
mod identity;
mod lookup;
mod preflight;
mod reader;
mod reply;
mod split;
mod too_large;

use std::time::SystemTime;

use bson::{RawBson, RawDocument, Timestamp, doc};

pub use reader::MongoChanges;

use super::{Deployment, MongoSource};
use crate::{
    ChangePreflight, ChangeSource, DocumentBatch, ExtractError, Namespace, ReplyBudget, WatchOptions,
};

impl ChangeSource for MongoSource {
    type Changes = MongoChanges;

    async fn change_preflight(&self, namespaces: &[Namespace]) -> Result<ChangePreflight, ExtractError> {
        preflight::preflight(&self.deployment, self.transport, namespaces).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<MongoChanges, ExtractError> {
        reader::open(&self.deployment, self.transport, options).await
    }

    async fn lookup(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>, ExtractError> {
        self.lookup_projected(namespace, ids, after, None, reply_budget).await
    }

    async fn lookup_projected(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        projection: Option<&RawDocument>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>, ExtractError> {
        let wanted = lookup::Wanted { namespace, ids, after, projection, filter: &self.filter };
        lookup::lookup(&self.deployment, self.transport, wanted, reply_budget).await
    }

    async fn now(&self) -> Result<Timestamp, ExtractError> {
        now(&self.deployment).await
    }

    async fn clock(&self) -> Result<SystemTime, ExtractError> {
        health::clock(&self.deployment).await
    }

    async fn deployment_id(&self) -> Result<Option<String>, ExtractError> {
        identity::deployment_id(&self.deployment).await
    }

    async fn oldest_change(&self) -> Result<Option<SystemTime>, ExtractError> {
        health::oldest_change(&self.deployment).await
    }
}

/// The primary's answer, regardless of the read preference: a secondary may not know yet what was acknowledged.
async fn now(deployment: &Deployment) -> Result<Timestamp, ExtractError> {
    let action = "ask for the cluster time";
    let admin = deployment.client.database("admin");
    let reply = admin.run_command(doc! { "ping": 1 }).await;
    let reply = reply.map_err(|source| deployment.error(action, source))?;
    let known =
        reply.get_document("$clusterTime").ok().and_then(|known| known.get_timestamp("clusterTime").ok());
    // mongos only knows of operations it has had a hand in, but clusters tell each other the time.
    reply.get_timestamp("operationTime").ok().max(known).ok_or_else(|| ExtractError::NoChangeStreams {
        address: deployment.address.clone(),
        reason: "it tells no cluster time".to_owned(),
    })
}
