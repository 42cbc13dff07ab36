//! Whether a run can begin: database and privileges.

use serde::Deserialize;

use super::server::Server;
use crate::ddl::identifier;
use crate::http::HttpClient;
use crate::http::request::Request;
use crate::http::waiting;
use crate::sink::{Preflight, ServerInfo};
use crate::{Result, TransportError};

/// What a run does with its tables.
const PRIVILEGES: [&str; 8] = [
    "SELECT",
    "INSERT",
    "CREATE TABLE",
    "DROP TABLE",
    "TRUNCATE",
    "ALTER COLUMN",
    "ALTER SETTINGS",
    "ALTER MODIFY COMMENT",
];
/// Database engines that can exchange two tables in one step.
const EXCHANGING_ENGINES: [&str; 3] = ["Atomic", "Replicated", "Shared"];

pub(super) async fn preflight(
    client: &HttpClient,
    server: &Server,
    wanted: &Preflight,
) -> Result<ServerInfo> {
    let database = client.target().database.clone();
    // Before anything else: a database is invisible to those who may do nothing in it.
    check_privileges(client, &server.user, &database).await?;
    let mut engine = database_engine(client, &database).await?;
    let mut database_created = false;
    if engine.is_none() && wanted.create_database {
        let sql = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(&database));
        let doing = format!("creating the database {}", identifier(&database));
        client.send(waiting(Request::statement(doing, &sql))).await?;
        database_created = true;
        engine = database_engine(client, &database).await?;
    }
    if engine.is_none() && !wanted.missing_database {
        return Err(TransportError::NoDatabase { address: client.target().address(), database });
    }
    Ok(ServerInfo {
        version: server.version.clone(),
        version_number: server.version_number,
        user: server.user.clone(),
        database,
        database_created,
        database_exists: engine.is_some(),
        // One that is created gets the server's default engine, which can.
        exchanges_atomically: engine.is_none_or(|engine| EXCHANGING_ENGINES.contains(&engine.as_str())),
    })
}

async fn database_engine(client: &HttpClient, database: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        engine: String,
    }
    let sql = "SELECT engine FROM system.databases WHERE name = {database:String}";
    let request = Request::statement("looking for the database", sql).parameter("database", database);
    Ok(client.rows::<Row>(request).await?.into_iter().next().map(|row| row.engine))
}

/// Asks for each privilege, so that the error can name those that are missing.
async fn check_privileges(client: &HttpClient, user: &str, database: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        result: u8,
    }
    let mut missing = Vec::new();
    for privilege in PRIVILEGES {
        let sql = format!("CHECK GRANT {privilege} ON {}.*", identifier(database));
        match client.rows::<Row>(Request::statement("asking for privileges", &sql)).await {
            Ok(rows) if rows.iter().any(|row| row.result == 1) => {}
            Ok(_) => missing.push(privilege),
            // Servers before 24.10 cannot be asked; they will say at the first statement.
            Err(error) if error.server().is_some_and(|error| error.code == 62) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(TransportError::Privileges {
        user: user.to_owned(),
        database: identifier(database),
        missing: missing.join(", "),
    })
}
