//! A backlog of mixed changes into a table that is sorted by fields which some of them change, and into one that is sorted
//! by `_id`.

use std::process::Stdio;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};
use zenith_testkit::data::random::Random;
use zenith_testkit::{Error, Result};

use super::follower::wait_for;
use crate::bench::home::Home;
use crate::bench::servers::Servers;
use crate::bench::statistics::ratio;
use crate::bench::zenith::Zenith;

/// The collection, and the pipeline of either kind.
const NAME: &str = "keyed";
const BY_ID: &str = "keyed_by_id";
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TOGETHER: u64 = 1_000;

/// What the same changes took for tables of either key.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) documents: u64,
    pub(super) changes: u64,
    /// Seconds until the last change is a row of a table sorted by `_id`, of which the first load is not a part.
    pub(super) by_id_seconds: f64,
    /// The same of a table sorted by a user and a time.
    pub(super) by_fields_seconds: f64,
}

impl Keys {
    pub(super) fn by_id_rate(&self) -> f64 {
        ratio(self.changes as f64, self.by_id_seconds)
    }

    pub(super) fn by_fields_rate(&self) -> f64 {
        ratio(self.changes as f64, self.by_fields_seconds)
    }
}

/// Loads documents into two tables, makes changes while nobody follows, and measures how long either table takes for them.
pub(super) async fn measure(
    servers: &Servers,
    zenith: &Zenith,
    documents: u64,
    changes: u64,
) -> Result<Keys> {
    let ids = fill(servers, documents).await?;
    let by_id = home(servers, zenith, BY_ID, "").await?;
    let by_fields = home(servers, zenith, NAME, "order_by = [\"user_id\", \"ts\"]\n").await?;
    for home in [&by_id, &by_fields] {
        home.succeed(&["run", "--once", "--quiet"]).await?;
    }
    eprintln!("Making {changes} changes …");
    let last = change(servers, &ids, changes).await?;
    let by_id_seconds = follow(servers, &by_id, BY_ID, last).await?;
    let by_fields_seconds = follow(servers, &by_fields, NAME, last).await?;
    let shown = |table: &str| format!("SELECT count(), sum(amount), uniqExact(_id) FROM {table}_current");
    let expected = servers.target.query(&shown(BY_ID)).await?;
    let found = servers.target.query(&shown(NAME)).await?;
    if found != expected {
        return Err(Error::Server(format!("the tables differ: {found} instead of {expected}")));
    }
    Ok(Keys { documents, changes, by_id_seconds, by_fields_seconds })
}

async fn home(servers: &Servers, zenith: &Zenith, table: &str, settings: &str) -> Result<Home> {
    let configuration = format!(
        "[sources.from]\nuri = {:?}\n\n[targets.to]\nuri = {:?}\n\n[pipelines.{table}]\nsource = \"from\"\ntarget = \
         \"to\"\ncollection = {NAME:?}\ntable = {table:?}\n{settings}",
        servers.mongodb_uri(),
        zenith.target(servers)
    );
    Home::new(zenith, &configuration).await
}

async fn follow(servers: &Servers, home: &Home, table: &str, last: ObjectId) -> Result<f64> {
    servers.settle().await?;
    let mut child = home.start(Stdio::inherit())?;
    let question = format!("SELECT count() > 0 FROM {table} WHERE _id = '{}'", last.to_hex());
    let took = wait_for(servers, &question, "1", LOOK_EVERY).await?;
    child.kill().await.map_err(Error::io("stop zenith"))?;
    Ok(took.as_secs_f64())
}

async fn fill(servers: &Servers, documents: u64) -> Result<Vec<ObjectId>> {
    let collection = servers.collection(NAME);
    collection.drop().await.map_err(failed)?;
    let mut ids = Vec::new();
    let mut random = Random::of_document(1, 0);
    while (ids.len() as u64) < documents {
        let some: Vec<Document> = (0..TOGETHER)
            .map(|_| {
                let id = ObjectId::new();
                ids.push(id);
                doc! {
                    "_id": id, "user_id": i64::from(random.below(20_000)), "ts": time(&mut random),
                    "amount": i64::from(random.below(1_000)), "note": format!("note {}", random.below(1 << 30)),
                }
            })
            .collect();
        collection.insert_many(some).ordered(false).await.map_err(failed)?;
    }
    Ok(ids)
}

/// Nine tenths updates, of which one in ten changes the key, and deletions; the `_id` of a document that is inserted last.
async fn change(servers: &Servers, ids: &[ObjectId], changes: u64) -> Result<ObjectId> {
    let mut random = Random::of_document(2, 0);
    let most = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    for number in 0..changes.div_ceil(TOGETHER) {
        let count = TOGETHER.min(changes - number * TOGETHER);
        let (mut updates, mut deletes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let id = ids.get(random.below(most) as usize).copied().unwrap_or_default();
            if random.below(10) == 0 {
                deletes.push(doc! { "q": { "_id": id }, "limit": 1 });
                continue;
            }
            let set = match random.below(10) {
                0 => doc! { "user_id": i64::from(random.below(20_000)), "ts": time(&mut random) },
                _ => doc! { "amount": i64::from(random.below(1_000)) },
            };
            updates.push(doc! { "q": { "_id": id }, "u": { "$set": set } });
        }
        let database = servers.source_database();
        for command in [
            doc! { "update": NAME, "updates": updates, "ordered": false },
            doc! { "delete": NAME, "deletes": deletes, "ordered": false },
        ] {
            database.run_command(command).await.map_err(failed)?;
        }
    }
    let last = ObjectId::new();
    let document =
        doc! { "_id": last, "user_id": 0_i64, "ts": time(&mut random), "amount": 0_i64, "note": "last" };
    servers.collection(NAME).insert_one(document).await.map_err(failed)?;
    Ok(last)
}

fn time(random: &mut Random) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + i64::from(random.below(u32::MAX)))
}

fn failed(error: mongodb::error::Error) -> Error {
    Error::mongodb("make documents and changes")(error)
}
