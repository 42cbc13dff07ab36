//! Whether a run can begin: database and privileges.

use serde::Deserialize;

use super::server::Server;
use super::session::Session;
use crate::ddl::identifier;
use crate::sink::{PreflightRequest, ServerInfo};
use crate::statement::Statement;
use crate::{Result, TransportError};

/// What a run does with its tables. A user who may create and drop tables may create and drop views as well.
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
/// What creating a table needs besides, on servers that ask for it.
const ENGINE_PRIVILEGE: &str = "TABLE ENGINE";
const ENGINE: &str = "MergeTree";
const ENGINE_OF_VERSIONS: &str = "ReplacingMergeTree";
/// Database engines that can exchange two tables in one step.
const EXCHANGING_ENGINES: [&str; 3] = ["Atomic", "Replicated", "Shared"];

/// `create` is the statement that creates the database.
pub(super) async fn preflight(
    session: &Session,
    server: &Server,
    wanted: &PreflightRequest,
    create: Statement,
) -> Result<ServerInfo> {
    let database = session.target().database.clone();
    // Before anything else: a database is invisible to those who may do nothing in it.
    check_privileges(session, &server.user, &database, wanted.versions).await?;
    let mut engine = database_engine(session, &database).await?;
    let mut database_created = false;
    if engine.is_none() && wanted.create_database {
        session.execute(create).await?;
        database_created = true;
        engine = database_engine(session, &database).await?;
    }
    if engine.is_none() && !wanted.missing_database {
        return Err(TransportError::NoDatabase { address: session.target().address(), database });
    }
    Ok(ServerInfo {
        version: server.version.clone(),
        version_number: server.version_number,
        user: server.user.clone(),
        date_range_ms: server.date_range_ms,
        database,
        database_created,
        database_exists: engine.is_some(),
        // One that is created gets the server's default engine, which can.
        exchanges_atomically: engine.is_none_or(|engine| EXCHANGING_ENGINES.contains(&engine.as_str())),
    })
}

async fn database_engine(session: &Session, database: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        engine: String,
    }
    let sql = "SELECT engine FROM system.databases WHERE name = {database:String}";
    let statement = Statement::new("looking for the database", sql).parameter("database", database);
    Ok(session.rows::<Row>(statement).await?.into_iter().next().map(|row| row.engine))
}

/// Asks for all privileges, and if that is not so for each, so that the error can name those that are missing.
async fn check_privileges(session: &Session, user: &str, database: &str, versions: bool) -> Result<()> {
    let everything = format!("{}.*", identifier(database));
    // The dead letters are in a table of the first one.
    let engines = if versions { &[ENGINE, ENGINE_OF_VERSIONS][..] } else { &[ENGINE] };
    let mut missing = Vec::new();
    let all = PRIVILEGES.join(", ");
    if is_granted(session, &all, &everything).await? != Some(true) {
        for privilege in PRIVILEGES {
            match is_granted(session, privilege, &everything).await? {
                Some(true) => {}
                Some(false) => missing.push(privilege),
                None => return Ok(()),
            }
        }
    }
    let mut grants = Vec::new();
    if !missing.is_empty() {
        grants.push(format!("GRANT {} ON {everything} TO {user}", missing.join(", ")));
    }
    for engine in engines {
        if is_granted(session, ENGINE_PRIVILEGE, engine).await? == Some(false) {
            missing.push(ENGINE_PRIVILEGE);
            grants.push(format!("GRANT {ENGINE_PRIVILEGE} ON {engine} TO {user}"));
        }
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(TransportError::Privileges {
        user: user.to_owned(),
        missing: missing.join(", "),
        grant: grants.join("; "),
    })
}

/// Whether the user has a privilege; `None` if the server cannot be asked, as those before 24.10, which will
/// say so at the first statement that needs it.
async fn is_granted(session: &Session, privilege: &str, on: &str) -> Result<Option<bool>> {
    #[derive(Deserialize)]
    struct Row {
        result: u8,
    }
    let sql = format!("CHECK GRANT {privilege} ON {on}");
    match session.rows::<Row>(Statement::new("asking for privileges", sql)).await {
        Ok(rows) => Ok(Some(rows.iter().any(|row| row.result == 1))),
        Err(error) if error.server().is_some_and(|error| error.code == 62) => Ok(None),
        Err(error) => Err(error),
    }
}
