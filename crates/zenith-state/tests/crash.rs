//! What a process that is killed leaves behind.

use std::time::{Duration, Instant, UNIX_EPOCH};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};
use zenith_state::{Checkpoint, INTERRUPTED, Intent, Mismatches, Outcome, RunStart, SqliteStore, StateStore};

use crate::child::{self, Running};
use crate::support::{Folder, apply};

fn checkpoint(number: u64) -> Checkpoint {
    Checkpoint {
        position: number.to_be_bytes().to_vec(),
        order: number.to_be_bytes().to_vec(),
        source_time: None,
        rows: number,
        saved: UNIX_EPOCH,
    }
}

fn intent(number: u64) -> Intent {
    Intent {
        pipeline: "p".into(),
        token: format!("p-{number}"),
        from: (number - 1).to_be_bytes().to_vec(),
        to: number.to_be_bytes().to_vec(),
        rows: 1,
        created: UNIX_EPOCH,
    }
}

fn run() -> RunStart {
    RunStart { pipeline: "p".into(), mode: "full".into(), version: "1".into(), started: UNIX_EPOCH }
}

/// Goes on where the last one was killed, as an engine would, and reports every commit that was acknowledged.
#[tokio::test]
async fn commits_until_killed() {
    let Some(state) = child::order() else { return };
    let store = SqliteStore::open(&state).await.unwrap();
    store.start_run(&run()).await.unwrap();
    for open in store.open_intents("p").await.unwrap() {
        store.abandon_intent("p", &open.token).await.unwrap();
    }
    let mut number = store.checkpoint("p").await.unwrap().map_or(0, |found| found.rows);
    loop {
        number += 1;
        store.begin_intent(&intent(number)).await.unwrap();
        store
            .commit_intent("p", &intent(number).token, &checkpoint(number), &Mismatches::default())
            .await
            .unwrap();
        child::report(&number.to_string());
    }
}

/// Killed at any moment: what was acknowledged is there, nothing is there by half, and nobody is locked out.
#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    apply(&store).await;
    store.close().await.unwrap();
    let mut runs = 0;
    for round in 0..12_u32 {
        let mut child = Running::start("crash::commits_until_killed", &folder.state());
        let mut acknowledged: u64 = child.report().unwrap().parse().unwrap();
        let until = Instant::now() + Duration::from_micros(u64::from(round) * 3_700);
        while Instant::now() < until {
            acknowledged = child.report().unwrap().parse().unwrap();
        }
        acknowledged = child.kill().map_or(acknowledged, |last| last.parse().unwrap());
        runs += 1;

        assert!(!SqliteStore::is_locked(&folder.state()).await);
        let store = SqliteStore::open(&folder.state()).await.unwrap();
        let found = store.checkpoint("p").await.unwrap().unwrap();
        assert!((acknowledged..=acknowledged + 1).contains(&found.rows), "{acknowledged} {found:?}");
        assert_eq!(found, checkpoint(found.rows));
        let open = store.open_intents("p").await.unwrap();
        assert!(open.is_empty() || open == [intent(found.rows + 1)], "{found:?} {open:?}");
        let history = store.runs(None, 100).await.unwrap();
        assert_eq!(history.len(), runs);
        for run in history {
            assert_eq!((run.outcome, run.error.as_deref()), (Some(Outcome::Failed), Some(INTERRUPTED)));
            assert!(run.ended.is_some());
        }
        store.close().await.unwrap();
    }
    let mut connection = SqliteConnectOptions::new().filename(folder.state()).connect().await.unwrap();
    let row = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<&str, _>(0), "ok");
}

/// Only the process that has the lock may decide that a crash ended a run.
#[tokio::test]
async fn short_commands_leave_runs_alone() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.state()).await.unwrap();
    store.start_run(&run()).await.unwrap();
    let beside = SqliteStore::open_shared(&folder.state()).await.unwrap();
    assert_eq!(beside.runs(None, 1).await.unwrap()[0].outcome, None);
    store.close().await.unwrap();
    let after = SqliteStore::open_shared(&folder.state()).await.unwrap();
    assert_eq!(after.runs(None, 1).await.unwrap()[0].outcome, None);
}
