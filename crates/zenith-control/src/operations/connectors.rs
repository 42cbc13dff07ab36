//! The databases that are read and written: which there are, whether they can be used, what is in them.

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::extract::{ChangeSource as _, CollectionKind, Topology};
use zenith_engine::state::Role;
use zenith_engine::transport::{PreflightRequest, TransportError};
use zenith_engine::{EngineError, MongoSource, Namespace, Pool, Sink as _};

use crate::collections::listing;
use crate::config::applied::{self, Applied};
use crate::config::{Connector, suggest};
use crate::connect;
use crate::failure::{Failure, code};

/// Collections whose sizes are asked for side by side.
const SIZES: usize = 8;

/// A connector for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectorJson {
    /// Its name.
    pub name: String,
    /// `source` or `target`.
    pub role: &'static str,
    /// As it was written: references, no secrets.
    pub uri: String,
    /// The pipelines that use it, without those that templates bring.
    pub pipelines: Vec<String>,
}

/// All that were applied.
pub fn list(applied: &Applied) -> Vec<ConnectorJson> {
    let users = |name: &str| {
        let all = applied.templates.iter().chain(&applied.pipelines);
        let users = all
            .filter(|record| applied::member_of(record).is_empty())
            .filter(|record| record.source == name || record.target == name);
        users.map(|record| record.name.clone()).collect()
    };
    let shown = applied.connectors.iter().map(|connector| ConnectorJson {
        name: connector.name.clone(),
        role: connector.role.as_str(),
        uri: connector.uri.clone(),
        pipelines: users(&connector.name),
    });
    shown.collect()
}

/// A connector by its name, with its role.
///
/// # Errors
/// If there is none, with the name that was meant, or this version does not understand it.
pub fn find(applied: &Applied, name: &str) -> Result<(Role, Connector), Failure> {
    let Some(record) = applied.connectors.iter().find(|connector| connector.name == name) else {
        let known = applied.connectors.iter().map(|connector| connector.name.as_str());
        let sentence = format!("there is no connector {name:?}{}", suggest::hint(name, known));
        return Err(Failure::known(code::NO_CONNECTOR, sentence));
    };
    Ok((record.role, applied::connector(record).map_err(Failure::Input)?))
}

/// What a look at a database found.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Tested {
    /// Whether pipelines can use it.
    pub ok: bool,
    /// Product, version and arrangement, in words; nothing if it does not answer.
    pub server: Option<String>,
    /// Databases that may be seen; of a target, the one that tables go to.
    pub databases: Vec<String>,
    /// What has to be mended, or limits what can be done.
    pub missing: Vec<Missing>,
}

/// Something that has to be mended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Missing {
    /// In a sentence.
    pub what: String,
    /// What to do, where the sentence does not say it.
    pub remedy: Option<String>,
}

impl Missing {
    fn of(failure: Failure) -> Missing {
        Missing { what: failure.message().to_owned(), remedy: None }
    }
}

/// Looks at a database and writes nothing. What fails is among what it finds.
pub async fn test(name: &str, role: Role, connector: &Connector, pool: &Pool) -> Tested {
    let mut tested = Tested::default();
    let looked = match role {
        Role::Source => test_source(name, connector, &mut tested).await.map(|()| true),
        Role::Target => test_target(name, connector, pool, &mut tested).await,
    };
    match looked {
        Ok(can_be_used) => tested.ok = can_be_used,
        Err(failure) => tested.missing.push(Missing::of(failure)),
    }
    tested
}

async fn test_source(name: &str, connector: &Connector, tested: &mut Tested) -> Result<(), Failure> {
    let source = connect::source(name, connector).await?;
    let (version, topology) = source.server().await.map_err(EngineError::from)?;
    tested.server = Some(match &topology {
        Topology::ReplicaSet(set) => format!("MongoDB {version}, replica set {set}"),
        Topology::Sharded => format!("MongoDB {version}, sharded cluster"),
        Topology::Standalone | Topology::InMemory | Topology::Files => {
            format!("MongoDB {version}, a server on its own")
        }
    });
    tested.databases = source.databases().await.map_err(EngineError::from)?;
    match topology {
        Topology::ReplicaSet(_) | Topology::Sharded => look_at_changes(&source, tested).await,
        Topology::Standalone | Topology::InMemory | Topology::Files => tested.missing.push(Missing {
            what: "it is a server on its own, which tells of no changes".to_owned(),
            remedy: Some(
                "make it a replica set (mongod --replSet rs0, then rs.initiate()), or use mode = \"full\""
                    .to_owned(),
            ),
        }),
    }
    Ok(())
}

