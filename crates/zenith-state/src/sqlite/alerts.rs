//! What alerts have told.

use sqlx::{Row, query};

use super::SqliteStore;
use crate::Result;

pub(super) async fn told(store: &SqliteStore) -> Result<String> {
    let mut session = store.read("read which alerts were told").await?;
    let row = session.row(query("SELECT told FROM alerts")).await?;
    let told = row.map(|row| row.try_get(0)).transpose().map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(told.unwrap_or_default())
}

pub(super) async fn set_told(store: &SqliteStore, told: &str) -> Result<()> {
    let mut session = store.write("note which alerts were told").await?;
    session.execute(query("INSERT OR REPLACE INTO alerts (id, told) VALUES (1, ?)").bind(told)).await?;
    session.commit().await
}
