//! `cargo xtask bench beside`: latency of the other pipelines while one of ten is loaded again.
//!
//! Ten collections of one source change at a steady rate. The tenth is large and is reloaded beside the run. Rounds
//! without and with the reload alternate, as the speed of a machine drifts.

use std::fmt::Write as _;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use clap::Args;
use mongodb::options::{Acknowledgment, WriteConcern};
use serde::{Deserialize, Serialize};
use zenith_testkit::{ClickHouse, Error, Result, Shape};

use crate::Outcome;
use crate::bench::home::{Home, until};
use crate::bench::machine::Machine;
use crate::bench::servers::Servers;
use crate::bench::statistics::{median_of, percentile, ratio};
use crate::bench::table::{Table, counted, seconds};
use crate::bench::zenith::{Measured, Zenith};

const PIPELINES: usize = 10;
/// Documents of each but the last.
const DOCUMENTS: u64 = 10_000;
/// Between two writes, each to the next collection.
const TICK: Duration = Duration::from_millis(10);
const POLL: Duration = Duration::from_millis(20);

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench beside                              three rounds
  cargo xtask bench beside --documents 200000 --runs 1")]
pub struct Arguments {
    /// Changes a second, of all ten collections together
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    rate: u64,
    /// Documents of the collection that is loaded again
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    documents: u64,
    /// How long latency is measured without the reload; with it, for as long as it takes
    #[arg(long, value_name = "N", default_value_t = 15)]
    seconds: u64,
    #[command(flatten)]
    measured: Measured,
}

/// Latencies of the nine in one round.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    seconds: f64,
    changes: usize,
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Round {
    without: Part,
    with: Part,
}

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Report {
    machine: Machine,
    rate: u64,
    documents: u64,
    rounds: Vec<Round>,
}

/// Measures, prints, and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    let mut configuration = format!(
        "[sources.from]\nuri = {:?}\n[targets.to]\nuri = {:?}\n",
        servers.mongodb_uri(),
        zenith.target(&servers)
    );
    for number in 0..PIPELINES {
        let last = number == PIPELINES - 1;
        let documents = if last { arguments.documents } else { DOCUMENTS };
        servers.load(&name(number), Shape::Events, 0..documents).await?;
        let collection = servers.collection(&name(number));
        let first = doc! { "$set": { "change": 0_i64 } };
        collection.update_many(doc! {}, first).await.map_err(Error::mongodb("change documents"))?;
        let pipeline = name(number);
        let _ = writeln!(
            configuration,
            "[pipelines.{pipeline}]\nsource = \"from\"\ntarget = \"to\"\ncollection = {pipeline:?}"
        );
    }
    let home = Home::new(&zenith, &configuration).await?;
    let mut child = home.start(Stdio::null())?;
    until("all pipelines follow", async || {
        let pipelines = home.status().await?.pipelines;
        let following = pipelines.iter().filter(|one| one.state == "following");
        Ok(following.filter(|one| one.lag_seconds.is_some_and(|lag| lag < 1.0)).count() == PIPELINES)
    })
    .await?;
    let mut rounds = Vec::new();
    let mut next = 0_i64;
    for run in 1..=arguments.measured.runs {
        let without = async {
            tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
            Ok(())
        };
        let without = part(&servers, arguments.rate, &mut next, without).await?;
        let last = name(PIPELINES - 1);
        let reload = async { home.succeed(&["reload", &last]).await.map(drop) };
        let with = part(&servers, arguments.rate, &mut next, reload).await?;
        eprintln!(
            "round {run} of {}: p99 {:.0} ms, beside a reload of {:.1} s {:.0} ms",
            arguments.measured.runs, without.p99_ms, with.seconds, with.p99_ms
        );
        rounds.push(Round { without, with });
    }
    child.kill().await.map_err(Error::io("stop zenith"))?;
    let report = Report { machine, rate: arguments.rate, documents: arguments.documents, rounds };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

fn name(number: usize) -> String {
    format!("c{number}")
}

