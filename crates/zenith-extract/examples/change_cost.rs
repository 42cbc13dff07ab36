//! What following changes costs: seconds and processor time of client and server, of a bare loop, of ours, and of
//! pipelines that ours might use; and what looking documents up costs.
//!
//! ```text
//! cargo run --release -p zenith-extract --example change_cost [documents [only lines that contain this]]
//! ```
//!
//! Starts a `mongod` of its own, inserts the events of the test kit and updates each once. Nothing is done with changes
//! but what the line says.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use bson::{Bson, Document, RawBson, RawDocumentBuf, Timestamp, doc};
use zenith_extract::{
    ChangeReader, ChangeSource, MongoSource, Namespace, ReplyBudget, Scope, StartAt, Transport, WatchOptions,
};
use zenith_memory::Pool;
use zenith_testkit::{MongoOptions, MongoServer, Shape, load};

const DATABASE: &str = "bench";
/// Passes a measurement, after one that does not count.
const PASSES: u32 = 3;
/// `sysconf(_SC_CLK_TCK)` of every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const MIB: usize = 1024 * 1024;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

struct Bench {
    server: MongoServer,
    source: MongoSource,
    namespace: Namespace,
    /// Before the first change.
    begin: Timestamp,
    events: u64,
    ids: Vec<RawBson>,
    only: String,
}

/// What is measured.
enum Variant {
    /// A blocking socket, one buffer, these stages, and images asked for or not.
    Bare {
        stages: Vec<Document>,
        images: bool,
    },
    Ours {
        transport: Transport,
        kib: usize,
        looked_at: bool,
    },
    LookUp {
        transport: Transport,
        at_once: usize,
    },
}

/// The least of all passes.
struct Line {
    name: String,
    variant: Variant,
    seconds: f64,
    client: f64,
    server: f64,
}

