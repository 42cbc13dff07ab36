//! Writes a state with something of everything in it, as a fixture of the newest format.
//!
//! `cargo run -p zenith-state --example fixture -- crates/zenith-state/test-data/v1.sqlite`

use std::error::Error;
use std::path::PathBuf;

use zenith_state::SqliteStore;

#[path = "../tests/fixture.rs"]
mod fixture;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("name the file to write")?.into();
    if path.exists() {
        return Err("the file already exists, and formats that were released do not change".into());
    }
    let store = SqliteStore::open(&path).await?;
    fixture::fill(&store).await;
    store.close().await?;
    std::fs::remove_file(path.with_added_extension("lock"))?;
    Ok(())
}
