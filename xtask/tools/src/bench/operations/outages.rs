//! `cargo xtask bench outages`: either end killed, hung, refusing or slow, and back after a while.
//!
//! Every outage has servers of its own, so that all of them last at the same time. Documents are written all the while,
//! as long as MongoDB takes them; at the end every one of them must be a row.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{Document, doc};
use clap::Args;
use futures_util::future::try_join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, Direction, Error, Fault, FaultProxy, MongoOptions, MongoServer,
    Result,
};

use crate::Outcome;
use crate::bench::home::{Home, until};
use crate::bench::machine::Machine;
use crate::bench::table::{Table, counted, seconds};
use crate::bench::zenith::{Measured, Zenith};

const DATABASE: &str = "outages";
/// Between two documents.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// More than either end may take to answer.
const SLOW: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench outages                    all eight at once, two minutes each
  cargo xtask bench outages --seconds 20       a quick look")]
pub struct Arguments {
    /// How long an end is away
    #[arg(long, value_name = "N", default_value_t = 120)]
    seconds: u64,
    #[command(flatten)]
    measured: Measured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    MongoDb,
    ClickHouse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Killed,
    Hung,
    Refusing,
    Slow,
}

/// What came of one outage.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Outage {
    what: String,
    /// From its beginning to the first look at the health that said so.
    told_seconds: f64,
    /// What that look said.
    told: String,
    /// What was said last before all was well.
    told_last: String,
    /// From its end to the first look at the health that said all was well.
    well_seconds: f64,
    documents: u64,
    rows: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Report {
    machine: Machine,
    outages: Vec<Outage>,
}