/// Whether the changes of the collections of its database can be followed: with one of them, as they are not listed
/// together.
async fn look_at_changes(source: &MongoSource, tested: &mut Tested) {
    let Some(database) = source.default_database() else { return };
    let Ok(collections) = listing::names(source, database).await else { return };
    let Some((first, _)) = collections.into_iter().find(|(_, tells)| *tells) else { return };
    match source.change_preflight(&[Namespace::new(database, &first)]).await {
        Err(error) => tested.missing.push(Missing::of(EngineError::from(error).into())),
        Ok(found) if found.oplog_window.is_none() => tested.missing.push(Missing {
            what: "how far back its changes reach is unknown: this user has no read access to the database local"
                .to_owned(),
            remedy: Some("grant the user read on the database local".to_owned()),
        }),
        Ok(_) => {}
    }
}

/// Whether it can be used.
async fn test_target(
    name: &str,
    connector: &Connector,
    pool: &Pool,
    tested: &mut Tested,
) -> Result<bool, Failure> {
    let found = match preflight(name, connector, pool).await? {
        Ok(found) => found,
        // What would grant them is a statement, to be copied and run.
        Err(EngineError::Sink(TransportError::Privileges { user, missing, grant })) => {
            let what = format!("the user {user} lacks {missing}");
            tested.missing.push(Missing { what, remedy: Some(grant) });
            return Ok(false);
        }
        Err(error) => return Err(of_target(name, error)),
    };
    tested.server = Some(format!("ClickHouse {}, user {}", found.version, found.user));
    if !found.database_exists {
        tested.missing.push(Missing {
            what: format!("there is no database {}", found.database),
            remedy: Some("create it, or set create_database = true in the pipelines".to_owned()),
        });
    }
    tested.databases.push(found.database);
    Ok(true)
}

async fn look_at_target(
    name: &str,
    connector: &Connector,
    pool: &Pool,
) -> Result<zenith_engine::transport::ServerInfo, Failure> {
    preflight(name, connector, pool).await?.map_err(|error| of_target(name, error))
}

async fn preflight(
    name: &str,
    connector: &Connector,
    pool: &Pool,
) -> Result<Result<zenith_engine::transport::ServerInfo, EngineError>, Failure> {
    let sink = connect::sink(name, connector, pool, None)?;
    let look = PreflightRequest { missing_database: true, ..PreflightRequest::default() };
    Ok(sink.preflight(&look).await.map_err(EngineError::Sink))
}

fn of_target(name: &str, error: EngineError) -> Failure {
    Failure::from(error).reworded(|words| format!("the target {name}: {words}"))
}

/// What a connector leads to, in a line.
///
/// # Errors
/// If it cannot be used.
pub async fn line(name: &str, role: Role, connector: &Connector, pool: &Pool) -> Result<String, Failure> {
    if role == Role::Target {
        let found = look_at_target(name, connector, pool).await?;
        let there = if found.database_exists { "" } else { ", which is not there yet" };
        let (version, user, database) = (found.version, found.user, found.database);
        return Ok(format!("ClickHouse {version}, user {user}, database {database}{there}"));
    }
    let source = connect::source(name, connector).await?;
    let Some(database) = source.default_database() else {
        return Ok(format!("{} can be used; it names no database", source.address()));
    };
    let collections = listing::names(&source, database).await?.len();
    let word = if collections == 1 { "collection" } else { "collections" };
    Ok(format!("{}: {collections} {word}", source.address()))
}

/// A collection that could be copied.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct CollectionJson {
    /// The database it is in.
    pub database: String,
    /// Its name.
    pub name: String,
    /// `collection`, `view` or `time-series`.
    pub kind: &'static str,
    /// About how many documents it has, by the metadata of the server.
    pub documents: Option<u64>,
    /// About how many bytes of BSON they are.
    pub bytes: Option<u64>,
}

/// The collections of one database, or of all that may be seen where neither this nor the address names one.
///
/// # Errors
/// If the source cannot be asked.
pub async fn collections(
    name: &str,
    connector: &Connector,
    database: Option<&str>,
) -> Result<Vec<CollectionJson>, Failure> {
    let source = connect::source(name, connector).await?;
    let databases = match database.or(source.default_database()) {
        Some(database) => vec![database.to_owned()],
        None => source.databases().await.map_err(EngineError::from)?,
    };
    let mut found = Vec::new();
    for database in databases {
        let there = source.collections(&database).await.map_err(EngineError::from)?;
        found.extend(there.into_iter().map(|(name, kind)| (Namespace::new(&database, name), kind)));
    }
    let sized = stream::iter(found).map(async |(namespace, kind)| {
        let size = source.size(&namespace).await;
        CollectionJson {
            kind: match kind {
                CollectionKind::View => "view",
                CollectionKind::TimeSeries => "time-series",
                CollectionKind::Collection | CollectionKind::Capped => "collection",
            },
            documents: size.map(|size| size.documents),
            bytes: size.map(|size| size.bytes),
            database: namespace.database,
            name: namespace.collection,
        }
    });
    Ok(sized.buffered(SIZES).collect().await)
}
