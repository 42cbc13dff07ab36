//! `cargo xtask bench fleet`: many pipelines of one source, ten of which fail at the same time, each in its own way.
//!
//! The collections change in turn at a steady rate. The lag of the others is that which `zenith status` shows, looked at
//! twice a second, before the ten fail and while they do; their tables must be complete in the end.

use std::fmt::Write as _;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use clap::Args;
use mongodb::Database;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, ClickHouseUser, Error, MongoOptions, MongoServer, Result,
};

use crate::Outcome;
use crate::bench::home::{Home, Stated, until};
use crate::bench::machine::Machine;
use crate::bench::statistics::percentile;
use crate::bench::table::{Table, counted, seconds};
use crate::bench::zenith::{Measured, Zenith};

const DATABASE: &str = "fleet";
/// Documents of each collection.
const DOCUMENTS: i64 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench fleet                            200 pipelines, a minute
  cargo xtask bench fleet --pipelines 40 --seconds 15")]
pub struct Arguments {
    /// Pipelines, of which ten fail
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    pipelines: u32,
    /// How long the ten fail
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Changes a second, of all collections together; each needs an insert of its own
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    #[command(flatten)]
    measured: Measured,
}

/// A way to fail: the name of its pipeline, its source and target.
struct Way {
    name: &'static str,
    source: &'static str,
    target: &'static str,
}

const WAYS: [Way; 10] = [
    Way { name: "source_never_there", source: "nowhere", target: "warehouse" },
    Way { name: "replica_set_misnamed", source: "misnamed", target: "warehouse" },
    Way { name: "target_never_there", source: "shop", target: "gone" },
    Way { name: "target_silent", source: "shop", target: "silent" },
    Way { name: "password_wrong", source: "shop", target: "locked" },
    Way { name: "insert_not_granted", source: "shop", target: "limited" },
    Way { name: "target_without_tls", source: "shop", target: "encrypted" },
    Way { name: "view_fails", source: "shop", target: "warehouse" },
    Way { name: "too_many_parts", source: "shop", target: "warehouse" },
    Way { name: "table_of_others", source: "shop", target: "warehouse" },
];

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Report {
    machine: Machine,
    pipelines: u32,
    rate: u32,
    /// From the start of the command until all of the others followed.
    following_seconds: f64,
    /// The others before the ten failed, for a quarter of the time, and while they did.
    before: Lag,
    while_failing: Lag,
    /// Tables of the others that were not complete in the end.
    incomplete: usize,
    /// What was told of each that fails.
    told: Vec<(String, String)>,
}

/// The lag of pipelines, at all looks.
#[derive(Debug, Serialize, Deserialize)]
struct Lag {
    looks: usize,
    p50_seconds: f64,
    p99_seconds: f64,
    max_seconds: f64,
    /// Looks at a pipeline that had no lag, or was not following.
    unwell: usize,
}

struct Servers {
    source: Database,
    target: ClickHouse,
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
    silent: TcpListener,
}

