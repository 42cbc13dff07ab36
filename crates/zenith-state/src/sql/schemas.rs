//! The schemas a pipeline has had.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::Sql;
use super::applied::expect_pipeline;
use super::statement::{Row, query};
use super::values::{moment, nanoseconds, small};
use crate::{Result, SchemaChange, SchemaVersion};

pub(crate) async fn add(store: &Sql, pipeline: &str, change: &SchemaChange) -> Result<u32> {
    let mut session = store.write("save a schema").await?;
    expect_pipeline(&mut session, pipeline).await?;
    let newest = query(
        "SELECT version, schema = ? AND cause = ? FROM schemas WHERE pipeline = ? ORDER BY version DESC LIMIT 1",
    );
    let newest = newest.bind(&change.schema).bind(&change.cause).bind(pipeline);
    let (newest, same) = match session.row(newest).await? {
        Some(row) => {
            let version = row.try_get(0).map_err(|error| session.fault(error))?;
            let same: bool = row.try_get(1).map_err(|error| session.fault(error))?;
            (small(session.path(), version)?, same)
        }
        None => (0, false),
    };
    let version = if same { newest } else { newest + 1 };
    if same {
        let complete =
            query("UPDATE schemas SET statement = ? WHERE pipeline = ? AND version = ? AND statement = ''");
        session.execute(complete.bind(&change.statement).bind(pipeline).bind(version)).await?;
    } else {
        let add = query(
            "INSERT INTO schemas (pipeline, version, created_nanoseconds, schema, cause, statement) \
             VALUES (?, ?, ?, ?, ?, ?)",
        );
        let add = add.bind(pipeline).bind(version).bind(nanoseconds(SystemTime::now()));
        session.execute(add.bind(&change.schema).bind(&change.cause).bind(&change.statement)).await?;
    }
    session.commit().await?;
    Ok(version)
}

pub(crate) async fn all(store: &Sql, pipeline: &str) -> Result<Vec<SchemaVersion>> {
    let mut session = store.read("read the schemas").await?;
    let schemas = query(
        "SELECT version, created_nanoseconds, schema, cause, statement FROM schemas \
         WHERE pipeline = ? ORDER BY version",
    );
    let rows = session.rows(schemas.bind(pipeline)).await?;
    let mut schemas = Vec::with_capacity(rows.len());
    for row in rows {
        let get = |column| row.try_get::<i64>(column).map_err(|error| session.fault(error));
        schemas.push(SchemaVersion {
            version: small(session.path(), get(0)?)?,
            created: moment(get(1)?),
            change: read_change(&row).map_err(|error| session.fault(error))?,
        });
    }
    session.commit().await?;
    Ok(schemas)
}

/// The newest version of each pipeline.
pub(crate) async fn versions(store: &Sql) -> Result<BTreeMap<String, u32>> {
    let mut session = store.read("read the versions of schemas").await?;
    let rows = session.rows(query("SELECT pipeline, max(version) FROM schemas GROUP BY pipeline")).await?;
    let mut versions = BTreeMap::new();
    for row in rows {
        let pipeline = row.try_get(0).map_err(|error| session.fault(error))?;
        let version = row.try_get(1).map_err(|error| session.fault(error))?;
        versions.insert(pipeline, small(session.path(), version)?);
    }
    session.commit().await?;
    Ok(versions)
}

fn read_change(row: &Row) -> sqlx::Result<SchemaChange> {
    Ok(SchemaChange { schema: row.try_get(2)?, cause: row.try_get(3)?, statement: row.try_get(4)? })
}
