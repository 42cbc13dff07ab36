//! The two databases that are measured: started for the benchmark alone, quiet before each step, and read before and
//! after it.

use std::time::{Duration, Instant};

use bson::doc;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, Loaded, MongoOptions, MongoServer, Result, Shape,
    load,
};

use super::machine::{self, Machine};
use super::process;

/// The database on either side.
pub(super) const DATABASE: &str = "bench";
/// Seed of all documents.
const SEED: u64 = 1;
/// Most cache that WiredTiger is given: the largest collection here fits, so that no step waits for the disk.
const CACHE_MIB_MAX: u64 = 6 * 1024;
/// Merges that take longer are measured against, and said so.
const SETTLING_MAX: Duration = Duration::from_secs(120);
const SETTLING_LOOK_EVERY: Duration = Duration::from_millis(250);

/// A MongoDB and a ClickHouse that are gone when this is dropped.
pub(super) struct Servers {
    mongodb: MongoServer,
    clickhouse: ClickHouseServer,
    /// Kept, as a driver's client opens and watches connections of its own.
    source: mongodb::Database,
    pub(super) target: ClickHouse,
    pub(super) cache_mib: u32,
}

/// What a step took: the clock, and the processor time of both servers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) mongodb_cpu_seconds: f64,
    pub(super) clickhouse_cpu_seconds: f64,
}

/// The beginning of a step.
pub(super) struct Meter {
    started: Instant,
    mongodb_cpu_seconds: f64,
    clickhouse_cpu_seconds: f64,
}

impl Servers {
    pub(super) async fn start() -> Result<Self> {
        eprintln!("Starting MongoDB and ClickHouse …");
        let cache_mib = cache_mib();
        let (mongodb, clickhouse) = tokio::try_join!(
            MongoServer::start(MongoOptions { cache_mib, ..MongoOptions::default() }),
            ClickHouseServer::start(ClickHouseOptions::default())
        )?;
        let source = mongodb.client().await?.database(DATABASE);
        let target = clickhouse.client().create_database(DATABASE).await?;
        Ok(Self { mongodb, clickhouse, source, target, cache_mib })
    }

    /// The machine, with the versions of these servers.
    pub(super) async fn machine(&self) -> Result<Machine> {
        let build = self.source.run_command(doc! { "buildInfo": 1 }).await;
        let build = build.map_err(Error::mongodb("ask for the version"))?;
        Ok(Machine {
            mongodb: build.get_str("version").unwrap_or_default().to_owned(),
            clickhouse: self.target.query("SELECT version()").await?,
            ..Machine::here()
        })
    }

    pub(super) fn mongodb_port(&self) -> u16 {
        self.mongodb.port()
    }

    pub(super) fn mongodb_uri(&self) -> String {
        self.mongodb.uri_for(DATABASE)
    }

    pub(super) fn source_database(&self) -> &mongodb::Database {
        &self.source
    }

    pub(super) fn collection(&self, name: &str) -> mongodb::Collection<bson::Document> {
        self.source.collection(name)
    }

    pub(super) fn clickhouse_native_address(&self) -> String {
        self.clickhouse.native_address()
    }

    pub(super) fn clickhouse_native_port(&self) -> u16 {
        self.clickhouse.tcp_port()
    }

    /// Puts the documents of these numbers into a collection, and has them written to the disk now rather than while
    /// something is measured.
    pub(super) async fn load(
        &self,
        collection: &str,
        shape: Shape,
        numbers: std::ops::Range<u64>,
    ) -> Result<Loaded> {
        eprintln!("Loading {} {} documents …", numbers.end - numbers.start, shape.name());
        let loaded = load::generate(&self.source, collection, shape, SEED, numbers).await?;
        let admin = self.source.client().database("admin");
        admin.run_command(doc! { "fsync": 1 }).await.map_err(Error::mongodb("write a checkpoint"))?;
        Ok(loaded)
    }

    pub(super) async fn drop_collection(&self, collection: &str) -> Result<()> {
        let dropped = self.source.run_command(doc! { "drop": collection }).await;
        dropped.map(drop).map_err(Error::mongodb(format!("drop {collection}")))
    }

    /// Drops a table if it is there, and waits until its parts are gone.
    pub(super) async fn drop_table(&self, table: &str) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS `{table}` SYNC");
        self.target.query(&sql).await.map(drop)
    }

    pub(super) async fn rows_of(&self, table: &str) -> Result<u64> {
        let rows = self.target.query(&format!("SELECT count() FROM `{table}`")).await?;
        rows.parse().map_err(|_| Error::Malformed(format!("{rows:?} is not a number of rows")))
    }

    /// Waits until nothing is merged any more and dirty pages are on the disk.
    pub(super) async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + SETTLING_MAX;
        // Merges are scheduled with pauses: only several looks in a row tell that none is coming.
        let mut quiet_looks = 0;
        while quiet_looks < 3 && Instant::now() < deadline {
            tokio::time::sleep(SETTLING_LOOK_EVERY).await;
            let merges = self.target.query("SELECT count() FROM system.merges").await?;
            quiet_looks = if merges == "0" { quiet_looks + 1 } else { 0 };
        }
        if quiet_looks < 3 {
            eprintln!("ClickHouse still merges after {} s; going on", SETTLING_MAX.as_secs());
        }
        Command::new("sync").status().await.map_err(Error::io("run sync")).map(drop)
    }

    pub(super) fn meter(&self) -> Result<Meter> {
        let (mongodb_cpu_seconds, clickhouse_cpu_seconds) = self.cpu_seconds()?;
        Ok(Meter { started: Instant::now(), mongodb_cpu_seconds, clickhouse_cpu_seconds })
    }

    fn cpu_seconds(&self) -> Result<(f64, f64)> {
        let of = process::cpu_seconds;
        Ok((of(self.mongodb.identity().pid)?, of(self.clickhouse.identity().pid)?))
    }
}

impl Meter {
    /// What was used since the beginning of the step.
    pub(super) fn read(&self, servers: &Servers) -> Result<Cost> {
        let seconds = self.started.elapsed().as_secs_f64();
        let (mongodb, clickhouse) = servers.cpu_seconds()?;
        Ok(Cost {
            seconds,
            mongodb_cpu_seconds: mongodb - self.mongodb_cpu_seconds,
            clickhouse_cpu_seconds: clickhouse - self.clickhouse_cpu_seconds,
        })
    }
}

/// A quarter of the machine's memory, as ClickHouse and the page cache need theirs, and never too much or too little.
fn cache_mib() -> u32 {
    let memory = machine::memory_bytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    u32::try_from((memory >> 20).div_euclid(4).clamp(512, CACHE_MIB_MAX)).unwrap_or(1024)
}
