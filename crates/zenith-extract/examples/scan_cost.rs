//! What reading costs: seconds and processor time of client and server, by transport, strategy and size of replies.
//!
//! ```text
//! cargo run --release -p zenith-extract --example scan_cost [documents [only lines that contain this]]
//! ```
//!
//! Starts a `mongod` of its own and fills it with the events of the test kit. Nothing is done with the documents.

use std::fs;
use std::process;
use std::time::Instant;

use zenith_extract::{
    DocumentReader, MongoSource, Namespace, Partition, PartitionStrategy, ReadOptions, ReplyBudget, Source,
    Transport,
};
use zenith_memory::Pool;
use zenith_testkit::{MongoOptions, MongoServer, Shape, load};

const DATABASE: &str = "bench";
const COLLECTION: &str = "events";
/// Passes a measurement; the fastest one counts for time, all of them for processor time.
const PASSES: u32 = 8;
/// `sysconf(_SC_CLK_TCK)` of every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let documents = std::env::args().nth(1).map_or(Ok(1_000_000), |number| number.parse())?;
    let only = std::env::args().nth(2).unwrap_or_default();
    let server = MongoServer::start(MongoOptions { cache_mib: 2048, ..MongoOptions::default() }).await?;
    let database = server.client().await?.database(DATABASE);
    let loaded = load::generate(&database, COLLECTION, Shape::Events, 1, 0..documents).await?;
    let namespace = Namespace::new(DATABASE, COLLECTION);
    let mut out = std::io::stderr();
    report(&mut out, format!("{} documents of {} bytes", loaded.documents, loaded.bytes / loaded.documents))?;
    let all = [
        (Transport::Driver, "", 512),
        (Transport::Driver, "", 1024),
        (Transport::Driver, "", 4096),
        (Transport::Driver, "", 8192),
        (Transport::Direct, "", 256),
        (Transport::Direct, "", 512),
        (Transport::Direct, "", 1024),
        (Transport::Direct, "", 4096),
        (Transport::Driver, "/?compressors=snappy", 512),
        (Transport::Direct, "/?compressors=snappy", 512),
        (Transport::Direct, "/?compressors=zstd", 512),
    ];
    for (strategy, parts) in [(PartitionStrategy::Natural, 1), (PartitionStrategy::IdRanges, 4)] {
        for (transport, parameters, reply_kib) in all {
            let line = format!("{strategy:?} {transport:?} {parameters:22} {reply_kib:4} KiB");
            if !line.contains(&only) {
                continue;
            }
            let source = MongoSource::connect(&format!("{}{parameters}", server.uri())).await?;
            let source = source.with_transport(transport);
            let partitions = source.partitions(&namespace, parts, strategy).await?;
            let cost =
                cheapest(&source, &partitions, reply_kib * 1024, server.identity().pid, documents).await?;
            report(&mut out, format!("{line}: {cost}"))?;
        }
    }
    Ok(())
}

fn report(out: &mut impl std::io::Write, line: String) -> std::io::Result<()> {
    writeln!(out, "{line}")
}

async fn cheapest(
    source: &MongoSource,
    partitions: &[Partition],
    batch_bytes: usize,
    server: u32,
    documents: u64,
) -> Result<String, Box<dyn std::error::Error>> {
    let options =
        ReadOptions::new(ReplyBudget::new(Pool::new(64 * 1024 * 1024)?)).with_batch_bytes(batch_bytes);
    let mut fastest = f64::INFINITY;
    let mut used = (0.0, 0.0);
    // The first pass warms caches and the pool's pages.
    for pass in 0..=PASSES {
        let (ours, theirs, begun) =
            (processor_seconds(process::id())?, processor_seconds(server)?, Instant::now());
        let mut tasks = Vec::new();
        for partition in partitions {
            let mut reader = source.open(partition, options.clone()).await?;
            tasks.push(tokio::spawn(async move {
                let mut found = 0;
                while let Some(batch) = reader.next().await? {
                    found += u64::try_from(batch.len()).unwrap_or_default();
                }
                Ok::<_, zenith_extract::ExtractError>(found)
            }));
        }
        let mut found = 0;
        for task in tasks {
            found += task.await??;
        }
        assert_eq!(found, documents, "documents were lost");
        if pass > 0 {
            fastest = fastest.min(begun.elapsed().as_secs_f64());
            used.0 += processor_seconds(process::id())? - ours;
            used.1 += processor_seconds(server)? - theirs;
        }
    }
    let (client, server) = (used.0 / f64::from(PASSES), used.1 / f64::from(PASSES));
    Ok(format!("{fastest:.2} s, client {client:.3} s CPU, server {server:.2} s CPU"))
}

/// User and system time of a process so far: fields 14 and 15 of `/proc/PID/stat`, see proc(5).
fn processor_seconds(pid: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}
