//! MongoDB as a [`Source`] and a [`crate::ChangeSource`].
//!
//! | part | what it does |
//! | --- | --- |
//! | [`connect`] | connection string → driver client; URIs without passwords |
//! | [`preflight`] | what the collection is, whether it can be read |
//! | [`sample`], [`id_types`] | looks at a part of it |
//! | [`parts`], [`positions`], [`alphabet`] | where a sample is taken from, by `_id` |
//! | [`partition`], [`records`] | divides it by `_id`, or by the order of storage |
//! | [`find`] | the command both transports send |
//! | [`filter`], [`matching`] | the query that documents have to match; whether it can be judged, how many do |
//! | [`scan`] | reads a partition, resumes it |
//! | [`changes`] | follows changes, looks documents up |
//! | [`cursor`] | a cursor on a connection of our own, and the replies of any |
//! | [`session`], [`cursor_guard`] | keep long scans alive, close what was left open |
//! | [`backoff`], [`batch_size`] | when to try again, how much to ask for |
//! | [`direct`] | what connections of our own need of the driver |
//! | [`error`] | the driver's errors in our words |
//!
//! The driver does everything but the bulk of the bytes; those come through [`crate::wire`] where it can.

mod alphabet;
mod backoff;
mod batch_size;
mod changes;
mod connect;
mod cursor;
mod cursor_guard;
mod direct;
mod error;
mod filter;
mod find;
mod id_types;
mod matching;
mod partition;
mod parts;
mod positions;
mod preflight;
mod records;
mod sample;
mod scan;
mod session;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bson::{RawBson, RawDocument, RawDocumentBuf};
use mongodb::Client;
use mongodb::action::Action;
use mongodb::options::{ClientOptions, SelectionCriteria, ServerAddress};
use zenith_net::Idle;

pub use changes::MongoChanges;
use direct::DirectConnection;
use filter::Filter;
pub use scan::MongoReader;

use crate::wire::Settings;
use crate::{
    CollectionInfo, CollectionKind, CollectionSize, ExtractError, IdTypes, Namespace, Partition,
    PartitionStrategy, ReadOptions, Source, SourceInfo, Topology,
};

/// How the documents of a scan come over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transport {
    /// A connection of our own that reads replies straight into the pool; the driver where that cannot be.
    #[default]
    Direct,
    /// Always the driver.
    Driver,
}

/// A MongoDB deployment. Clones share one driver client.
#[derive(Clone)]
pub struct MongoSource {
    deployment: Arc<Deployment>,
    transport: Transport,
    filter: Filter,
}

/// What all scans of a deployment share.
pub(crate) struct Deployment {
    pub(crate) client: Client,
    pub(crate) options: ClientOptions,
    /// The connection string without its password, for messages.
    pub(crate) address: String,
    /// For connections of our own, or why there are none.
    pub(crate) direct: Result<Arc<Settings>, String>,
    /// Connections kept for look-ups.
    lookups: Idle<DirectConnection>,
    /// What preflight found, so that opening a partition need not ask again.
    collections: Mutex<HashMap<Namespace, CollectionInfo>>,
}

impl MongoSource {
    /// Reads the connection string and makes a client. Later calls connect to servers; only the name in
    /// `mongodb+srv:` is resolved here.
    ///
    /// # Errors
    /// [`ExtractError::InvalidUri`], [`ExtractError::Unreachable`] if an SRV name does not resolve,
    /// [`ExtractError::Tls`] if certificates cannot be read.
    pub async fn connect(uri: &str) -> Result<MongoSource, ExtractError> {
        let deployment = Arc::new(connect::connect(uri).await?);
        Ok(MongoSource { deployment, transport: Transport::default(), filter: Filter::default() })
    }

