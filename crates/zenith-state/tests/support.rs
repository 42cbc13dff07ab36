//! A folder with a state in it.

use std::path::PathBuf;

use tempfile::TempDir;
use zenith_state::test_suite::StoreLocation;
use zenith_state::{Connector, PipelineRecord, Role, SqliteStore, StateStore};

/// A folder for one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The state of the test.
    pub fn state(&self) -> PathBuf {
        self.file("zenith/state.db")
    }
}

impl StoreLocation for Folder {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.state()).await.unwrap()
    }
}

/// Puts a pipeline `p` with its ends.
pub async fn apply(store: &impl StateStore) {
    for (name, role) in [("mongo", Role::Source), ("click", Role::Target)] {
        let uri = "mongodb://app:${PASSWORD}@host".into();
        let connector = Connector { name: name.into(), role, uri, options: String::new() };
        store.put_connector(&connector).await.unwrap();
    }
    let pipeline = PipelineRecord {
        name: "p".into(),
        source: "mongo".into(),
        target: "click".into(),
        settings: String::new(),
        paused: false,
    };
    store.put_pipeline(&pipeline).await.unwrap();
}
