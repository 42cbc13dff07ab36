//! Writes a state with something of everything in it, as a fixture of the newest format.
//!
//! `cargo run -p zenith-state --features postgres --example fixture -- crates/zenith-state/test-data/v1.sqlite`
//!
//! For PostgreSQL name an empty database, and keep what `pg_dump --schema=zenith --inserts --no-owner` says of it then.

use std::error::Error;
use std::path::PathBuf;

use zenith_state::{PostgresAddress, StatePlace};

#[path = "../tests/fixture.rs"]
mod fixture;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let named = std::env::args().nth(1).ok_or("name the file or the database to write")?;
    if PostgresAddress::is_one(&named) {
        let store = StatePlace::Postgres(Box::new(PostgresAddress::parse(&named)?)).open().await?;
        fixture::fill(&store).await;
        return Ok(store.close().await?);
    }
    let path = PathBuf::from(named);
    if path.exists() {
        return Err("the file already exists, and formats that were released do not change".into());
    }
    let store = StatePlace::File(path.clone()).open().await?;
    fixture::fill(&store).await;
    store.close().await?;
    std::fs::remove_file(path.with_added_extension("lock"))?;
    Ok(())
}
