//! Whether a run can begin: version, user, database, privileges.

use serde::Deserialize;

use crate::ddl::identifier;
use crate::http::HttpClient;
use crate::http::request::Request;
use crate::http::waiting;
use crate::sink::{Preflight, ServerInfo};
use crate::{Result, TransportError};

/// What a run does with its tables.
const PRIVILEGES: [&str; 5] = ["SELECT", "INSERT", "CREATE TABLE", "DROP TABLE", "ALTER"];
/// Database engines that can exchange two tables in one step.
const EXCHANGING_ENGINES: [&str; 3] = ["Atomic", "Replicated", "Shared"];

pub(super) async fn preflight(client: &HttpClient, wanted: &Preflight) -> Result<ServerInfo> {
    let (version_text, version_number, user) =
        version(client).await.map(|(text, number, user)| (text, number, user))?;
    let database = client.target().database.clone();
    let mut engine = database_engine(client, &database).await?;
    let mut database_created = false;
    if engine.is_none() && wanted.create_database {
        let sql = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(&database));
        let doing = format!("creating the database {}", identifier(&database));
        client.send(waiting(Request::statement(doing, &sql))).await?;
        database_created = true;
        engine = database_engine(client, &database).await?;
    }
    let Some(engine) = engine else {
        return Err(TransportError::NoDatabase { address: client.target().address(), database });
    };
    check_privileges(client, &user, &database).await?;
    Ok(ServerInfo {
        version: version_text,
        version_number,
        user,
        database,
        database_created,
        exchanges_atomically: EXCHANGING_ENGINES.contains(&engine.as_str()),
    })
}

/// The server's version as text and number, and who we are.
pub(super) async fn version(client: &HttpClient) -> Result<(String, (u32, u32), String)> {
    #[derive(Deserialize)]
    struct Row {
        version: String,
        user: String,
    }
    let sql = "SELECT version() AS version, currentUser() AS user";
    let rows: Vec<Row> = client.rows(Request::statement("asking for its version", sql)).await?;
    let unexpected = |reason: &str| TransportError::Answer {
        doing: "asking for its version".into(),
        address: client.target().address(),
        reason: reason.into(),
    };
    let Row { version, user } = rows.into_iter().next().ok_or_else(|| unexpected("no row"))?;
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((version.clone(), (major, minor), user)),
        _ => Err(unexpected("no version number")),
    }
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
