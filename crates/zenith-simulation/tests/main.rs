//! The bounded part of the simulation, which runs with all tests; `cargo xtask simulate` runs more of it.

use std::thread;
use std::time::{Duration, Instant};

use zenith_simulation::{DeliberateBug, Laboratory};

/// Seeds that are tried, as far as the time allows.
const SEEDS: u64 = 8_000;
const TIME: Duration = Duration::from_secs(25);
/// Seeds within which a bug has to be found.
const SEEDS_TO_FIND: u64 = 10_000;

#[test]
fn no_seed_breaks_a_promise() {
    let began = Instant::now();
    let work = |first: u64| {
        let laboratory = Laboratory::new(None).unwrap();
        let mut done = 0;
        for seed in (first..SEEDS).step_by(2) {
            if began.elapsed() > TIME {
                break;
            }
            if let Some(broken) = laboratory.run(seed).broken {
                let trace = laboratory.trace(seed).trace.join("\n");
                panic!("{trace}\nseed {seed}: {broken}\ncargo xtask simulate --from {seed} --seeds 1");
            }
            done += 1;
        }
        done
    };
    let done: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|first| scope.spawn(move || work(first))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(done > 100, "only {done} seeds in {TIME:?}");
}

/// The first seed that finds a bug in these words.
fn seed_that_finds(bug: DeliberateBug, words: &[&str]) -> Option<u64> {
    let laboratory = Laboratory::new(Some(bug)).expect("a laboratory");
    // Only tables without a key of their own are read while rows of documents that are gone leave them.
    let (first, each) = if bug == DeliberateBug::PurgedWhileRead { (12, 16) } else { (0, 1) };
    (first..SEEDS_TO_FIND).step_by(each).find(|seed| {
        let broken = laboratory.run(*seed).broken;
        broken.is_some_and(|broken| words.iter().any(|words| broken.contains(words)))
    })
}

#[test]
fn deliberate_bugs_are_found() {
    let lost: &[&str] = &["is not in the table"];
    let bugs = [
        (DeliberateBug::CheckpointBeforeInsert, lost),
        (DeliberateBug::TokenNotRepeated, &["is in the table twice"]),
        (DeliberateBug::BatchEndsInsideClusterTime, &["came in two inserts"]),
        (DeliberateBug::IntentClosedEarly, &["is in the table twice", "came in two inserts"]),
        (DeliberateBug::LettersNotLookedUp, &["came twice", "neither a row nor a dead letter"]),
        (DeliberateBug::OldPlacesLeft, &["is in the table twice"]),
        (DeliberateBug::PurgedWhileRead, &["is in the table, but not in the collection"]),
    ];
    for (bug, words) in bugs {
        assert!(seed_that_finds(bug, words).is_some(), "{bug:?} is not found");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    let laboratory = Laboratory::new(None).unwrap();
    for seed in 0..100 {
        let [first, second] = [(); 2].map(|()| laboratory.trace(seed).trace);
        assert!(!first.is_empty());
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Fields that come up later get columns in tables of changes, with a crash right before and after.
#[test]
fn columns_are_added() {
    let laboratory = Laboratory::new(None).unwrap();
    for call in ["AddColumns", "ModifyColumns"] {
        let (mut changed, mut crashed) = (0, 0);
        for seed in 0..10_000 {
            let trace = laboratory.trace(seed).trace;
            let mut calls = trace.iter().filter(|line| line.contains(call)).peekable();
            changed += usize::from(calls.peek().is_some());
            crashed += usize::from(calls.any(|line| line.contains("CRASH")));
            if changed > 100 && crashed > 0 {
                break;
            }
        }
        assert!(changed > 100 && crashed > 0, "{call} in {changed} seeds, {crashed} with a crash");
    }
}

/// Rows of documents that are gone leave the table in some seeds, those that deletions hide and then the deletions.
#[test]
fn rows_leave_the_table() {
    let laboratory = Laboratory::new(None).unwrap();
    let mut left = 0;
    for seed in 0..4_000 {
        let trace = laboratory.trace(seed).trace;
        left += usize::from(trace.iter().filter(|line| line.contains("rows leave the table")).count() > 1);
        if left > 20 {
            break;
        }
    }
    assert!(left > 20, "rows leave the table in {left} seeds");
}
