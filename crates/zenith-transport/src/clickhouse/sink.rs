//! The sink itself: what it holds, and which part does what.

use std::fmt;
use std::sync::OnceLock;

use arrow_array::RecordBatch;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zenith_memory::Pool;

use super::convert::ColumnTypes;
use super::server::Server;
use super::session::Session;
use super::{catalog, insert, preflight, publish, read};
use crate::ddl::{Dialect, identifier};
use crate::sink::{
    Durable, Insert, Merging, ObjectInfo, PreflightRequest, Published, ServerInfo, Sink, TableAdmin,
    TableInfo,
};
use crate::statement::Statement;
use crate::{ConnectionOptions, Result, SendReport, TableDefinition, Target, TransportError};

/// ClickHouse, over HTTP or the native protocol as the address says.
///
/// Cheap to share: its methods take `&self`, and inserts may run side by side.
pub struct ClickHouseSink {
    pub(super) session: Session,
    /// What the server is, once it has been asked.
    server: OnceLock<Server>,
    /// Types of the tables that are inserted into.
    pub(super) column_types: ColumnTypes,
    /// The cluster whose servers all get the tables; none where they are those of one server.
    cluster: Option<String>,
}

impl fmt::Debug for ClickHouseSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseSink").field("target", self.session.target()).finish_non_exhaustive()
    }
}

impl ClickHouseSink {
    /// A sink for `target`; no connection is made yet.
    ///
    /// Batches whose buffers lie in `pool` are sent from where they lie; what kind of pool is best,
    /// [`ConnectionOptions::wants_pool_in_file`] knows.
    ///
    /// # Errors
    /// [`crate::TransportError::Tls`] if the TLS options cannot be used, [`crate::TransportError::Target`] if
    /// [`ConnectionOptions::send`] cannot be honoured.
    pub fn new(target: Target, pool: Option<Pool>, options: ConnectionOptions) -> Result<ClickHouseSink> {
        Ok(ClickHouseSink {
            session: Session::new(target, pool, options)?,
            server: OnceLock::new(),
            column_types: ColumnTypes::default(),
            cluster: None,
        })
    }

    /// The same for tables on all servers of a cluster: statements that make, change, exchange and drop tables and views have
    /// `ON CLUSTER`. Rows are inserted and removed at the target alone, and the replicas of a table get them by themselves.
    #[must_use]
    pub fn on_cluster(self, cluster: Option<String>) -> ClickHouseSink {
        ClickHouseSink { cluster, ..self }
    }

    /// Runs a statement that has no result.
    ///
    /// # Errors
    /// What ClickHouse refuses, and broken connections.
    pub async fn execute(&self, statement: &str) -> Result<()> {
        self.session.execute(Statement::of_user(statement)).await
    }

    /// Runs a query with a small result.
    ///
    /// # Errors
    /// What ClickHouse refuses, and broken connections.
    pub async fn query(&self, statement: &str) -> Result<Vec<RecordBatch>> {
        let statement = Statement::of_user(statement);
        let setting = "output_format_native_write_json_as_string";
        self.session.arrow(self.server().await?.set(statement, setting, "1")).await
    }

    /// Runs a query whose rows are read as `T`, by column names. 64-bit integers arrive as numbers, names
    /// without a database mean the target's.
    ///
    /// # Errors
    /// What ClickHouse refuses, broken connections, and rows that are no `T`.
    pub async fn query_rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>> {
        self.session.rows(Statement::of_user(sql)).await
    }

    /// How inserts are sent, and why; `None` if that depends on where ClickHouse is, and no connection has been made.
    #[must_use]
    pub fn send_report(&self) -> Option<SendReport> {
        self.session.send_report()
    }

    /// What the server's DDL has.
    ///
    /// # Errors
    /// If the server cannot be asked for its version.
    pub async fn dialect(&self) -> Result<Dialect> {
        Ok(self.server().await?.dialect())
    }

