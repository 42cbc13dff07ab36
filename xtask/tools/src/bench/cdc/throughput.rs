//! A backlog of changes: how long the command takes for it, and how long a reader that only reads.

use std::process::Stdio;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Document, doc};
use serde::{Deserialize, Serialize};
use zenith_testkit::{Error, Result, Shape};

use super::follower::{DOCUMENTS, NAME, wait_for};
use crate::bench::home::Home;
use crate::bench::servers::{Cost, Servers};
use crate::bench::statistics::ratio;
use crate::bench::{floor, process};

/// How often it is looked whether the last change is there: seldom enough to cost ClickHouse nothing to speak of.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Changes of one write.
const TOGETHER: u64 = 1_000;

/// One backlog.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Throughput {
    pub(super) changes: u64,
    pub(super) followed: Followed,
    /// The bare reader, from the opening of the stream until the last change has come.
    pub(super) drained: Cost,
}

/// The command, from its start until the last change is a row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Followed {
    pub(super) cost: Cost,
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_bytes: u64,
}

impl Throughput {
    pub(super) fn rate(&self) -> f64 {
        ratio(self.changes as f64, self.followed.cost.seconds)
    }

    pub(super) fn drain_rate(&self) -> f64 {
        ratio(self.changes as f64, self.drained.seconds)
    }
}

/// Makes changes while nobody follows, then measures both.
pub(super) async fn measure(
    servers: &Servers,
    follower: &Home,
    changes: u64,
    round: u64,
) -> Result<Throughput> {
    follower.succeed(&["run", "--once", "--quiet"]).await?;
    let token = token_now(servers).await?;
    eprintln!("Making {changes} changes …");
    let (made, last) = make(servers, changes, round).await?;
    // Whoever comes second finds the servers a little different, so they take turns.
    let (drained, followed) = if round % 2 == 1 {
        let drained = drain(servers, token, round).await?;
        (drained, follow(servers, follower, &last).await?)
    } else {
        let followed = follow(servers, follower, &last).await?;
        (drain(servers, token, round).await?, followed)
    };
    Ok(Throughput { changes: made, followed, drained })
}

/// Reads the changes and does nothing with them.
async fn drain(servers: &Servers, token: Document, round: u64) -> Result<Cost> {
    servers.settle().await?;
    Ok(floor::drain_changes(servers, NAME, token, marker(round)).await?.cost)
}

/// Has the command follow until the document of this `_id` is a row.
async fn follow(servers: &Servers, follower: &Home, last: &str) -> Result<Followed> {
    servers.settle().await?;
    let meter = servers.meter()?;
    let mut child = follower.start(Stdio::inherit())?;
    let question = format!("SELECT count() FROM {NAME} WHERE _id = '{last}'");
    wait_for(servers, &question, "1", LOOK_EVERY).await?;
    let cost = meter.read(servers)?;
    let pid = child.id().unwrap_or_default();
    let (cpu_seconds, peak_rss_bytes) =
        (process::cpu_seconds(pid)?, process::peak_rss(pid).unwrap_or_default());
    child.kill().await.map_err(Error::io("stop zenith"))?;
    Ok(Followed { cost, cpu_seconds, peak_rss_bytes })
}

/// Half of them inserts, then updates, and some deletions: how many there were, and the `_id` of the last one.
async fn make(servers: &Servers, changes: u64, round: u64) -> Result<(u64, String)> {
    let collection = servers.collection(NAME);
    let first = DOCUMENTS * 100 * round;
    let mut made = 0;
    let mut ids: Vec<bson::Bson> = Vec::new();
    while made < changes {
        let mut documents = Vec::new();
        for number in 0..TOGETHER {
            let raw = Shape::Events.document(round + 10, first + made + number);
            let document = Document::try_from(raw).map_err(|error| Error::Malformed(error.to_string()))?;
            ids.push(document.get("_id").cloned().unwrap_or(bson::Bson::Null));
            documents.push(document);
        }
        collection.insert_many(documents).ordered(false).await.map_err(failed)?;
        made += TOGETHER;
        let updates: Vec<Document> = ids
            .iter()
            .take(700)
            .map(|id| doc! { "q": { "_id": id.clone() }, "u": { "$set": { "kind": format!("changed {made}") } } })
            .collect();
        made += updates.len() as u64;
        run(servers, doc! { "update": NAME, "updates": updates, "ordered": false }).await?;
        let deletes: Vec<Document> =
            ids.drain(..).take(300).map(|id| doc! { "q": { "_id": id }, "limit": 1 }).collect();
        made += deletes.len() as u64;
        run(servers, doc! { "delete": NAME, "deletes": deletes, "ordered": false }).await?;
    }
    let last = ObjectId::new();
    collection.insert_one(doc! { "_id": last, "kind": marker(round) }).await.map_err(failed)?;
    Ok((made + 1, last.to_hex()))
}

/// What the last change holds, and no other.
fn marker(round: u64) -> String {
    format!("the last change of round {round}")
}

async fn run(servers: &Servers, command: Document) -> Result<()> {
    servers.source_database().run_command(command).await.map(drop).map_err(failed)
}

async fn token_now(servers: &Servers) -> Result<Document> {
    let reply = open(servers, doc! { "$changeStream": {} }).await?;
    let cursor = reply.get_document("cursor").map_err(|_| malformed())?;
    cursor.get_document("postBatchResumeToken").cloned().map_err(|_| malformed())
}

async fn open(servers: &Servers, stage: Document) -> Result<Document> {
    let command = doc! { "aggregate": NAME, "pipeline": [stage], "cursor": { "batchSize": 0 } };
    servers.source_database().run_command(command).await.map_err(failed)
}

fn failed(error: mongodb::error::Error) -> Error {
    Error::mongodb("read or make changes")(error)
}

fn malformed() -> Error {
    Error::Malformed("MongoDB answered without a cursor".to_owned())
}
