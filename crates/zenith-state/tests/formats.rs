//! Formats: those of earlier versions are read, those of later ones are refused.
//!
//! A version that changes the format adds a migration, and a fixture with
//! `cargo run -p zenith-state --features postgres --example fixture -- crates/zenith-state/test-data/v<number>.sqlite`.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use zenith_state::{MemoryStore, SqliteStore, StateError, StateStore};

use crate::fixture;
use crate::support::{Folder, apply};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("test-data");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sqlite"));
    files.sort();
    files
}

async fn execute(state: &Path, statement: &str) {
    let mut connection = SqliteConnectOptions::new().filename(state).connect().await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn every_format_is_read() {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").read_dir().unwrap().count();
    assert_eq!(fixtures().len(), migrations, "one fixture for each format");
    assert_eq!(fixture::NEWEST, migrations);
    for (fixture, format) in fixtures().into_iter().zip(1..) {
        let folder = Folder::new();
        std::fs::create_dir(folder.file("zenith")).unwrap();
        std::fs::copy(&fixture, folder.state()).unwrap();
        let store = SqliteStore::open(&folder.state()).await.unwrap();
        fixture::check(&store, format).await;
        store.reset("orders", None).await.unwrap();
        store.close().await.unwrap();
        let reader = SqliteStore::open_read_only(&folder.state()).await.unwrap();
        assert_eq!(reader.epoch("orders").await.unwrap(), 3);
    }
}

/// The contents of the fixtures are what a store of today makes of the same calls.
#[tokio::test]
async fn fixtures_are_what_is_written_today() {
    let memory = MemoryStore::new();
    fixture::fill(&memory).await;
    fixture::check(&memory, fixture::NEWEST).await;
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    fixture::fill(&store).await;
    fixture::check(&store, fixture::NEWEST).await;
}

#[tokio::test]
async fn a_later_format_is_refused() {
    let folder = Folder::new();
    SqliteStore::open(&folder.state()).await.unwrap().close().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', 1, x'00', 0)";
    execute(&folder.state(), later).await;
    for error in [
        SqliteStore::open(&folder.state()).await.unwrap_err(),
        SqliteStore::open_shared(&folder.state()).await.unwrap_err(),
        SqliteStore::open_read_only(&folder.state()).await.unwrap_err(),
    ] {
        assert!(matches!(error, StateError::Newer { found: 99, known: 1.., .. }), "{error:?}");
        assert!(error.is_input() && error.to_string().contains("99"), "{error}");
    }
}

/// Nobody changes the format while a process moves data, and readers never do.
#[tokio::test]
async fn an_earlier_format_waits_for_the_lock() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    execute(&folder.state(), "DELETE FROM _sqlx_migrations").await;
    let error = SqliteStore::open_shared(&folder.state()).await.unwrap_err();
    assert!(matches!(error, StateError::Locked { .. }), "{error:?}");
    let error = SqliteStore::open_read_only(&folder.state()).await.unwrap_err();
    assert!(matches!(error, StateError::Older { found: 0, .. }) && error.is_input(), "{error:?}");
    drop(store);
}

/// A crash between the first steps of creation leaves what the next one completes.
#[tokio::test]
async fn a_creation_cut_short_is_completed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.file("zenith")).unwrap();
    std::fs::write(folder.state(), "").unwrap();
    execute(&folder.state(), "PRAGMA journal_mode = WAL").await;
    let formats = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                   installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
                   checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)";
    execute(&folder.state(), formats).await;
    let error = SqliteStore::open_read_only(&folder.state()).await.unwrap_err();
    assert!(matches!(error, StateError::Absent { .. }), "{error:?}");
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    apply(&store).await;
}

/// The trigger holds off statements that are not ours.
#[tokio::test]
async fn checkpoints_move_forward_whoever_writes() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    fixture::fill(&store).await;
    let mut connection = SqliteConnectOptions::new().filename(folder.state()).connect().await.unwrap();
    let back = sqlx::query("UPDATE checkpoints SET sort_key = x'81'").execute(&mut connection).await;
    assert!(back.unwrap_err().to_string().contains("backwards"));
    fixture::check(&store, fixture::NEWEST).await;
}
