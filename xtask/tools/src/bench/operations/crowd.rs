//! `cargo xtask bench crowd`: one server with many pipelines and one of very many collections, looked at all the while.
//!
//! Pages listen for events and `/metrics` is read each second, as in production. At first nothing changes; then the
//! collections change in turn at a steady rate, and of every few changes the time is taken until its row can be asked for:
//! as others are served all the time, that is how long one waits while others are served.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use clap::Args;
use futures_util::{StreamExt as _, stream};
use mongodb::Client;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, MongoOptions, MongoServer, Result,
};

use crate::Outcome;
use crate::bench::home::{Home, Serving, until};
use crate::bench::machine::Machine;
use crate::bench::process::{cpu_seconds, resident};
use crate::bench::statistics::percentile;
use crate::bench::table::{Table, counted, seconds};
use crate::bench::zenith::{Measured, Zenith};

/// The databases of the pipelines, and of the collections of one.
const SINGLE: &str = "single";
const MANY: &str = "many";
/// Documents of each collection.
const DOCUMENTS: i64 = 20;
/// Collections that are filled side by side.
const FILLED: usize = 8;
/// Of so many changes one is waited for.
const WATCHED: usize = 4;
/// Between two looks at a row that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long a change may take before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench crowd                                     50 pipelines and 1,000 collections
  cargo xtask bench crowd --pipelines 5 --collections 20 --seconds 5")]
pub struct Arguments {
    /// Pipelines of one source
    #[arg(long, value_name = "N", default_value_t = 50)]
    pipelines: usize,
    /// Collections of one pipeline, of another source
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    collections: usize,
    /// Pages that listen
    #[arg(long, value_name = "N", default_value_t = 1)]
    pages: usize,
    /// How long each part lasts
    #[arg(long, value_name = "N", default_value_t = 30)]
    seconds: u64,
    /// Changes a second, of all collections together; each needs an insert of its own
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    #[command(flatten)]
    measured: Measured,
}

/// What the server took in a part of the time.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    seconds: f64,
    /// Of one processor.
    cpu_share: f64,
    /// Of each page.
    event_bytes_per_second: f64,
    metrics_bytes: u64,
    metrics_max_seconds: f64,
    resident_bytes: u64,
}

/// How long changes took until their rows were there.
#[derive(Debug, Serialize, Deserialize)]
struct Waits {
    watched: usize,
    lost: usize,
    p50_seconds: f64,
    p99_seconds: f64,
    max_seconds: f64,
}

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Report {
    machine: Machine,
    pipelines: usize,
    collections: usize,
    rate: u32,
    following_seconds: f64,
    quiet: Part,
    changing: Part,
    waits: Waits,
}

struct Servers {
    client: Client,
    target: ClickHouse,
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
}

/// Measures, prints, and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let of = |database: &'static str, letter: char, count: usize| {
        (0..count).map(move |number| (database, format!("{letter}{number:04}"))).collect::<Vec<_>>()
    };
    let places = [of(SINGLE, 'p', arguments.pipelines), of(MANY, 'c', arguments.collections)].concat();
    servers.fill(&places).await?;
    let home = Home::new(&zenith, &servers.configuration(arguments.pipelines)).await?;
    let started = Instant::now();
    let serving = home.serve().await?;
    until("all follow", async || {
        let status = home.status().await?;
        Ok(status.pipelines.iter().filter(|one| one.state == "following").count() == places.len())
    })
    .await?;
    let following_seconds = started.elapsed().as_secs_f64();
    eprintln!("{} pipelines follow after {following_seconds:.1} s", places.len());
    let bytes = Arc::new(AtomicU64::new(0));
    let mut pages = JoinSet::new();
    for _ in 0..arguments.pages {
        pages.spawn(listen(serving.address.clone(), Arc::clone(&bytes)));
    }
    // All there is comes first.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let time = Duration::from_secs(arguments.seconds);
    let part = async || measure(&serving, &bytes, arguments.pages, time).await;
    let quiet = part().await?;
    let (changing, waits) = tokio::join!(part(), servers.change(&places, arguments.rate, time));
    let report = Report {
        machine: Machine { zenith: zenith.version, ..Machine::here() },
        pipelines: arguments.pipelines,
        collections: arguments.collections,
        rate: arguments.rate,
        following_seconds,
        quiet,
        changing: changing?,
        waits: waits?,
    };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    Ok(if report.waits.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends a request, and gives what is read to `take` until the server ends it.
async fn ask(address: &str, path: &str, mut take: impl FnMut(usize)) -> Result<()> {
    let failed = || Error::io("ask the server");
    let mut stream = TcpStream::connect(address).await.map_err(failed())?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(failed())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer).await.map_err(failed())? {
            0 => return Ok(()),
            count => take(count),
        }
    }
}