    /// Which database of which server this is, as the server names it: the same by any address and protocol
    /// it is reached by, also before the database is there.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn identity(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Row {
            server: String,
        }
        let doing = "asking which server it is";
        // A folder of data that was copied to another host has the identifier of the first.
        let named = "concat(hostName(), ':', toString(tcpPort()))";
        let ask = |sql: String| self.session.rows::<Row>(Statement::new(doing, sql));
        let rows = match ask(format!("SELECT concat(toString(serverUUID()), ' ', {named}) AS server")).await {
            // One that does not have the function, or did not write its identifier.
            Err(TransportError::Server(_)) => ask(format!("SELECT {named} AS server")).await?,
            answer => answer?,
        };
        let server = rows.into_iter().next().map(|row| row.server).unwrap_or_default();
        Ok(format!("{server}/{}", self.database()))
    }

    pub(super) async fn server(&self) -> Result<&Server> {
        match self.server.get() {
            Some(server) => Ok(server),
            None => {
                let server = Server::ask(&self.session).await?;
                Ok(self.server.get_or_init(|| server))
            }
        }
    }

    pub(super) fn database(&self) -> &str {
        &self.session.target().database
    }

    /// The table's full name, quoted.
    pub(super) fn full_name(&self, table: &str) -> String {
        format!("{}.{}", identifier(self.database()), identifier(table))
    }

    /// Whether there are other servers that get the tables.
    pub(super) fn is_on_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// A statement about a table or view, which is first mentioned by this name, for all servers that have it.
    pub(super) fn for_all(&self, doing: impl Into<String>, sql: &str, name: &str) -> Statement {
        match &self.cluster {
            Some(cluster) => {
                let named = format!("{name} ON CLUSTER {}", identifier(cluster));
                // Without a row for each server.
                Statement::new(doing, sql.replacen(name, &named, 1))
                    .set("distributed_ddl_output_mode", "none")
            }
            None => Statement::new(doing, sql),
        }
    }

    /// Changes a table or view of this name on all servers that have it.
    pub(super) async fn change(&self, doing: impl Into<String>, sql: &str, name: &str) -> Result<()> {
        self.session.execute(self.for_all(doing, sql, name)).await
    }

    /// Runs a statement and waits for its end; `doing` is for error messages.
    pub(super) async fn run(&self, doing: impl Into<String>, sql: &str) -> Result<()> {
        self.session.execute(Statement::new(doing, sql)).await
    }
}

impl Sink for ClickHouseSink {
    async fn preflight(&self, wanted: &PreflightRequest) -> Result<ServerInfo> {
        let name = identifier(self.database());
        let sql = format!("CREATE DATABASE IF NOT EXISTS {name}");
        let create = self.for_all(format!("creating the database {name}"), &sql, &name);
        preflight::preflight(&self.session, self.server().await?, wanted, create).await
    }

    async fn describe(&self, table: &str) -> Result<Option<TableInfo>> {
        catalog::describe(self, table).await
    }

    async fn object(&self, name: &str) -> Result<Option<ObjectInfo>> {
        catalog::object(self, name).await
    }

    async fn tables(&self, prefix: &str) -> Result<Vec<String>> {
        catalog::tables(self, prefix).await
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        self.column_types.forget(&definition.name);
        let sql = definition.to_sql(self.database(), self.dialect().await?)?;
        let name = self.full_name(&definition.name);
        self.change(format!("creating the table {name}"), &sql, &name).await
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        insert::write(self, insert).await
    }

    async fn ping(&self) -> Result<()> {
        self.session.execute(Statement::new("asking whether it answers", "SELECT 1 FORMAT Null")).await
    }

    async fn count(&self, table: &str) -> Result<u64> {
        catalog::count(self, table).await
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        self.column_types.forget(shadow);
        self.column_types.forget(table);
        publish::publish(self, shadow, table).await
    }

    async fn set_merging(&self, table: &str, merging: Merging) -> Result<()> {
        publish::set_merging(self, table, merging).await
    }

    async fn truncate(&self, table: &str) -> Result<()> {
        let name = self.full_name(table);
        let statement = Statement::new(format!("emptying {name}"), format!("TRUNCATE TABLE {name}"));
        self.session.execute(unlimited(statement)).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.column_types.forget(table);
        let name = self.full_name(table);
        let statement =
            self.for_all(format!("dropping {name}"), &format!("DROP TABLE IF EXISTS {name}"), &name);
        self.session.execute(unlimited(statement)).await
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        read::read(self, table).await
    }

    fn admin(&self) -> &dyn TableAdmin {
        self
    }
}

/// Lifts the server's guard against dropping large tables by mistake: these are dropped on purpose.
fn unlimited(statement: Statement) -> Statement {
    statement.set("max_table_size_to_drop", "0").set("max_partition_size_to_drop", "0")
}
