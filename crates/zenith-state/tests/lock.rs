//! Who may use a state at the same time.

use std::path::Path;
use std::time::Duration;

use zenith_state::{SchemaChange, SqliteStore, StateError, StateStore};

use crate::child::{self, Running};
use crate::support::{Folder, apply};

/// Opens a state and waits to be killed.
#[tokio::test]
async fn holds_until_killed() {
    let Some(state) = child::order() else { return };
    let _store = SqliteStore::open(&state).await.unwrap();
    child::report("open");
    tokio::time::sleep(Duration::from_secs(600)).await;
}

async fn refused(state: &Path) -> Option<u32> {
    match SqliteStore::open(state).await {
        Err(error @ StateError::Locked { pid, .. }) => {
            assert!(error.is_input() && !error.is_transient());
            assert!(error.to_string().contains("state.db"), "{error}");
            pid
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_process_has_the_lock() {
    let folder = Folder::new();
    let state = folder.state();
    assert!(!SqliteStore::is_locked(&state).await, "nothing is there");
    let mut child = Running::start("lock::holds_until_killed", &state);
    assert_eq!(child.report().as_deref(), Some("open"));
    assert!(SqliteStore::is_locked(&state).await);
    assert_eq!(refused(&state).await, Some(child.id()));
    child.kill();
    assert!(!SqliteStore::is_locked(&state).await);
    let store = SqliteStore::open(&state).await.unwrap();
    assert!(SqliteStore::is_locked(&state).await);
    assert_eq!(refused(&state).await, Some(std::process::id()));
    drop(store);
    assert!(!SqliteStore::is_locked(&state).await);
    assert!(folder.file("zenith/state.db.lock").exists(), "the file stays");
}

/// The state has one lock, under any name of its file.
#[tokio::test]
async fn a_link_has_the_lock_of_its_state() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    let link = folder.file("link-to-state.db");
    std::os::unix::fs::symlink(folder.state(), &link).unwrap();
    assert!(SqliteStore::is_locked(&link).await);
    assert_eq!(refused(&link).await, Some(std::process::id()));
    assert_eq!(store.path(), folder.state().canonicalize().unwrap());
}

/// Short commands and readers work beside the holder of the lock, and see what it does.
#[tokio::test]
async fn others_work_beside_the_holder() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    let shared = SqliteStore::open_shared(&folder.state()).await.unwrap();
    let reader = SqliteStore::open_read_only(&folder.state()).await.unwrap();
    apply(&shared).await;
    assert_eq!(store.pipelines().await.unwrap().len(), 1);
    assert!(shared.set_paused("p", true).await.unwrap());
    assert!(store.pipelines().await.unwrap()[0].paused);
    store
        .add_schema("p", &SchemaChange { schema: b"schema".to_vec(), ..SchemaChange::default() })
        .await
        .unwrap();
    assert_eq!(reader.schemas("p").await.unwrap().len(), 1);
    let error = reader.reset("p", None).await.unwrap_err();
    assert!(matches!(error, StateError::ReadOnly { .. }) && error.is_input(), "{error:?}");
    drop(store);
    assert_eq!(reader.pipelines().await.unwrap().len(), 1);
}

/// Short commands create the state, and do not keep the lock.
#[tokio::test]
async fn a_short_command_may_come_first() {
    let folder = Folder::new();
    let shared = SqliteStore::open_shared(&folder.state()).await.unwrap();
    assert!(!SqliteStore::is_locked(&folder.state()).await);
    apply(&shared).await;
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    assert_eq!(store.pipelines().await.unwrap().len(), 1);
}

/// The first process creates the state; the others find it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_create_the_state() {
    for _ in 0..12 {
        let folder = Folder::new();
        let tasks = (0..6).map(|number| {
            let state = folder.state();
            tokio::spawn(async move {
                match number {
                    0 => SqliteStore::open(&state).await.unwrap(),
                    _ => SqliteStore::open_shared(&state).await.unwrap(),
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut stores = Vec::new();
        for task in tasks {
            stores.push(task.await.unwrap());
        }
        apply(&stores[3]).await;
        for store in &stores {
            assert_eq!(store.pipelines().await.unwrap().len(), 1);
        }
    }
}

/// A transaction of somebody else is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_two_processes_take_turns() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    let shared = SqliteStore::open_shared(&folder.state()).await.unwrap();
    apply(&shared).await;
    let one = async {
        for number in 0..100_u8 {
            assert_eq!(
                store
                    .add_schema("p", &SchemaChange { schema: vec![number], ..SchemaChange::default() })
                    .await
                    .unwrap(),
                u32::from(number) + 1
            );
        }
    };
    let other = async {
        for number in 0..100 {
            assert!(shared.set_paused("p", number % 2 == 0).await.unwrap());
        }
    };
    tokio::join!(one, other);
}