/// Latency of the nine while something lasts.
async fn part(
    servers: &Servers,
    rate: u64,
    next: &mut i64,
    lasts: impl Future<Output = Result<()>>,
) -> Result<Part> {
    let stopped = Arc::new(AtomicBool::new(false));
    let appeared = tokio::spawn(poll(servers.target.clone(), Arc::clone(&stopped)));
    let started = Instant::now();
    let ended = AtomicBool::new(false);
    let (lasted, committed) = tokio::join!(
        async {
            let done = lasts.await;
            ended.store(true, Ordering::Relaxed);
            done
        },
        write(servers, rate, *next, &ended)
    );
    lasted?;
    let committed = committed?;
    let elapsed = started.elapsed().as_secs_f64();
    *next += i64::try_from(committed.iter().map(Vec::len).sum::<usize>()).unwrap_or(i64::MAX);
    // The last changes become rows.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stopped.store(true, Ordering::Relaxed);
    let appeared = appeared.await.map_err(|_| Error::Server("the poller panicked".to_owned()))?;
    let mut milliseconds = Vec::new();
    for (committed, appeared) in committed.iter().zip(&appeared) {
        for (number, at) in committed {
            let place = appeared.partition_point(|(there, _)| there < number);
            let (_, there) = appeared
                .get(place)
                .ok_or_else(|| Error::Server("a change did not become a row within 5 s".to_owned()))?;
            milliseconds.push(there.saturating_duration_since(*at).as_secs_f64() * 1000.0);
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    let at = |share| percentile(&milliseconds, share);
    Ok(Part { seconds: elapsed, changes: milliseconds.len(), p50_ms: at(0.5), p99_ms: at(0.99) })
}

/// Changes the collections in turn until it has ended; the numbers of each of the nine, and when they were committed.
async fn write(
    servers: &Servers,
    rate: u64,
    first: i64,
    ended: &AtomicBool,
) -> Result<Vec<Vec<(i64, Instant)>>> {
    let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
    let together = usize::try_from(rate / 100).unwrap_or(1).max(1);
    let mut ids = Vec::new();
    for number in 0..PIPELINES {
        ids.push(some_ids(&servers.collection(&name(number))).await?);
    }
    let mut committed = vec![Vec::new(); PIPELINES];
    let mut every = tokio::time::interval(TICK);
    let mut number = first;
    while !ended.load(Ordering::Relaxed) {
        for (place, ids) in ids.iter().enumerate() {
            every.tick().await;
            let from = number + 1;
            let mut updates = Vec::new();
            for _ in 0..together {
                number += 1;
                let id = &ids[usize::try_from(number.unsigned_abs()).unwrap_or(0) % ids.len()];
                updates.push(doc! { "q": id.clone(), "u": { "$set": { "change": number } } });
            }
            let concern =
                bson::serialize_to_bson(&majority).map_err(|error| Error::Malformed(error.to_string()))?;
            let command = doc! { "update": name(place), "updates": updates, "writeConcern": concern };
            let changed = servers.source_database().run_command(command).await;
            changed.map_err(Error::mongodb("change documents"))?;
            let now = Instant::now();
            committed[place].extend((from..=number).map(|number| (number, now)));
        }
    }
    committed.truncate(PIPELINES - 1);
    Ok(committed)
}

async fn some_ids(collection: &mongodb::Collection<Document>) -> Result<Vec<Document>> {
    let failed = || Error::mongodb("read ids");
    let mut cursor =
        collection.find(doc! {}).projection(doc! { "_id": 1 }).limit(5_000).await.map_err(failed())?;
    let mut ids = Vec::new();
    while cursor.advance().await.map_err(failed())? {
        ids.push(cursor.deserialize_current().map_err(failed())?);
    }
    Ok(ids)
}

/// Asks again and again for the highest number in each of the nine tables.
async fn poll(target: ClickHouse, stopped: Arc<AtomicBool>) -> Vec<Vec<(i64, Instant)>> {
    let nine: Vec<String> =
        (0..PIPELINES - 1).map(|number| format!("(SELECT max(change) FROM {})", name(number))).collect();
    let question = format!("SELECT {}", nine.join(", "));
    let mut appeared: Vec<Vec<(i64, Instant)>> = vec![Vec::new(); nine.len()];
    while !stopped.load(Ordering::Relaxed) {
        if let Ok(answer) = target.query(&question).await {
            let now = Instant::now();
            for (seen, number) in appeared.iter_mut().zip(answer.split('\t')) {
                if let Ok(number) = number.trim().parse::<i64>()
                    && seen.last().is_none_or(|(last, _)| number > *last)
                {
                    seen.push((number, now));
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
    appeared
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new(&["of nine pipelines", "alone", "beside a reload", "ratio"]);
        let of = |number: fn(&Part) -> f64| {
            let without = median_of(&self.rounds, |round| number(&round.without));
            let with = median_of(&self.rounds, |round| number(&round.with));
            let by = median_of(&self.rounds, |round| ratio(number(&round.with), number(&round.without)));
            (without, with, by)
        };
        for (what, number) in [
            ("latency, p50, ms", (|part| part.p50_ms) as fn(&Part) -> f64),
            ("latency, p99, ms", |part| part.p99_ms),
        ] {
            let (without, with, by) = of(number);
            table.row([what.to_owned(), counted(without), counted(with), seconds(by)]);
        }
        let (without, with, _) = of(|part| part.changes as f64 / part.seconds);
        table.row(["changes a second".to_owned(), counted(without), counted(with)]);
        let (without, with, _) = of(|part| part.seconds);
        table.row(["lasted, s".to_owned(), seconds(without), seconds(with)]);
        table
    }
}
