//! How many inserts a second a store can note and commit, and what one costs.
//!
//! `cargo run -p zenith-state --example commit_rate -- [FOLDER [SECONDS]]`
//!
//! The folder decides: it should be on the disk that is to hold the state. With `strace -f -c -e
//! trace=fdatasync,fsync` before it, the calls that make things durable are counted too.

#![allow(clippy::print_stdout)] // It is what the example is for.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use zenith_state::{
    Checkpoint, Connector, Intent, Mismatches, PipelineRecord, Role, SqliteStore, StateStore,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir_in(folder)?;
    let store = SqliteStore::open(&folder.path().join("state.db")).await?;
    apply(&store).await?;
    let (mut noted, mut committed) = (Vec::new(), Vec::new());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        let number = u64::try_from(committed.len())?;
        let position = [&number.to_be_bytes()[..], &[0xab; 92]].concat();
        let intent = Intent {
            pipeline: "p".into(),
            token: format!("p-{number}"),
            from: position.clone(),
            to: position.clone(),
            rows: 1,
            created: SystemTime::now(),
        };
        let at = Instant::now();
        store.begin_intent(&intent).await?;
        noted.push(at.elapsed());
        let checkpoint = Checkpoint {
            order: position.clone(),
            position,
            source_time: None,
            rows: number,
            saved: SystemTime::now(),
        };
        let at = Instant::now();
        store.commit_intent("p", &intent.token, &checkpoint, &Mismatches::default()).await?;
        committed.push(at.elapsed());
    }
    let rounds = u64::try_from(committed.len())?;
    println!("{rounds} rounds of begin_intent and commit_intent, {} a second", rounds / seconds);
    for (what, mut times) in [("begin_intent", noted), ("commit_intent", committed)] {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        println!(
            "{what}: median {:?}, 99 % within {:?}, longest {:?}",
            at(50),
            at(99),
            times[times.len() - 1]
        );
    }
    Ok(())
}

async fn apply(store: &SqliteStore) -> zenith_state::Result<()> {
    for (name, role) in [("mongo", Role::Source), ("click", Role::Target)] {
        let connector = Connector { name: name.into(), role, uri: String::new(), options: String::new() };
        store.put_connector(&connector).await?;
    }
    let pipeline = PipelineRecord {
        name: "p".into(),
        source: "mongo".into(),
        target: "click".into(),
        settings: String::new(),
        paused: false,
    };
    store.put_pipeline(&pipeline).await
}
