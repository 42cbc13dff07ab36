//! What only the inside can see: the settings of connections, and a disk that fills up.

#![allow(clippy::unwrap_used)] // Tests.

use sqlx::Row;

use super::*;
use crate::test_suite::StoreLocation;
use crate::{Connector, Role, RunStart, StateError, StateStore};

struct Folder(tempfile::TempDir);

impl StoreLocation for Folder {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.0.path().join("state.db")).await.unwrap()
    }
}

fn writer(store: &SqliteStore) -> &session::Slot {
    match &store.sql {
        Sql::Sqlite(connections) => connections.writer.as_ref().unwrap(),
        #[cfg(feature = "postgres")]
        Sql::Postgres(_) => unreachable!("a file"),
    }
}

fn connector() -> Connector {
    let uri = "mongodb://host/".to_owned() + &"x".repeat(100_000);
    Connector { name: "c".into(), role: Role::Source, uri, options: String::new() }
}

/// A full disk is reported as one; what was there before stays, and the store continues once there is room.
#[tokio::test]
async fn a_full_disk_is_survived() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let store = folder.open().await;
    let run = RunStart {
        pipeline: "p".into(),
        mode: "full".into(),
        version: "1".into(),
        started: std::time::SystemTime::now(),
    };
    store.start_run(&run).await.unwrap();
    // Lets the database grow no further, as a full disk would.
    let full = async |connection: &mut sqlx::SqliteConnection| {
        sqlx::query("PRAGMA max_page_count = 1").execute(connection).await.unwrap();
    };
    writer(&store).with(full).await;
    let error = store.put_connector(&connector()).await.unwrap_err();
    assert!(matches!(error, StateError::Full { .. }), "{error:?}");
    assert!(error.is_input() && error.to_string().contains("full"), "{error}");
    assert_eq!(store.connectors().await.unwrap(), []);
    assert_eq!(store.runs(None, 10).await.unwrap().len(), 1);
    // The connection that failed has gone, and its limit with it.
    store.put_connector(&connector()).await.unwrap();
    assert_eq!(store.connectors().await.unwrap(), [connector()]);
}

/// The settings that durability and memory rest on, on first connections and on later ones.
#[tokio::test]
async fn connections_have_their_settings() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let store = folder.open().await;
    for _ in 0..2 {
        let looked = async |connection: &mut sqlx::SqliteConnection| {
            for (pragma, expected) in [
                ("PRAGMA synchronous", 2),
                ("PRAGMA foreign_keys", 1),
                ("PRAGMA cache_size", -256),
                ("PRAGMA wal_autocheckpoint", 256),
                ("PRAGMA journal_size_limit", 1 << 20),
            ] {
                let row = sqlx::query(pragma).fetch_one(&mut *connection).await.unwrap();
                assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
            }
            let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
            assert_eq!(row.get::<&str, _>(0), "wal");
            let mapped = sqlx::query("PRAGMA mmap_size").fetch_one(connection).await.unwrap();
            assert_eq!(mapped.get::<i64, _>(0), 0);
        };
        writer(&store).with(looked).await;
        // Dropped without a commit, so that the next round has a connection of its own.
        drop(store.sql.write("look").await.unwrap());
        store.set_paused("p", false).await.unwrap();
    }
}

/// A state that is moved takes all of its tables along.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn every_column_is_copied() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let store = folder.open().await;
    let look = async |connection: &mut sqlx::SqliteConnection| {
        let all = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
                   WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations' \
                   ORDER BY 1, 2";
        let rows = sqlx::query(all).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, String)>>()
    };
    assert_eq!(writer(&store).with(look).await, crate::sql::transfer::columns());
}
