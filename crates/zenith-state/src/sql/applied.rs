//! Connectors and pipelines: what was applied.

use super::Sql;
use super::session::Session;
use super::statement::query;
use crate::{Connector, PipelineRecord, Result, Role, StateError, secret};

const RUNNING: &str = "running";
const PAUSED: &str = "paused";

pub(crate) async fn connectors(store: &Sql) -> Result<Vec<Connector>> {
    let mut session = store.read("read the connectors").await?;
    let rows = session.rows(query("SELECT name, role, uri, options FROM connectors ORDER BY name")).await?;
    let mut connectors = Vec::with_capacity(rows.len());
    for row in rows {
        let get = |column| row.try_get::<String>(column).map_err(|error| session.fault(error));
        let role = match get(1)?.as_str() {
            "source" => Role::Source,
            "target" => Role::Target,
            other => return Err(session.damaged(format!("a connector has the role {other:?}"))),
        };
        connectors.push(Connector { name: get(0)?, role, uri: get(2)?, options: get(3)? });
    }
    session.commit().await?;
    Ok(connectors)
}

pub(crate) async fn put_connector(store: &Sql, connector: &Connector) -> Result<()> {
    if secret::is_literal(&connector.uri) {
        return Err(StateError::Secret { connector: connector.name.clone() });
    }
    let mut session = store.write("save a connector").await?;
    let other_end = match connector.role {
        Role::Source => "SELECT name FROM pipelines WHERE target = ? ORDER BY name LIMIT 1",
        Role::Target => "SELECT name FROM pipelines WHERE source = ? ORDER BY name LIMIT 1",
    };
    expect_unused(&mut session, &connector.name, other_end).await?;
    let put = query(
        "INSERT INTO connectors (name, role, uri, options) VALUES (?, ?, ?, ?) \
         ON CONFLICT (name) DO UPDATE \
         SET role = excluded.role, uri = excluded.uri, options = excluded.options",
    );
    let put = put.bind(&connector.name).bind(connector.role.as_str());
    session.execute(put.bind(&connector.uri).bind(&connector.options)).await?;
    session.commit().await
}

pub(crate) async fn remove_connector(store: &Sql, name: &str) -> Result<bool> {
    let mut session = store.write("remove a connector").await?;
    let users = "SELECT name FROM pipelines WHERE source = ?1 OR target = ?1 ORDER BY name LIMIT 1";
    expect_unused(&mut session, name, users).await?;
    let removed = session.execute(query("DELETE FROM connectors WHERE name = ?").bind(name)).await?;
    session.commit().await?;
    Ok(removed > 0)
}

pub(crate) async fn pipelines(store: &Sql) -> Result<Vec<PipelineRecord>> {
    let mut session = store.read("read the pipelines").await?;
    let rows = session
        .rows(query("SELECT name, source, target, settings, state FROM pipelines ORDER BY name"))
        .await?;
    let mut pipelines = Vec::with_capacity(rows.len());
    for row in rows {
        let get = |column| row.try_get::<String>(column).map_err(|error| session.fault(error));
        let paused = match get(4)?.as_str() {
            RUNNING => false,
            PAUSED => true,
            other => return Err(session.damaged(format!("a pipeline has the state {other:?}"))),
        };
        let (name, source, target, settings) = (get(0)?, get(1)?, get(2)?, get(3)?);
        pipelines.push(PipelineRecord { name, source, target, settings, paused });
    }
    session.commit().await?;
    Ok(pipelines)
}

pub(crate) async fn put_pipeline(store: &Sql, pipeline: &PipelineRecord) -> Result<()> {
    let mut session = store.write("save a pipeline").await?;
    expect_connector(&mut session, &pipeline.source, Role::Source).await?;
    expect_connector(&mut session, &pipeline.target, Role::Target).await?;
    // An update, not a replacement: what refers to the pipeline would go with a row that is replaced.
    let put = query(
        "INSERT INTO pipelines (name, source, target, settings, state) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (name) DO UPDATE \
         SET source = excluded.source, target = excluded.target, settings = excluded.settings, \
             state = excluded.state",
    );
    let put = put.bind(&pipeline.name).bind(&pipeline.source).bind(&pipeline.target);
    session.execute(put.bind(&pipeline.settings).bind(state(pipeline.paused))).await?;
    session.commit().await
}

pub(crate) async fn set_paused(store: &Sql, pipeline: &str, paused: bool) -> Result<bool> {
    let mut session = store.write("pause a pipeline").await?;
    let update = query("UPDATE pipelines SET state = ? WHERE name = ?").bind(state(paused)).bind(pipeline);
    let changed = session.execute(update).await?;
    session.commit().await?;
    Ok(changed > 0)
}

pub(crate) async fn remove_pipeline(store: &Sql, pipeline: &str) -> Result<bool> {
    let mut session = store.write("remove a pipeline").await?;
    let removed = session.execute(query("DELETE FROM pipelines WHERE name = ?").bind(pipeline)).await? > 0;
    if removed {
        begin_epoch(&mut session, pipeline).await?;
    }
    session.commit().await?;
    Ok(removed)
}

/// Begins another life of a pipeline.
pub(crate) async fn begin_epoch(session: &mut Session<'_>, pipeline: &str) -> Result<()> {
    let count = query(
        "INSERT INTO epochs (pipeline, epoch) VALUES (?, 1) \
         ON CONFLICT (pipeline) DO UPDATE SET epoch = epochs.epoch + 1",
    );
    session.execute(count.bind(pipeline)).await?;
    Ok(())
}

/// Fails if the pipeline is missing.
pub(crate) async fn expect_pipeline(session: &mut Session<'_>, name: &str) -> Result<()> {
    let found = session.row(query("SELECT 1 FROM pipelines WHERE name = ?").bind(name)).await?;
    found.map(|_| ()).ok_or_else(|| StateError::Missing { what: "pipeline", name: name.to_owned() })
}

async fn expect_connector(session: &mut Session<'_>, name: &str, role: Role) -> Result<()> {
    let found = query("SELECT 1 FROM connectors WHERE name = ? AND role = ?").bind(name).bind(role.as_str());
    let found = session.row(found).await?;
    found.map(|_| ()).ok_or_else(|| StateError::Missing { what: role.as_str(), name: name.to_owned() })
}

async fn expect_unused(session: &mut Session<'_>, connector: &str, users: &'static str) -> Result<()> {
    let Some(row) = session.row(query(users).bind(connector)).await? else { return Ok(()) };
    let pipeline = row.try_get(0).map_err(|error| session.fault(error))?;
    Err(StateError::InUse { connector: connector.to_owned(), pipeline })
}

fn state(paused: bool) -> &'static str {
    if paused { PAUSED } else { RUNNING }
}
