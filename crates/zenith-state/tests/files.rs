//! The files of a state: where they are, who may read them, and what is not one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use zenith_state::{SqliteStore, StateError, StateStore};

use crate::support::{Folder, apply};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_for_their_owner() {
    let folder = Folder::new();
    let state = folder.file("a/b/state.db");
    let store = SqliteStore::open(&state).await.unwrap();
    apply(&store).await;
    for parent in ["a", "a/b"] {
        assert_eq!(mode(&folder.file(parent)), 0o700, "{parent}");
    }
    for file in ["state.db", "state.db-wal", "state.db-shm", "state.db.lock"] {
        assert_eq!(mode(&folder.file("a/b").join(file)), 0o600, "{file}");
    }
    store.close().await.unwrap();
    assert!(!folder.file("a/b/state.db-wal").exists(), "a closed state is one file");
}

/// Permissions that somebody has granted stay.
#[tokio::test]
async fn permissions_of_a_file_that_is_there_stay() {
    let folder = Folder::new();
    SqliteStore::open(&folder.state()).await.unwrap().close().await.unwrap();
    fs::set_permissions(folder.state(), fs::Permissions::from_mode(0o640)).unwrap();
    SqliteStore::open(&folder.state()).await.unwrap().close().await.unwrap();
    assert_eq!(mode(&folder.state()), 0o640);
}

#[tokio::test]
async fn nothing_to_look_at_is_said_so() {
    let folder = Folder::new();
    let absent = SqliteStore::open_read_only(&folder.state()).await.unwrap_err();
    assert!(matches!(absent, StateError::Absent { .. }) && absent.is_input(), "{absent:?}");
    assert!(!folder.file("zenith").exists(), "looking creates nothing");
    fs::write(folder.file("empty.db"), "").unwrap();
    let empty = SqliteStore::open_read_only(&folder.file("empty.db")).await.unwrap_err();
    assert!(matches!(empty, StateError::Absent { .. }), "{empty:?}");
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let folder = Folder::new();
    let text = folder.file("notes.txt");
    fs::write(&text, "not a database, but long enough to be taken for one ".repeat(99)).unwrap();
    let other = folder.file("other.db");
    let options = SqliteConnectOptions::new().filename(&other).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE connectors (x)").execute(&mut connection).await.unwrap();
    drop(connection);
    let folder_itself = folder.file("folder");
    fs::create_dir(&folder_itself).unwrap();
    for path in [&text, &other, &folder_itself] {
        let before = fs::read(path).ok();
        for error in [
            SqliteStore::open(path).await.unwrap_err(),
            SqliteStore::open_shared(path).await.unwrap_err(),
            SqliteStore::open_read_only(path).await.unwrap_err(),
        ] {
            assert!(matches!(error, StateError::Foreign { .. }) && error.is_input(), "{path:?} {error:?}");
        }
        assert_eq!(fs::read(path).ok(), before, "{path:?}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_so() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    apply(&store).await;
    store.close().await.unwrap();
    let mut bytes = fs::read(folder.state()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(folder.state(), bytes).unwrap();
    let error = match SqliteStore::open(&folder.state()).await {
        Ok(store) => store.pipelines().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StateError::Damaged { .. }) && error.is_input(), "{error:?}");
}

#[tokio::test]
async fn a_place_that_cannot_be_is_an_input_error() {
    let folder = Folder::new();
    fs::write(folder.file("file"), "").unwrap();
    let error = SqliteStore::open(&folder.file("file/state.db")).await.unwrap_err();
    assert!(matches!(error, StateError::Io { .. }) && error.is_input(), "{error:?}");
}
