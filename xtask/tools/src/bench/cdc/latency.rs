//! From the commit of a change, by a majority, to its row being there for a query.
//!
//! Each change carries a number, higher than any before it. A poller asks ClickHouse for the highest number again and
//! again; as changes are applied in order, everything up to it is there.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use mongodb::options::{Acknowledgment, WriteConcern};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zenith_testkit::{ClickHouse, Error, Result, Shape};

use super::follower::{DOCUMENTS, NAME, wait_for};
use crate::bench::home::Home;
use crate::bench::servers::Servers;
use crate::bench::statistics::percentile;

/// Between two writes; each has as many changes as the rate asks for.
const TICK: Duration = Duration::from_millis(10);
/// Between two questions.
const POLL: Duration = Duration::from_millis(3);
/// The field with the number of a change; the documents have it already, with smaller numbers.
const NUMBER: &str = "sequence";

/// All latencies of one measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Latency {
    /// Changes a second that there really were.
    pub(super) rate: f64,
    /// From the start of the command to its first change being a row.
    pub(super) restart_seconds: f64,
    /// Changes with a latency below each bound, in milliseconds.
    milliseconds: Vec<f64>,
}

/// Writes at a steady rate while the command follows.
pub(super) async fn measure(servers: &Servers, follower: &Home, rate: u64, seconds: u64) -> Result<Latency> {
    let collection = servers.collection(NAME);
    let highest = format!("SELECT max({NUMBER}) FROM `{NAME}`");
    // A change that waits for the command shows how soon it follows after its start. It also gives the field its column.
    collection
        .update_many(doc! { "_id": { "$exists": true } }, doc! { "$set": { NUMBER: 0_i64 } })
        .await
        .map_err(failed)?;
    follower.succeed(&["reload", NAME]).await?;
    follower.succeed(&["run", "--once", "--quiet"]).await?;
    collection.update_one(doc! {}, doc! { "$set": { NUMBER: 1_i64 } }).await.map_err(failed)?;
    let mut child = follower.start(Stdio::inherit())?;
    let restart = wait_for(servers, &highest, "1", POLL).await?;

    eprintln!("Changing {rate} documents a second for {seconds} s …");
    let (seen, visible) = watch::channel((0_i64, Instant::now()));
    let poller = tokio::spawn(poll(servers.target.clone(), highest, seen));
    let started = Instant::now();
    let committed = write(servers, rate, seconds).await?;
    let elapsed = started.elapsed().as_secs_f64();
    let last = committed.last().map_or(1, |(number, _)| *number);
    let mut visible = visible;
    let all = visible.wait_for(|(number, _)| *number >= last);
    let waited = tokio::time::timeout(Duration::from_secs(60), all).await.is_ok();
    drop(visible);
    let appeared = poller.await.map_err(|_| Error::Server("the poller panicked".to_owned()))?;
    child.kill().await.map_err(Error::io("stop zenith"))?;
    if !waited {
        return Err(Error::Server("not all changes became rows within a minute".to_owned()));
    }
    let mut milliseconds: Vec<f64> = committed
        .iter()
        .filter_map(|(number, at)| {
            let place = appeared.partition_point(|(there, _)| there < number);
            let (_, there) = appeared.get(place)?;
            Some(there.saturating_duration_since(*at).as_secs_f64() * 1000.0)
        })
        .collect();
    milliseconds.sort_by(f64::total_cmp);
    Ok(Latency {
        rate: committed.len() as f64 / elapsed,
        restart_seconds: restart.as_secs_f64(),
        milliseconds,
    })
}