/// Measures, prints, and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let lasts = Duration::from_secs(arguments.seconds);
    eprintln!("Taking either end away in four ways for {} s …", arguments.seconds);
    let mut running = Vec::new();
    for end in [End::MongoDb, End::ClickHouse] {
        for way in [Way::Killed, Way::Hung, Way::Refusing, Way::Slow] {
            running.push(outage(&zenith, end, way, lasts));
        }
    }
    let outages = try_join_all(running).await?;
    let report = Report { machine: Machine { zenith: zenith.version, ..Machine::here() }, outages };
    let mut table = Table::new(&["what", "told after s", "well after s", "documents", "rows"]);
    for outage in &report.outages {
        table.row([
            outage.what.clone(),
            seconds(outage.told_seconds),
            seconds(outage.well_seconds),
            counted(outage.documents as f64),
            counted(outage.rows as f64),
        ]);
    }
    println!("{}\n\n{}", report.machine.sentence(), table.text());
    for outage in &report.outages {
        println!("{}:\n  at first: {}\n  at last:  {}", outage.what, outage.told, outage.told_last);
    }
    arguments.measured.keep(&report)?;
    let lost = report.outages.iter().any(|outage| outage.rows != outage.documents);
    Ok(if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Servers of an outage, and the way to them.
struct Ends {
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
    source: FaultProxy,
    target: FaultProxy,
}

impl Ends {
    async fn start() -> Result<Self> {
        let (mongodb, clickhouse) = tokio::try_join!(
            MongoServer::start(MongoOptions::default()),
            ClickHouseServer::start(ClickHouseOptions::default())
        )?;
        let source = FaultProxy::start(format!("127.0.0.1:{}", mongodb.port())).await?;
        let target = FaultProxy::start(format!("127.0.0.1:{}", clickhouse.http_port())).await?;
        Ok(Self { mongodb, clickhouse, source, target })
    }

    fn configuration(&self) -> String {
        format!(
            "[sources.from]\nuri = \"mongodb://{}/{DATABASE}?directConnection=true\"\n[targets.to]\nuri = \
             \"http://{}/{DATABASE}\"\n[pipelines.orders]\nsource = \"from\"\ntarget = \"to\"\ncollection = \"orders\"\n",
            self.source.address(),
            self.target.address()
        )
    }

    fn pid_and_path(&self, end: End) -> (u32, &FaultProxy) {
        match end {
            End::MongoDb => (self.mongodb.identity().pid, &self.source),
            End::ClickHouse => (self.clickhouse.identity().pid, &self.target),
        }
    }

    fn take_away(&mut self, end: End, way: Way) -> Result<()> {
        let (pid, path) = self.pid_and_path(end);
        match way {
            Way::Killed if end == End::MongoDb => self.mongodb.kill()?,
            Way::Killed => self.clickhouse.kill()?,
            Way::Hung => signal(pid, Signal::SIGSTOP)?,
            Way::Refusing => {
                path.plan(Fault::Refuse);
                path.cut_all();
            }
            Way::Slow => path.plan(Fault::Delay { direction: Direction::ToClient, duration: SLOW }),
        }
        Ok(())
    }

    async fn bring_back(&mut self, end: End, way: Way) -> Result<()> {
        let (pid, path) = self.pid_and_path(end);
        match way {
            Way::Killed if end == End::MongoDb => self.mongodb.restart().await?,
            Way::Killed => self.clickhouse.restart().await?,
            Way::Hung => signal(pid, Signal::SIGCONT)?,
            Way::Refusing => path.heal(),
            // A connection on which the fault has begun stays slow.
            Way::Slow => {
                path.heal();
                path.cut_all();
            }
        }
        Ok(())
    }
}

async fn outage(zenith: &Zenith, end: End, way: Way, lasts: Duration) -> Result<Outage> {
    let mut ends = Ends::start().await?;
    let target = ends.clickhouse.client().create_database(DATABASE).await?;
    let written = Writer::start(&ends.mongodb).await?;
    let home = Home::new(zenith, &ends.configuration()).await?;
    let mut child = home.start(Stdio::null())?;
    let count = "SELECT count() FROM orders_current";
    until("the first rows", async || Ok(target.query(count).await.is_ok_and(|count| count != "0"))).await?;
    home.until_health(true).await?;

    ends.take_away(end, way)?;
    let began = tokio::time::Instant::now();
    let (told_after, told) = home.until_health(false).await?;
    tokio::time::sleep_until(began + lasts).await;
    ends.bring_back(end, way).await?;
    let (well_after, told_last) = home.until_health(true).await?;
    let documents = written.stop().await?;
    let all = async || Ok(target.query(count).await? == documents.to_string());
    // What is missing for good is told as a number, and not as an error.
    let _ = tokio::time::timeout(Duration::from_secs(60), until("all rows", all)).await;
    let rows = target.query(count).await?;
    child.kill().await.map_err(Error::io("stop zenith"))?;
    Ok(Outage {
        what: format!("{} {}", if end == End::MongoDb { "MongoDB" } else { "ClickHouse" }, way.name()),
        told_seconds: told_after.as_secs_f64(),
        told,
        told_last,
        well_seconds: well_after.as_secs_f64(),
        documents,
        rows: rows.parse().map_err(|_| Error::Malformed(format!("{rows:?} is not a number of rows")))?,
    })
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Killed => "killed",
            Way::Hung => "hung",
            Way::Refusing => "refusing",
            Way::Slow => "slow",
        }
    }
}

/// Writes documents, as long as they are taken.
struct Writer {
    collection: mongodb::Collection<Document>,
    stopped: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    async fn start(server: &MongoServer) -> Result<Self> {
        let collection = server.client().await?.database(DATABASE).collection("orders");
        let stopped = Arc::new(AtomicBool::new(false));
        let (into, until) = (collection.clone(), Arc::clone(&stopped));
        let task = tokio::spawn(async move {
            let mut every = tokio::time::interval(WRITE_EVERY);
            let mut number = 0_i64;
            while !until.load(Ordering::Relaxed) {
                every.tick().await;
                // What a server that goes away has not taken is counted by the server, and not here.
                let written = into.insert_one(doc! { "_id": number, "value": number });
                let _ = tokio::time::timeout(Duration::from_secs(1), written.into_future()).await;
                number += 1;
            }
        });
        Ok(Self { collection, stopped, task })
    }

    /// Stops, and says how many documents there are.
    async fn stop(self) -> Result<u64> {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.map_err(|_| Error::Server("the writer panicked".to_owned()))?;
        self.collection.count_documents(doc! {}).await.map_err(Error::mongodb("count the documents"))
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).map_err(|_| Error::Malformed(format!("{pid} is not a process number")))?;
    kill(Pid::from_raw(pid), signal).map_err(|errno| Error::io("signal a server")(errno.into()))
}