impl Line {
    fn new(name: impl Into<String>, variant: Variant) -> Line {
        let least = f64::INFINITY;
        Line { name: name.into(), variant, seconds: least, client: least, server: least }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let documents: u64 = std::env::args().nth(1).map_or(Ok(50_000), |number| number.parse())?;
    let server = MongoServer::start(MongoOptions { cache_mib: 2048, ..MongoOptions::default() }).await?;
    let database = server.client().await?.database(DATABASE);
    let source = MongoSource::connect(&server.uri()).await?;
    let begin = source.now().await?;
    load::generate(&database, "events", Shape::Events, 1, 0..documents).await?;
    let update = doc! { "$set": { "status": 201, "path": "somewhere else" } };
    let collection = database.collection::<Document>("events");
    collection.update_many(doc! {}, update).await?;
    let some = collection.distinct("_id", doc! { "status": 201 }).await?;
    let mut bench = Bench {
        namespace: Namespace::new(DATABASE, "events"),
        ids: some.into_iter().map(|id: Bson| RawBson::try_from(id)).collect::<Result<_, _>>()?,
        only: std::env::args().nth(2).unwrap_or_default(),
        events: 2 * documents,
        server,
        source,
        begin,
    };
    bench.measure(pipelines("")).await?;
    bench.measure(ours()).await?;
    bench.measure(lookups()).await?;
    bench.measure(images("that nobody keeps")).await?;
    // Now half of the oplog concerns somebody else.
    load::generate(&database, "others", Shape::Events, 2, 0..2 * documents).await?;
    bench.measure(pipelines("half of others, ")).await?;
    // Updates only, of a collection that keeps images.
    let keep = doc! { "collMod": "events", "changeStreamPreAndPostImages": { "enabled": true } };
    database.run_command(keep).await?;
    bench.begin = bench.source.now().await?;
    collection.update_many(doc! {}, doc! { "$inc": { "status": 1 } }).await?;
    bench.events = documents;
    bench.measure(images("that are kept")).await
}

/// Ways to leave out what concerns other collections, and what nobody reads.
fn pipelines(label: &str) -> Vec<Line> {
    let (db, coll) = (DATABASE, "events");
    let whole = doc! { "$match": { "ns": { "db": db, "coll": coll } } };
    let parts = doc! { "$match": { "ns.db": db, "ns.coll": coll } };
    let whole_any = doc! { "$match": { "$or": [
        { "ns": { "db": db, "coll": coll } },
        { "to": { "db": db, "coll": coll } },
        { "operationType": "dropDatabase", "ns.db": db },
        { "operationType": "invalidate" },
    ] } };
    let whole_in = doc! { "$match": { "$or": [
        { "ns": { "$in": [{ "db": db, "coll": coll }, { "db": db }] } },
        { "to": { "$in": [{ "db": db, "coll": coll }] } },
    ] } };
    let parts_any = doc! { "$match": { "$or": [
        { "ns.db": db, "ns.coll": { "$in": [coll] } },
        { "operationType": "rename", "to.db": db, "to.coll": { "$in": [coll] } },
        { "operationType": "dropDatabase", "ns.db": db },
        { "operationType": "invalidate" },
    ] } };
    let unset = doc! { "$unset": "updateDescription" };
    let project = doc! { "$project": {
        "operationType": 1, "clusterTime": 1, "fullDocument": 1, "ns": 1, "documentKey": 1,
    } };
    let line = |name: &str, stages| bare(format!("{label}{name}"), stages, false);
    let mut lines = vec![
        line("ns", vec![whole]),
        line("ns.db, ns.coll", vec![parts]),
        line("ns or", vec![whole_any.clone()]),
        line("ns in", vec![whole_in]),
        line("ns.db, ns.coll or", vec![parts_any]),
        line("ns or, $unset", vec![whole_any.clone(), unset]),
        line("ns or, $project", vec![whole_any, project]),
    ];
    if label.is_empty() {
        lines.insert(0, line("no stages", vec![]));
    }
    lines
}

fn bare(name: impl Into<String>, stages: Vec<Document>, images: bool) -> Line {
    Line::new(name, Variant::Bare { stages, images })
}

/// Streams that ask the server for images of documents, and those that do not.
fn images(label: &str) -> Vec<Line> {
    let line = |name, asked| bare(format!("images {label}, {name}"), Vec::new(), asked);
    vec![line("not asked for", false), line("asked for", true)]
}

fn ours() -> Vec<Line> {
    let mut lines = vec![bare("bare loop without stages", Vec::new(), false)];
    for (transport, kib) in [
        (Transport::Direct, 128),
        (Transport::Direct, 512),
        (Transport::Direct, 2048),
        (Transport::Driver, 512),
    ] {
        for looked_at in [false, true] {
            let what = if looked_at { "each event looked at" } else { "replies only" };
            let name = format!("{transport:?} {kib:4} KiB, {what}");
            lines.push(Line::new(name, Variant::Ours { transport, kib, looked_at }));
        }
    }
    lines
}

fn lookups() -> Vec<Line> {
    let lookup = |transport, at_once| {
        Line::new(
            format!("{transport:?} look-ups of {at_once} at once"),
            Variant::LookUp { transport, at_once },
        )
    };
    vec![
        lookup(Transport::Direct, 10),
        lookup(Transport::Direct, 100),
        lookup(Transport::Direct, 1_000),
        lookup(Transport::Direct, 10_000),
        lookup(Transport::Driver, 1_000),
    ]
}

impl Bench {
    /// All lines in turn, again and again: so they share whatever else the machine does.
    async fn measure(&self, mut lines: Vec<Line>) -> Result<()> {
        lines.retain(|line| line.name.contains(&self.only));
        let server = self.server.identity().pid;
        for turn in 0..=PASSES {
            for line in &mut lines {
                let before = (own_seconds()?, processor_seconds(server)?, Instant::now());
                let count = self.run(&line.variant).await?;
                assert!(count >= self.events, "{}: {count} of {}", line.name, self.events);
                if turn > 0 {
                    line.seconds = line.seconds.min(before.2.elapsed().as_secs_f64());
                    line.client = line.client.min(own_seconds()? - before.0);
                    line.server = line.server.min(processor_seconds(server)? - before.1);
                }
            }
        }
        let a_million = 1e6 / as_f64(self.events);
        for line in lines {
            let rate = as_f64(self.events) / line.seconds;
            let (client, server) = (line.client * a_million, line.server * a_million);
            let text = format!(
                "{:42} {rate:7.0}/s; a million: client {client:.2} s, server {server:.1} s",
                line.name
            );
            writeln!(std::io::stderr(), "{text}")?;
        }
        Ok(())
    }