/// Asks for the highest number until nobody wants to know it; when each number was first seen.
async fn poll(
    target: ClickHouse,
    highest: String,
    seen: watch::Sender<(i64, Instant)>,
) -> Vec<(i64, Instant)> {
    let mut appeared: Vec<(i64, Instant)> = Vec::new();
    loop {
        if let Ok(answer) = target.query(&highest).await
            && let Ok(number) = answer.parse::<i64>()
            && appeared.last().is_none_or(|(last, _)| number > *last)
        {
            let now = Instant::now();
            appeared.push((number, now));
            if seen.send((number, now)).is_err() {
                return appeared;
            }
        }
        if seen.is_closed() {
            return appeared;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Inserts and updates in equal parts; when each was committed by a majority.
async fn write(servers: &Servers, rate: u64, seconds: u64) -> Result<Vec<(i64, Instant)>> {
    let collection = servers.collection(NAME);
    let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
    let together = (rate * u64::try_from(TICK.as_millis()).unwrap_or(10)).div_ceil(1000).max(1);
    let ticks = seconds * 1000 / u64::try_from(TICK.as_millis()).unwrap_or(10);
    let ids: Vec<Document> = collect_ids(&collection, together * 50).await?;
    let mut next = tokio::time::interval(TICK);
    let mut committed = Vec::new();
    let mut number = 1_i64;
    for tick in 0..ticks {
        next.tick().await;
        let first = number + 1;
        if tick % 2 == 0 {
            let mut documents = Vec::new();
            for _ in 0..together {
                number += 1;
                let place = DOCUMENTS + number.unsigned_abs();
                let raw = Shape::Events.document(2, place);
                let mut document =
                    Document::try_from(raw).map_err(|error| Error::Malformed(error.to_string()))?;
                document.insert(NUMBER, number);
                documents.push(document);
            }
            collection.insert_many(documents).write_concern(majority.clone()).await.map_err(failed)?;
        } else {
            let mut updates = Vec::new();
            for _ in 0..together {
                number += 1;
                let id = &ids[usize::try_from(number.unsigned_abs()).unwrap_or(0) % ids.len()];
                updates.push(doc! { "q": id.clone(), "u": { "$set": { NUMBER: number } } });
            }
            let command = doc! { "update": NAME, "updates": updates, "writeConcern": { "w": "majority" } };
            servers.source_database().run_command(command).await.map_err(failed)?;
        }
        let now = Instant::now();
        committed.extend((first..=number).map(|number| (number, now)));
    }
    Ok(committed)
}

async fn collect_ids(collection: &mongodb::Collection<Document>, count: u64) -> Result<Vec<Document>> {
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let mut cursor =
        collection.find(doc! {}).projection(doc! { "_id": 1 }).limit(limit).await.map_err(failed)?;
    let mut ids = Vec::new();
    while cursor.advance().await.map_err(failed)? {
        let document = cursor.deserialize_current().map_err(failed)?;
        ids.push(document);
    }
    Ok(ids)
}

fn failed(error: mongodb::error::Error) -> Error {
    Error::mongodb("change documents")(error)
}

impl Latency {
    /// The latency that this share of changes did not exceed, in milliseconds.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.milliseconds, share)
    }

    /// Changes by latency, as bars of text.
    pub(super) fn histogram(&self) -> String {
        const BOUNDS: [f64; 11] = [10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 160.0, 200.0, 400.0, 1000.0];
        let mut text = String::from("from commit to row\n");
        let mut below = 0;
        let total = self.milliseconds.len().max(1);
        for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
            let upto = self.milliseconds.partition_point(|value| *value < bound);
            let (count, name) =
                (upto - below, if bound.is_finite() { format!("< {bound} ms") } else { "more".to_owned() });
            let _ = writeln!(text, "{name:>10} {count:>8} {}", "█".repeat(count * 50 / total));
            below = upto;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let milliseconds = (1..=100).map(f64::from).collect();
        let latency = Latency { rate: 1.0, restart_seconds: 0.0, milliseconds };
        assert_eq!(
            (latency.percentile(0.5), latency.percentile(0.99), latency.percentile(1.0)),
            (50.0, 99.0, 100.0)
        );
        assert!(latency.histogram().contains("< 10 ms        9"), "{}", latency.histogram());
    }
}
