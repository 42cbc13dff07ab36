//! What statements and inserts are carried by: HTTP or the native protocol, as the address says.
//!
//! Everything else of the sink is the same for both.

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde::de::DeserializeOwned;
use zenith_memory::Pool;

use crate::http::HttpClient;
use crate::native::NativeClient;
use crate::statement::Statement;
use crate::target::Protocol;
use crate::{ConnectionOptions, Result, SendReport, Target};

/// A client of one ClickHouse.
#[derive(Debug)]
pub(super) struct Session {
    target: Arc<Target>,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Http(HttpClient),
    Native(NativeClient),
}

impl Session {
    pub(super) fn new(target: Target, pool: Option<Pool>, options: ConnectionOptions) -> Result<Session> {
        let (target, options) = (Arc::new(target), Arc::new(options));
        let carrier = match target.protocol {
            Protocol::Http => Carrier::Http(HttpClient::new(Arc::clone(&target), pool, options)?),
            Protocol::Native => Carrier::Native(NativeClient::new(Arc::clone(&target), pool, options)?),
        };
        Ok(Session { target, carrier })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn send_report(&self) -> Option<SendReport> {
        match &self.carrier {
            Carrier::Http(client) => client.send_report(),
            Carrier::Native(client) => client.send_report(),
        }
    }

    /// The format of inserts, as the statement names it.
    pub(super) fn format(&self) -> &'static str {
        match self.carrier {
            Carrier::Http(_) => "ArrowStream",
            Carrier::Native(_) => "Native",
        }
    }

    /// Runs a statement and waits for its end; a result is dropped.
    pub(super) async fn execute(&self, statement: Statement) -> Result<()> {
        match &self.carrier {
            Carrier::Http(client) => client.execute(statement).await,
            Carrier::Native(client) => client.execute(statement).await,
        }
    }

    /// Runs a query whose rows are read as `T`, by column names. 64-bit integers arrive as numbers.
    pub(super) async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>> {
        match &self.carrier {
            Carrier::Http(client) => client.rows(statement).await,
            Carrier::Native(client) => client.rows(statement).await,
        }
    }

    /// Runs a query whose result is read as Arrow.
    pub(super) async fn arrow(&self, statement: Statement) -> Result<Vec<RecordBatch>> {
        match &self.carrier {
            Carrier::Http(client) => client.arrow(statement).await,
            Carrier::Native(client) => client.arrow(statement).await,
        }
    }

    /// Runs an insert with its batch and returns once it is durable; the number of bytes sent for it.
    pub(super) async fn insert(&self, statement: Statement, batch: RecordBatch) -> Result<u64> {
        match &self.carrier {
            Carrier::Http(client) => client.insert(statement, batch).await,
            Carrier::Native(client) => client.insert(statement, batch).await,
        }
    }
}
