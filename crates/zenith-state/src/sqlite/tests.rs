//! What only the inside can see: the settings of connections, and a disk that fills up.

#![allow(clippy::unwrap_used)] // Tests.

use sqlx::Row;

use super::*;
use crate::test_suite::StoreLocation;
use crate::{Role, RunStart};

struct Folder(tempfile::TempDir);

impl StoreLocation for Folder {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.0.path().join("state.db")).await.unwrap()
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
    store.writer.as_ref().unwrap().fill_up().await;
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
        let mut session = store.write("look").await.unwrap();
        for (pragma, expected) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA cache_size", -256),
            ("PRAGMA wal_autocheckpoint", 256),
            ("PRAGMA journal_size_limit", 1 << 20),
        ] {
            let row = session.row(sqlx::query(pragma)).await.unwrap().unwrap();
            assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
        }
        let row = session.row(sqlx::query("PRAGMA journal_mode")).await.unwrap().unwrap();
        assert_eq!(row.get::<&str, _>(0), "wal");
        let mapped = session.row(sqlx::query("PRAGMA mmap_size")).await.unwrap().unwrap();
        assert_eq!(mapped.get::<i64, _>(0), 0);
        // Dropped without a commit, so that the next round has a connection of its own.
    }
}
