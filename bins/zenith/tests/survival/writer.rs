//! Writes to a collection at random, as applications do: inserts, updates, replacements, deletions, transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bson::{Document, doc, oid::ObjectId};
use mongodb::{Collection, Database};
use tokio::task::JoinHandle;
use zenith_testkit::data::random::Random;

/// The seed of this run, printed so that it can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("ZENITH_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()));
    eprintln!("ZENITH_TEST_SEED={seed}");
    seed
}

/// A writer at work. It goes on when writes fail, as they do while servers are killed.
pub struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Writes to `items` in any way, and appends to `appends`, with `pause` in between.
    pub fn start(database: Database, seed: u64, pause: Duration) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(write(database, seed, pause, Arc::clone(&stop), Arc::clone(&written)));
        Writer { stop, written, task }
    }

    /// How many writes have succeeded.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.written.load(Ordering::Relaxed)
    }
}

async fn write(
    database: Database,
    seed: u64,
    pause: Duration,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) {
    let mut random = Random::of_document(seed, 0);
    let items = database.collection::<Document>("items");
    let appends = database.collection::<Document>("appends");
    let mut next = 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        let result = step(&items, &appends, &mut random, &mut next).await;
        match result {
            Ok(()) => _ = written.fetch_add(1, Ordering::Relaxed),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tokio::time::sleep(pause).await;
    }
}

async fn step(
    items: &Collection<Document>,
    appends: &Collection<Document>,
    random: &mut Random,
    next: &mut i64,
) -> mongodb::error::Result<()> {
    let known = doc! { "_id": any_id(random, *next) };
    match random.below(100) {
        0..25 => {
            let count = i64::from(random.below(5)) + 1;
            let documents: Vec<Document> = (*next..*next + count).map(|id| item(id, random)).collect();
            *next += count;
            items.insert_many(documents).await?;
        }
        25..55 => _ = items.update_one(known, change(random)).await?,
        55..60 => {
            let id = any_id(random, *next);
            items.replace_one(known_id(id), item(id, random)).upsert(true).await?;
        }
        60..75 => _ = items.delete_one(known).await?,
        75..85 => transaction(items, random, *next).await?,
        _ => {
            _ = appends
                .insert_one(doc! { "_id": ObjectId::new(), "n": random.below(1000), "text": "appended" })
                .await?
        }
    }
    Ok(())
}

/// Several changes at one cluster time, some of them of one document.
async fn transaction(
    items: &Collection<Document>,
    random: &mut Random,
    next: i64,
) -> mongodb::error::Result<()> {
    let mut session = items.client().start_session().await?;
    session.start_transaction().await?;
    let first = any_id(random, next);
    for _ in 0..random.below(5) + 2 {
        let id = if random.below(2) == 0 { first } else { any_id(random, next) };
        match random.below(3) {
            0 => _ = items.delete_one(known_id(id)).session(&mut session).await?,
            1 => {
                _ = items
                    .replace_one(known_id(id), item(id, random))
                    .upsert(true)
                    .session(&mut session)
                    .await?
            }
            _ => _ = items.update_one(known_id(id), change(random)).session(&mut session).await?,
        }
    }
    if random.below(10) == 0 { session.abort_transaction().await } else { session.commit_transaction().await }
}

fn known_id(id: i64) -> Document {
    doc! { "_id": id }
}

/// Often one of the newest, sometimes one of the first.
fn any_id(random: &mut Random, next: i64) -> i64 {
    match random.below(3) {
        0 => i64::from(random.below(5000)),
        _ => (next - i64::from(random.below(500)) - 1).max(0),
    }
}

pub fn item(id: i64, random: &mut Random) -> Document {
    let mut document = doc! {
        "_id": id, "n": random.below(1000), "name": format!("item {id}"), "rate": random.fraction(),
        "tags": ["a", "b"], "sub": { "x": 1, "y": "z" },
    };
    if random.below(20) == 0 {
        document.insert("n", "a number at other times");
        document.insert("unforeseen", doc! { "deep": [1, { "a": 2 }] });
    }
    document
}

fn change(random: &mut Random) -> Document {
    match random.below(4) {
        0 => doc! { "$inc": { "count": 1 } },
        1 => {
            doc! { "$set": { "name": format!("renamed {}", random.below(1_000_000)) }, "$unset": { "rate": 1 } }
        }
        2 => doc! { "$push": { "tags": format!("{}", random.below(100)) } },
        _ => doc! { "$set": { "sub.x": random.below(100), "new": random.fraction() } },
    }
}