    async fn run(&self, variant: &Variant) -> Result<u64> {
        match variant {
            Variant::Bare { stages, images } => self.bare_loop(stages, *images),
            Variant::Ours { transport, kib, looked_at } => {
                self.follow(*transport, kib * 1024, *looked_at).await
            }
            Variant::LookUp { transport, at_once } => self.look_up(*transport, *at_once).await,
        }
    }

    fn bare_loop(&self, stages: &[Document], images: bool) -> Result<u64> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.server.port()))?;
        socket.set_nodelay(true)?;
        let mut stream = doc! { "allChangesForCluster": true, "startAtOperationTime": self.begin };
        if images {
            stream.insert("fullDocument", "whenAvailable");
        }
        let mut pipeline = vec![doc! { "$changeStream": stream }];
        pipeline.extend_from_slice(stages);
        let open =
            doc! { "aggregate": 1, "pipeline": pipeline, "cursor": { "batchSize": 0 }, "$db": "admin" };
        let mut buffer = Vec::new();
        call(&mut socket, &open, &mut buffer)?;
        let reply = RawDocumentBuf::from_bytes(buffer[5..].to_vec())?;
        let id = reply.get_document("cursor")?.get_i64("id")?;
        let more = doc! {
            "getMore": id, "collection": "$cmd.aggregate", "maxTimeMS": 1000, "$db": "admin",
        };
        let mut found = 0;
        while found < self.events {
            call(&mut socket, &more, &mut buffer)?;
            let reply = bson::RawDocument::from_bytes(&buffer[5..])?;
            let batch = reply.get_document("cursor")?.get_array("nextBatch")?;
            found += u64::try_from(batch.into_iter().count())?;
        }
        Ok(found)
    }

    async fn follow(&self, transport: Transport, batch_bytes: usize, looked_at: bool) -> Result<u64> {
        let reply_budget = ReplyBudget::new(Pool::new(64 * MIB)?);
        let options = WatchOptions {
            from: StartAt::Time(self.begin),
            batch_bytes,
            ..WatchOptions::new(
                Scope::Collection(self.namespace.clone()),
                vec![self.namespace.clone()],
                reply_budget,
            )
        };
        let mut reader = self.source.clone().with_transport(transport).watch(options).await?;
        let (mut found, mut documents) = (0, 0);
        while found < self.events {
            let batch = reader.next().await?;
            found += u64::try_from(batch.len())?;
            if looked_at {
                for change in batch.changes() {
                    documents += u64::from(change?.document.is_some());
                }
            }
        }
        assert!(!looked_at || documents == self.events / 2);
        Ok(found)
    }

    async fn look_up(&self, transport: Transport, at_once: usize) -> Result<u64> {
        let source = self.source.clone().with_transport(transport);
        let reply_budget = ReplyBudget::new(Pool::new(64 * MIB)?);
        let after = source.now().await?;
        let mut found = 0;
        // Twice, to make as many as there are events.
        for ids in self.ids.chunks(at_once).chain(self.ids.chunks(at_once)) {
            let batches = source.lookup(&self.namespace, ids, Some(after), &reply_budget).await?;
            found += batches.iter().map(|batch| u64::try_from(batch.len()).unwrap_or_default()).sum::<u64>();
        }
        Ok(found)
    }
}

/// One command, one reply: its payload.
fn call(stream: &mut TcpStream, command: &Document, buffer: &mut Vec<u8>) -> Result<()> {
    let body = bson::serialize_to_vec(command)?;
    let mut message = Vec::new();
    for field in [i32::try_from(21 + body.len())?, 1, 0, 2013, 0] {
        message.extend_from_slice(&field.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(&body);
    stream.write_all(&message)?;
    let mut header = [0; 16];
    stream.read_exact(&mut header)?;
    let len = usize::try_from(i32::from_le_bytes([header[0], header[1], header[2], header[3]]))?;
    buffer.resize(len - 16, 0);
    stream.read_exact(buffer)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts of a benchmark are far below the limit")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Time on a processor of the threads of this process so far: proc(5) on `schedstat`. Ticks are too coarse for it.
fn own_seconds() -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir("/proc/self/task")? {
        let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += stat.split_ascii_whitespace().next().unwrap_or("0").parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

/// User and system time of a process so far: fields 14 and 15 of `/proc/PID/stat`, see proc(5).
fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}
