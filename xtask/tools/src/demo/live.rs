//! The second half of the demonstration: changes arrive while one watches.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use mongodb::Database;
use mongodb::options::{Acknowledgment, WriteConcern};
use tokio::process::{Child, Command};
use zenith_testkit::{ClickHouse, Error, Result};

use crate::scratch::Scratch;

const NAME: &str = "orders";
/// More than any change takes, also on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Writes and prints a zenith.toml.
fn configure(folder: &Path, from: &str, to: &ClickHouse) -> Result<PathBuf> {
    let file = folder.join("zenith.toml");
    let pipeline =
        format!("[pipelines.{NAME}]\nsource = \"shop\"\ntarget = \"warehouse\"\ncollection = \"{NAME}\"\n");
    let text = format!(
        "[state]\npath = {:?}\n\n[sources.shop]\nuri = \"{from}\"\n\n[targets.warehouse]\nuri = \"{}\"\n\n{pipeline}",
        folder.join("state.sqlite"),
        to.url()
    );
    std::fs::write(&file, &text).map_err(Error::path("write", &file))?;
    println!("{}", super::indented(&text));
    Ok(file)
}

/// Follows a collection with `zenith run` and changes documents under its eyes.
pub(super) async fn show(zenith: &Path, source: &Database, from: &str, to: &ClickHouse) -> Result<()> {
    let orders = source.collection::<Document>(NAME);
    let first = (1..=1000).map(|number| doc! { "_id": number, "item": "tea", "state": "new", "price": 4.5 });
    orders.insert_many(first).await.map_err(failed)?;
    println!(
        "\nMongoDB now has {}.{NAME}: 1000 orders. They will change, so the table is kept in step:\n",
        source.name()
    );
    let folder = Scratch::new()?;
    let file = configure(folder.path(), from, to)?;
    run(zenith, &["apply", "--yes"], &file).await?;
    println!("$ zenith run");
    let mut following = follow(zenith, &file)?;
    let counted = format!("SELECT count() FROM {NAME}_current");
    let seconds = wait(to, &counted, "1000").await?.as_secs_f64();
    println!("  ClickHouse has the 1000 orders {seconds:.1} s after the start. Now MongoDB changes them:\n");

    let id = 1001;
    let new = doc! { "_id": id, "item": "coffee", "state": "new", "price": 7.25 };
    orders.insert_one(new).write_concern(majority()).await.map_err(failed)?;
    tell(to, "insert   order 1001, coffee", &state_of(id), "new").await?;
    let paid = doc! { "$set": { "state": "paid", "paid_by": "card" } };
    orders.update_one(doc! { "_id": id }, paid).write_concern(majority()).await.map_err(failed)?;
    let paid = format!("SELECT state, paid_by FROM {NAME}_current WHERE _id = {id}");
    tell(to, "update   order 1001 is paid, by a field that gets its column now", &paid, "paid\tcard").await?;
    let sent = doc! { "$set": { "state": "sent" } };
    orders
        .update_many(doc! { "_id": { "$lte": 500 } }, sent)
        .write_concern(majority())
        .await
        .map_err(failed)?;
    tell(
        to,
        "update   500 orders are sent",
        &format!("SELECT count() FROM {NAME}_current WHERE state = 'sent'"),
        "500",
    )
    .await?;
    orders.delete_many(doc! { "_id": { "$gt": 900 } }).write_concern(majority()).await.map_err(failed)?;
    tell(to, "delete   101 orders", &counted, "900").await?;

    let question = format!(
        "SELECT state, count() AS orders, sum(price) AS worth FROM {NAME}_current GROUP BY state ORDER BY state"
    );
    println!(
        "\n{}\n\n{}",
        super::indented(&question),
        to.query(&format!("{question} FORMAT PrettyCompactMonoBlock")).await?
    );
    following.kill().await.map_err(Error::io("stop zenith"))?;
    println!(
        "\nzenith run was killed, not stopped, and more has changed since. It continues where it was:\n"
    );
    orders
        .insert_one(doc! { "_id": 2000, "item": "milk", "state": "new", "price": 1.0 })
        .await
        .map_err(failed)?;
    run(zenith, &["run", "--once", "--quiet"], &file).await?;
    run(zenith, &["verify", NAME], &file).await
}

fn state_of(id: i32) -> String {
    format!("SELECT state FROM {NAME}_current WHERE _id = {id}")
}

/// Waits until a change is seen, and says how long that took.
async fn tell(to: &ClickHouse, change: &str, question: &str, answer: &str) -> Result<()> {
    let latency = wait(to, question, answer).await?;
    println!("  {:>4} ms  {change}", latency.as_millis());
    Ok(())
}

async fn wait(to: &ClickHouse, question: &str, answer: &str) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        // The table may not be there yet.
        if to.query(question).await.is_ok_and(|found| found == answer) {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(Error::Server(format!("{question} did not become {answer} within {} s", TIMEOUT.as_secs())))
}

fn follow(zenith: &Path, file: &Path) -> Result<Child> {
    let mut command = Command::new(zenith);
    command.args(["run", "--quiet", "-f"]).arg(file).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(Error::path("run", zenith))
}

async fn run(zenith: &Path, arguments: &[&str], file: &Path) -> Result<()> {
    println!("$ zenith {}", arguments.join(" "));
    let mut command = Command::new(zenith);
    let status =
        command.args(arguments).arg("-f").arg(file).status().await.map_err(Error::path("run", zenith))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Server(format!("zenith {} ended with {status}: see above", arguments.join(" "))))
}

fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).build()
}

fn failed(error: mongodb::error::Error) -> Error {
    Error::mongodb("change orders")(error)
}