/// Measures, prints, and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let names: Vec<String> = (0..arguments.pipelines as usize)
        .map(|number| WAYS.get(number).map_or_else(|| format!("p{number:03}"), |way| way.name.to_owned()))
        .collect();
    servers.fill(&names).await?;
    let home = Home::new(&zenith, &servers.configuration(&names)?).await?;
    let others = &names[WAYS.len()..];
    let started = Instant::now();
    let mut child = home.start(Stdio::null())?;
    until("all of the others follow", async || {
        let status = home.status().await?;
        Ok(status.pipelines.iter().filter(|pipeline| is_well(pipeline)).count() >= others.len())
    })
    .await?;
    let following_seconds = started.elapsed().as_secs_f64();
    eprintln!("{} pipelines follow after {following_seconds:.1} s", others.len());
    let writer = Writer { source: servers.source.clone(), names: names.clone(), changed: 0 };
    let (before, writer) =
        watch(&home, others, writer.change(arguments.rate, arguments.seconds.div_ceil(4))).await?;
    servers.break_tables().await?;
    let (while_failing, writer) =
        watch(&home, others, writer.change(arguments.rate, arguments.seconds)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = told(&home).await?;
    let incomplete = writer.incomplete(&servers.target, WAYS.len()).await?;
    child.kill().await.map_err(Error::io("stop zenith"))?;
    let report = Report {
        machine: Machine { zenith: zenith.version, ..Machine::here() },
        pipelines: arguments.pipelines,
        rate: arguments.rate,
        following_seconds,
        before,
        while_failing,
        incomplete,
        told,
    };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    let all_told = report.told.iter().all(|(_, told)| !told.is_empty());
    Ok(if all_told && report.incomplete == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at the lag of pipelines while collections change.
async fn watch(
    home: &Home,
    names: &[String],
    change: impl Future<Output = Result<Writer>> + Send + 'static,
) -> Result<(Lag, Writer)> {
    let change = tokio::spawn(change);
    let (mut lags, mut looks, mut unwell) = (Vec::new(), 0, 0);
    while !change.is_finished() {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        for pipeline in home.status().await?.pipelines.iter().filter(|one| names.contains(&one.name)) {
            lags.extend(pipeline.lag_seconds);
            unwell += usize::from(!is_well(pipeline));
        }
    }
    let writer = change.await.map_err(|_| Error::Server("the writer panicked".to_owned()))??;
    lags.sort_by(f64::total_cmp);
    let at = |share| percentile(&lags, share);
    let lag = Lag { looks, p50_seconds: at(0.5), p99_seconds: at(0.99), max_seconds: at(1.0), unwell };
    Ok((lag, writer))
}

/// What is told of each that fails.
async fn told(home: &Home) -> Result<Vec<(String, String)>> {
    let status = home.status().await?;
    let of = |way: &Way| {
        let of_it = |complaint: &&String| complaint.split([' ', ':']).next() == Some(way.name);
        (way.name.to_owned(), status.complaints.iter().find(of_it).cloned().unwrap_or_default())
    };
    Ok(WAYS.iter().map(of).collect())
}

fn is_well(pipeline: &Stated) -> bool {
    pipeline.state == "following" && pipeline.lag_seconds.is_some()
}

/// Changes a document of each collection in turn.
struct Writer {
    source: Database,
    names: Vec<String>,
    /// Changes so far; the last of each collection has its number.
    changed: usize,
}

impl Writer {
    async fn change(mut self, rate: u32, seconds: u64) -> Result<Writer> {
        let mut every = tokio::time::interval(Duration::from_secs(1) / rate);
        for _ in 0..seconds * u64::from(rate) {
            every.tick().await;
            let change = doc! { "$set": { "round": i64::try_from(self.changed).unwrap_or(i64::MAX) } };
            let name = &self.names[self.changed % self.names.len()];
            let collection = self.source.collection::<Document>(name);
            let changed = collection.update_one(doc! { "_id": 0 }, change).await;
            changed.map_err(Error::mongodb("change a document"))?;
            self.changed += 1;
        }
        Ok(self)
    }

    /// How many tables behind the first ones lack the last change of their collection.
    async fn incomplete(&self, target: &ClickHouse, first: usize) -> Result<usize> {
        let mut incomplete = 0;
        for (place, name) in self.names.iter().enumerate().skip(first) {
            let last = (0..self.changed).rev().find(|change| change % self.names.len() == place);
            let highest = target.query(&format!("SELECT max(round) FROM `{name}`")).await?;
            incomplete += usize::from(last.is_some_and(|last| highest != last.to_string()));
        }
        Ok(incomplete)
    }
}

impl Servers {
    async fn start() -> Result<Self> {
        let granted =
            ["GRANT SELECT ON *.*", "GRANT SHOW ON *.*", "GRANT CREATE ON *.*", "GRANT ALTER ON *.*"];
        let users = vec![
            ClickHouseUser::new("limited", "").with_grants(&granted),
            ClickHouseUser::new("locked", "x"),
        ];
        let (mongodb, clickhouse) = tokio::try_join!(
            MongoServer::start(MongoOptions::default()),
            ClickHouseServer::start(ClickHouseOptions { users, ..ClickHouseOptions::default() })
        )?;
        let silent = TcpListener::bind("127.0.0.1:0").await.map_err(Error::io("listen"))?;
        let source = mongodb.client().await?.database(DATABASE);
        let target = clickhouse.client().create_database(DATABASE).await?;
        Ok(Self { source, target, mongodb, clickhouse, silent })
    }

    async fn fill(&self, names: &[String]) -> Result<()> {
        for name in names {
            let documents = (0..DOCUMENTS).map(|number| doc! { "_id": number, "round": 0_i64 });
            let inserted = self.source.collection::<Document>(name).insert_many(documents).await;
            inserted.map_err(Error::mongodb("insert documents"))?;
        }
        let own = "CREATE TABLE table_of_others (report String) ENGINE = MergeTree ORDER BY report";
        self.target.query(own).await.map(drop)
    }

    fn configuration(&self, names: &[String]) -> Result<String> {
        let (mongodb, http) = (self.mongodb.uri_for(DATABASE), self.clickhouse.http_port());
        let silent = self.silent.local_addr().map_err(Error::io("learn a port"))?;
        let mut text = String::new();
        let misnamed = format!("mongodb://127.0.0.1:{}/{DATABASE}?replicaSet=other", self.mongodb.port());
        let sources = [
            ("shop", mongodb.clone()),
            ("nowhere", format!("mongodb://127.0.0.1:1/{DATABASE}?serverSelectionTimeoutMS=2000")),
            ("misnamed", misnamed),
        ];
        let targets = [
            ("warehouse", format!("http://127.0.0.1:{http}/{DATABASE}")),
            ("gone", format!("http://127.0.0.1:1/{DATABASE}")),
            ("silent", format!("http://{silent}/{DATABASE}")),
            ("locked", format!("http://locked@127.0.0.1:{http}/{DATABASE}")),
            ("limited", format!("http://limited@127.0.0.1:{http}/{DATABASE}")),
            ("encrypted", format!("https://127.0.0.1:{http}/{DATABASE}")),
        ];
        for (kind, ends) in [("sources", &sources[..]), ("targets", &targets[..])] {
            for (name, uri) in ends {
                let _ = writeln!(text, "[{kind}.{name}]\nuri = {uri:?}");
            }
        }
        for (number, name) in names.iter().enumerate() {
            let (source, target) =
                WAYS.get(number).map_or(("shop", "warehouse"), |way| (way.source, way.target));
            let _ = writeln!(
                text,
                "[pipelines.{name}]\nsource = {source:?}\ntarget = {target:?}\ncollection = {name:?}"
            );
        }
        Ok(text)
    }

    /// Breaks the tables of those that fail there.
    async fn break_tables(&self) -> Result<()> {
        for statement in [
            "CREATE MATERIALIZED VIEW view_fails_log ENGINE = MergeTree ORDER BY tuple() AS SELECT \
             throwIf(round > 0, 'no') AS refused FROM view_fails",
            "SYSTEM STOP MERGES too_many_parts",
            "ALTER TABLE too_many_parts MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1",
        ] {
            self.target.query(statement).await?;
        }
        Ok(())
    }
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new(&["what", "figure"]);
        let others = self.pipelines as usize - WAYS.len();
        table.row([format!("until {others} pipelines follow, s"), seconds(self.following_seconds)]);
        for (when, lag) in [("before", &self.before), ("while ten fail", &self.while_failing)] {
            table.row([
                format!("lag of {others} {when}, {} looks, p50, s", lag.looks),
                seconds(lag.p50_seconds),
            ]);
            table.row([format!("lag {when}, p99, s"), seconds(lag.p99_seconds)]);
            table.row([format!("lag {when}, highest, s"), seconds(lag.max_seconds)]);
            table.row([format!("looks {when} at one that was not well"), counted(lag.unwell as f64)]);
        }
        table.row(["tables that lack a change".to_owned(), counted(self.incomplete as f64)]);
        for (name, told) in &self.told {
            table.row([name.clone(), told.clone()]);
        }
        table
    }
}