/// A page: counts the bytes of events.
async fn listen(address: String, bytes: Arc<AtomicU64>) -> Result<()> {
    let count = |read: usize| {
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    };
    ask(&address, "/api/v1/events", count).await
}

/// Reads the metrics each second, and what the server has taken in the end.
async fn measure(serving: &Serving, bytes: &AtomicU64, pages: usize, time: Duration) -> Result<Part> {
    let (begun, cpu, sent) = (Instant::now(), cpu_seconds(serving.pid)?, bytes.load(Ordering::Relaxed));
    let (mut metrics_bytes, mut metrics_max) = (0, Duration::ZERO);
    let mut every = tokio::time::interval(Duration::from_secs(1));
    while begun.elapsed() < time {
        every.tick().await;
        let asked = Instant::now();
        let mut read = 0;
        ask(&serving.address, "/metrics", |count| read += count as u64).await?;
        metrics_bytes = read;
        metrics_max = metrics_max.max(asked.elapsed());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let sent = bytes.load(Ordering::Relaxed) - sent;
    Ok(Part {
        seconds,
        cpu_share: (cpu_seconds(serving.pid)? - cpu) / seconds,
        event_bytes_per_second: sent as f64 / seconds / pages.max(1) as f64,
        metrics_bytes,
        metrics_max_seconds: metrics_max.as_secs_f64(),
        resident_bytes: resident(serving.pid).unwrap_or_default(),
    })
}

impl Servers {
    async fn start() -> Result<Self> {
        let (mongodb, clickhouse) = tokio::try_join!(
            MongoServer::start(MongoOptions::default()),
            ClickHouseServer::start(ClickHouseOptions::default())
        )?;
        let client = mongodb.client().await?;
        let target = clickhouse.client().create_database(SINGLE).await?;
        clickhouse.client().create_database(MANY).await?;
        Ok(Self { client, target, mongodb, clickhouse })
    }

    async fn fill(&self, places: &[(&'static str, String)]) -> Result<()> {
        eprintln!("Filling {} collections …", places.len());
        let fill = |(database, name): (&'static str, String)| async move {
            let documents = (0..DOCUMENTS).map(|number| doc! { "_id": number, "round": 0_i64 });
            let collection = self.client.database(database).collection::<Document>(&name);
            collection.insert_many(documents).await.map(drop).map_err(Error::mongodb("insert documents"))
        };
        let mut filled = stream::iter(places.iter().cloned().map(fill)).buffer_unordered(FILLED);
        while let Some(one) = filled.next().await {
            one?;
        }
        Ok(())
    }

    fn configuration(&self, pipelines: usize) -> String {
        let http = self.clickhouse.http_port();
        let mut text = String::new();
        for database in [SINGLE, MANY] {
            let uri = self.mongodb.uri_for(database);
            let _ = write!(text, "[sources.{database}]\nuri = {uri:?}\n");
            let uri = format!("http://127.0.0.1:{http}/{database}");
            let _ = write!(text, "[targets.{database}_there]\nuri = {uri:?}\n");
        }
        for number in 0..pipelines {
            let name = format!("p{number:04}");
            let ends = format!("source = \"{SINGLE}\"\ntarget = \"{SINGLE}_there\"");
            let _ = write!(text, "[pipelines.{name}]\n{ends}\ncollection = {name:?}\n");
        }
        let ends = format!("source = \"{MANY}\"\ntarget = \"{MANY}_there\"");
        let _ = write!(text, "[pipelines.all]\n{ends}\ncollections = [\"*\"]\n");
        text
    }

    /// Changes a document of each collection in turn, and waits for the rows of some.
    async fn change(&self, places: &[(&'static str, String)], rate: u32, time: Duration) -> Result<Waits> {
        let mut every = tokio::time::interval(Duration::from_secs(1) / rate);
        let (begun, mut watched) = (Instant::now(), JoinSet::new());
        // Those of the two sources take turns, however many each has.
        let (single, many) = places.split_at(places.iter().filter(|(of, _)| *of == SINGLE).count());
        let mut turns = 0;
        while begun.elapsed() < time {
            every.tick().await;
            let of = if turns % 2 == 0 && !single.is_empty() || many.is_empty() { single } else { many };
            let (database, name) = of[turns / 2 % of.len()].clone();
            turns += 1;
            let round = i64::try_from(turns).unwrap_or(i64::MAX);
            let collection = self.client.database(database).collection::<Document>(&name);
            let change = doc! { "$set": { "round": round } };
            collection
                .update_one(doc! { "_id": 0 }, change)
                .await
                .map_err(Error::mongodb("change a document"))?;
            // One of either source in turn.
            if turns % (2 * WATCHED) < 2 {
                watched.spawn(wait(self.target.clone(), format!("`{database}`.`{name}`"), round));
            }
        }
        let mut waits = Vec::new();
        while let Some(wait) = watched.join_next().await {
            waits.push(wait.map_err(|_| Error::Server("a look panicked".to_owned()))??);
        }
        let mut known: Vec<f64> = waits.iter().flatten().copied().collect();
        known.sort_by(f64::total_cmp);
        Ok(Waits {
            watched: waits.len(),
            lost: waits.len() - known.len(),
            p50_seconds: percentile(&known, 0.5),
            p99_seconds: percentile(&known, 0.99),
            max_seconds: percentile(&known, 1.0),
        })
    }
}

/// How long a change takes until its row can be asked for.
async fn wait(target: ClickHouse, table: String, round: i64) -> Result<Option<f64>> {
    let (begun, question) = (Instant::now(), format!("SELECT max(round) >= {round} FROM {table}"));
    while begun.elapsed() < LOST_AFTER {
        if target.query(&question).await? == "1" {
            return Ok(Some(begun.elapsed().as_secs_f64()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new(&["what", "figure"]);
        let all = self.pipelines + self.collections;
        table.row([format!("until {all} follow, s"), seconds(self.following_seconds)]);
        for (when, part) in [("nothing changes", &self.quiet), ("all change", &self.changing)] {
            table.row([format!("{when}: of one processor"), format!("{:.1} %", part.cpu_share * 100.0)]);
            table.row([format!("{when}: events, bytes/s"), counted(part.event_bytes_per_second)]);
            table.row([format!("{when}: /metrics, bytes"), counted(part.metrics_bytes as f64)]);
            table.row([format!("{when}: /metrics, longest, s"), seconds(part.metrics_max_seconds)]);
            table.row([format!("{when}: resident, bytes"), counted(part.resident_bytes as f64)]);
        }
        let Waits { watched, lost, p50_seconds, p99_seconds, max_seconds } = &self.waits;
        table.row([
            format!("waits of {watched} changes at {} a second, p50, s", self.rate),
            seconds(*p50_seconds),
        ]);
        table.row(["waits, p99, s".to_owned(), seconds(*p99_seconds)]);
        table.row(["waits, longest, s".to_owned(), seconds(*max_seconds)]);
        table.row(["changes without a row after a minute".to_owned(), counted(*lost as f64)]);
        table
    }
}