    /// The same deployment, read by way of `transport`.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> MongoSource {
        self.transport = transport;
        self
    }

    /// The database named in the connection string, if one is.
    #[must_use]
    pub fn default_database(&self) -> Option<&str> {
        self.deployment.options.default_database.as_deref()
    }

    /// The collections of a database by name and kind, without reading any of them and without those of the system.
    /// Capped collections are reported as ordinary ones.
    ///
    /// # Errors
    /// When the collections cannot be listed.
    pub async fn collections(&self, database: &str) -> Result<Vec<(String, CollectionKind)>, ExtractError> {
        preflight::collections(&self.deployment, database).await
    }

    /// The version of the server, and how its deployment is arranged.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn server(&self) -> Result<(String, Topology), ExtractError> {
        preflight::server(&self.deployment).await
    }

    /// The databases that this user may see, without those of the system, in order of their names.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn databases(&self) -> Result<Vec<String>, ExtractError> {
        preflight::databases(&self.deployment).await
    }

    /// The size of a collection by the server's metadata; `None` where it is not known, as for a view.
    pub async fn size(&self, namespace: &Namespace) -> Option<CollectionSize> {
        preflight::size(&self.deployment, namespace).await
    }

    /// The connection string without its password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.deployment.address
    }
}

impl fmt::Debug for MongoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoSource")
            .field("address", &self.deployment.address)
            .field("transport", &self.transport)
            .field("filter", &self.filter.raw())
            .finish()
    }
}

impl Deployment {
    /// The read preference of the connection string, which the driver does not add to raw commands.
    pub(crate) fn selection_criteria(&self) -> Option<SelectionCriteria> {
        self.options.selection_criteria.clone()
    }

    /// An error of the driver in our words; `action` says what was tried, as in "read shop.orders".
    pub(crate) fn error(&self, action: impl Into<String>, source: mongodb::error::Error) -> ExtractError {
        error::from_driver(&self.address, action.into(), source)
    }

    /// What the driver has received is no reply.
    pub(crate) fn malformed(&self, reason: &impl fmt::Display) -> ExtractError {
        ExtractError::Protocol { address: self.address.clone(), reason: reason.to_string() }
    }

    /// Runs a command where the read preference says.
    pub(crate) async fn command(
        &self,
        database: &str,
        command: bson::Document,
        action: &str,
    ) -> Result<bson::Document, ExtractError> {
        let database = self.client.database(database);
        let run = database
            .run_command(command)
            .optional(self.selection_criteria(), |run, criteria| run.selection_criteria(criteria));
        run.await.map_err(|source| self.error(action, source))
    }

    /// What the collection is, asked once.
    pub(crate) async fn collection(&self, namespace: &Namespace) -> Result<CollectionInfo, ExtractError> {
        if let Some(known) = self.known().get(namespace) {
            return Ok(known.clone());
        }
        let info = preflight::collection(self, namespace).await?;
        self.known().insert(namespace.clone(), info.clone());
        Ok(info)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Namespace, CollectionInfo>> {
        // Each change is one insert, so a panic elsewhere leaves the map as it should be.
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MongoSource {
    type Reader = MongoReader;

    fn filtered(&self, query: &RawDocument) -> Result<MongoSource, ExtractError> {
        Ok(MongoSource { filter: self.filter.with(query)?, ..self.clone() })
    }

    fn is_local(&self) -> bool {
        let is_local = |host: &ServerAddress| match host {
            ServerAddress::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            ServerAddress::Unix { .. } => true,
            _ => false,
        };
        self.deployment.options.hosts.iter().all(is_local)
    }

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo, ExtractError> {
        self.deployment.known().remove(namespace);
        let mut found = preflight::preflight(&self.deployment, namespace).await?;
        if self.filter.raw().is_some() {
            matching::check(&self.deployment, namespace, &self.filter).await?;
            if let Some(whole) = found.collection.size {
                found.collection.size =
                    matching::size(&self.deployment, namespace, &self.filter, whole).await;
            }
        }
        Ok(found)
    }

    async fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        sample::sample(&self.deployment, namespace, &self.filter, documents).await
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        id_types::id_types(&self.deployment, namespace, &self.filter).await
    }

    async fn max_id(&self, namespace: &Namespace) -> Result<Option<RawBson>, ExtractError> {
        id_types::max_id(&self.deployment, namespace, &self.filter).await
    }

    async fn partitions(
        &self,
        namespace: &Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> Result<Vec<Partition>, ExtractError> {
        // To fill a reply the server would read far beyond the records of a part that has few documents that match.
        let is_whole = strategy == PartitionStrategy::Natural && self.filter.raw().is_some();
        let desired = if is_whole { 1 } else { desired };
        partition::partitions(&self.deployment, self.transport, namespace, desired, strategy).await
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<MongoReader, ExtractError> {
        scan::open(self, partition, options).await
    }
}
