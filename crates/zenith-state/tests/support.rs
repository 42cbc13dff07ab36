//! A folder or a database with a state in it.

use std::path::PathBuf;

use tempfile::TempDir;
use zenith_state::test_suite::StoreLocation;
use zenith_state::{
    Connector, PipelineRecord, PostgresAddress, PostgresStore, Role, SqliteStore, StateStore,
};
use zenith_testkit::services::postgres::{ask, database};

/// A folder for one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new folder in it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.file(name);
        std::fs::create_dir(&folder).unwrap();
        folder
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

/// A database for one test, and the lease of the store that was opened last.
pub struct Database(pub PostgresAddress);

impl Database {
    pub async fn new() -> Database {
        Database(PostgresAddress::parse(&database("state").await).unwrap())
    }

    pub fn uri(&self) -> String {
        self.0.to_string()
    }

    /// Runs a statement on the tables.
    pub fn ask(&self, statement: &str) -> String {
        ask(&self.uri(), &format!("SET search_path = zenith; {statement}")).unwrap()
    }

    /// Lets a lease run out, as six seconds would.
    pub fn let_the_lease_run_out(&self) {
        self.ask("UPDATE leases SET expires_at = clock_timestamp() - interval '1 s'");
    }
}

impl StoreLocation for Database {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        match PostgresStore::open(&self.0).await {
            // The one before was dropped, as a crash would.
            Err(error) if error.is_held() => {
                self.let_the_lease_run_out();
                PostgresStore::open(&self.0).await.unwrap()
            }
            store => store.unwrap(),
        }
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
