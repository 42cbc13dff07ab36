//! `cargo xtask simulate [--seeds N] [--from SEED]`: runs seeds until all are done or one breaks a promise.

// It speaks on standard output; it is what it is for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use zenith_simulation::{DeliberateBug, Kind, Laboratory};

/// Between two lines that say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate", disable_version_flag = true)]
#[command(about = "Run the engine over memory, with crashes and faults by a seed")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Threads, each with seeds of its own; by default one a core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Do not end at the first seed that breaks a promise, but count them
    #[arg(long)]
    all: bool,
    /// Give the engine a deliberate bug, which is to be found
    #[arg(long, value_enum)]
    bug: Option<Bug>,
    /// Print what happens in the first seed
    #[arg(long)]
    trace: bool,
}

/// A deliberate bug.
#[derive(Clone, Copy, ValueEnum)]
enum Bug {
    /// The checkpoint of a batch is saved before its insert is sent
    CheckpointBeforeInsert,
    /// A repeated insert has another token
    TokenNotRepeated,
    /// A batch may end inside a cluster time
    BatchEndsInsideClusterTime,
    /// An intent is closed before the checkpoint is saved
    IntentClosedEarly,
    /// Dead letters are written again without a look at those that are there
    LettersNotLookedUp,
    /// Rows of documents whose key has changed stay where they are
    OldPlacesLeft,
    /// Deletions leave the table for good while the collection is being read
    PurgedWhileRead,
}

impl From<Bug> for DeliberateBug {
    fn from(bug: Bug) -> DeliberateBug {
        match bug {
            Bug::CheckpointBeforeInsert => DeliberateBug::CheckpointBeforeInsert,
            Bug::TokenNotRepeated => DeliberateBug::TokenNotRepeated,
            Bug::BatchEndsInsideClusterTime => DeliberateBug::BatchEndsInsideClusterTime,
            Bug::IntentClosedEarly => DeliberateBug::IntentClosedEarly,
            Bug::LettersNotLookedUp => DeliberateBug::LettersNotLookedUp,
            Bug::OldPlacesLeft => DeliberateBug::OldPlacesLeft,
            Bug::PurgedWhileRead => DeliberateBug::PurgedWhileRead,
        }
    }
}

/// What came of seeds of one kind.
#[derive(Clone, Copy, Default)]
struct Tally {
    seeds: u64,
    crashes: u64,
    faults: u64,
    changes: u64,
    broken: u64,
}

/// What the threads share.
struct Shared {
    arguments: Arguments,
    /// The next seed.
    next: AtomicU64,
    tallies: Mutex<BTreeMap<Kind, Tally>>,
    /// What was broken, without its numbers: how often, and by which seed first.
    broken: Mutex<BTreeMap<String, (u64, u64)>>,
    /// The first seed that broke a promise.
    first: AtomicU64,
}

impl Shared {
    /// One seed after the other.
    fn work(&self) -> Result<(), String> {
        let laboratory = Laboratory::new(self.arguments.bug.map(DeliberateBug::from))?;
        let end = self.arguments.from.saturating_add(self.arguments.seeds);
        loop {
            let is_found = self.first.load(Ordering::Relaxed) < u64::MAX && !self.arguments.all;
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || is_found {
                return Ok(());
            }
            let run = laboratory.run(seed);
            let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            let tally = tallies.entry(run.kind).or_default();
            tally.seeds += 1;
            tally.crashes += u64::from(run.crashes);
            tally.faults += u64::from(run.faults);
            tally.changes += u64::try_from(run.changes).unwrap_or(u64::MAX);
            if let Some(broken) = run.broken {
                tally.broken += 1;
                let mut all = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                let (count, first) = all.entry(without_numbers(&broken)).or_insert((0, seed));
                *count += 1;
                *first = seed.min(*first);
                self.first.fetch_min(seed, Ordering::Relaxed);
            }
        }
    }

    fn seeds(&self) -> u64 {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.values().map(|tally| tally.seeds).sum()
    }
}

/// A sentence that is the same for all seeds that break the same promise.
fn without_numbers(sentence: &str) -> String {
    let words = sentence.split(|c: char| c.is_ascii_digit()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("N")
}

fn main() -> ExitCode {
    match simulate(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all seeds; whether all promises were kept.
fn simulate(arguments: Arguments) -> Result<bool, String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let shared = Shared {
        next: AtomicU64::new(arguments.from),
        tallies: Mutex::default(),
        broken: Mutex::default(),
        first: AtomicU64::new(u64::MAX),
        arguments,
    };
    if shared.arguments.trace {
        tell_seed(&shared, shared.arguments.from)?;
    }
    let began = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| shared.work())).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::park_timeout(Duration::from_millis(20));
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("{} seeds …", shared.seeds());
            }
        }
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread has panicked".to_owned())?)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "seeds", "crashes", "faults", "changes", "broken");
    let tallies = shared.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (kind, tally) in &tallies {
        let Tally { seeds, crashes, faults, changes, broken } = tally;
        println!("{:<12}{seeds:>10}{crashes:>10}{faults:>10}{changes:>10}{broken:>10}", kind.to_string());
    }
    for (sentence, (count, first)) in shared.broken.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{count} times, first in seed {first}: {sentence}");
    }
    let seeds = shared.seeds();
    let rate = f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / seconds;
    println!("{seeds} seeds in {seconds:.1} s with {threads} threads: {rate:.0} a second");
    match shared.first.load(Ordering::Relaxed) {
        u64::MAX => Ok(true),
        first => tell_seed(&shared, first).map(|()| false),
    }
}

/// Says what happens in a seed, and how to see it again.
fn tell_seed(shared: &Shared, seed: u64) -> Result<(), String> {
    let run = Laboratory::new(shared.arguments.bug.map(DeliberateBug::from))?.trace(seed);
    println!();
    run.trace.iter().for_each(|line| println!("  {line}"));
    let broken = run.broken.unwrap_or_else(|| "all promises are kept".to_owned());
    println!("seed {seed} ({}): {broken}", run.kind);
    let bug = shared.arguments.bug.as_ref().and_then(ValueEnum::to_possible_value);
    let bug = bug.map_or_else(String::new, |bug| format!(" --bug {}", bug.get_name()));
    println!("to repeat it: cargo xtask simulate --from {seed} --seeds 1{bug}");
    Ok(())
}
