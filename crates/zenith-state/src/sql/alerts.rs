//! What alerts have told.

use super::Sql;
use super::statement::query;
use crate::Result;

pub(crate) async fn told(store: &Sql) -> Result<String> {
    let mut session = store.read("read which alerts were told").await?;
    let row = session.row(query("SELECT told FROM alerts")).await?;
    let told = row.map(|row| row.try_get(0)).transpose().map_err(|error| session.fault(error))?;
    session.commit().await?;
    Ok(told.unwrap_or_default())
}

pub(crate) async fn set_told(store: &Sql, told: &str) -> Result<()> {
    let mut session = store.write("note which alerts were told").await?;
    let put = query(
        "INSERT INTO alerts (id, told) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET told = excluded.told",
    );
    session.execute(put.bind(told)).await?;
    session.commit().await
}
