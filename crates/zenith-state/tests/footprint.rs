//! How much memory and disk a store takes, however much passes through it.

use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;
use zenith_state::{Checkpoint, Figures, Outcome, RunEnd, RunStart, SqliteStore, StateStore};

use crate::child::{self, Running};
use crate::support::apply;

const CHECKPOINTS: u64 = 100_000;
const RUNS: u64 = 10_000;
const MEMORY_KIB_MAX: u64 = 5 * 1024;
const LOG_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A figure of `/proc/self/status`, in KiB.
fn figure(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ']).split(' ').next().unwrap().parse().unwrap()
}

/// Saves checkpoints and runs, and reports the memory that took, at its peak, and the size of the log.
#[tokio::test]
async fn works_and_reports() {
    let Some(state) = child::order() else { return };
    // The allocator and the runtime have had their share before the store comes.
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    let before = figure("VmRSS");
    let store = SqliteStore::open(&state).await.unwrap();
    apply(&store).await;
    for number in 0..CHECKPOINTS {
        let position = [&number.to_be_bytes()[..], &[0xab; 92]].concat();
        let order = position.clone();
        let (source_time, saved) = (Some(UNIX_EPOCH), UNIX_EPOCH);
        store.advance("p", &Checkpoint { position, order, source_time, rows: number, saved }).await.unwrap();
    }
    for number in 0..RUNS {
        let (pipeline, mode, version) = ("p".into(), "full".into(), "0.1.0".into());
        let id = store.start_run(&RunStart { pipeline, mode, version, started: UNIX_EPOCH }).await.unwrap();
        let (ended, outcome, error) = (UNIX_EPOCH, Outcome::Failed, Some("no host ".repeat(128)));
        let figures = Figures { rows: number, bytes: number, ..Figures::default() };
        let end = RunEnd { ended, outcome, figures, error };
        store.finish_run(id, &end).await.unwrap();
    }
    assert_eq!(store.runs(None, 100).await.unwrap().len(), 100);
    assert_eq!(store.checkpoint("p").await.unwrap().unwrap().rows, CHECKPOINTS - 1);
    let log = fs::metadata(state.with_extension("db-wal")).unwrap().len();
    child::report(&format!("{} {} {log}", figure("VmHWM") - before, figure("VmRSS") - before));
}

#[test]
fn memory_does_not_grow_with_what_passes() {
    // In memory where possible: this is not about the disk, and a third of a million syncs take their time.
    let memory = PathBuf::from("/dev/shm");
    let folder = TempDir::new_in(&memory).or_else(|_| TempDir::new()).unwrap();
    let mut child = Running::start("footprint::works_and_reports", &folder.path().join("state.db"));
    let report = child.report().unwrap();
    let figures: Vec<u64> = report.split(' ').map(|figure| figure.parse().unwrap()).collect();
    println!("KiB at peak, KiB at the end, bytes of log: {figures:?}");
    assert!(figures[0] < MEMORY_KIB_MAX, "{figures:?}");
    assert!(figures[2] < LOG_BYTES_MAX, "{figures:?}");
}
