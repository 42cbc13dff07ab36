//! `cargo xtask demo`: real servers, real data, the real command, from nothing to a query's answer.
//!
//! Everything happens on servers and in folders of its own, which are gone afterwards.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, MongoOptions, MongoServer, Published, Result,
};

use crate::Outcome;

/// The database on either side.
const DATABASE: &str = "demo";

/// What is copied, and the question asked of the copy.
const COPIES: [(Published, &str); 2] = [
    (
        Published::Countries,
        "SELECT region, count() AS countries, sum(landlocked) AS landlocked \
         FROM countries GROUP BY region ORDER BY countries DESC FORMAT PrettyCompactMonoBlock",
    ),
    (
        Published::Flights,
        "SELECT intDiv(distance, 500) * 500 AS miles_from, count() AS flights, round(avg(delay), 1) AS mean_delay \
         FROM flights GROUP BY miles_from ORDER BY miles_from FORMAT PrettyCompactMonoBlock",
    ),
];

/// Runs the demonstration; it fails if a copy has another number of rows than the collection has documents.
pub async fn run() -> Outcome {
    let zenith = build().await?;
    println!("Starting MongoDB and ClickHouse");
    let (mongodb, clickhouse) = tokio::try_join!(
        MongoServer::start(MongoOptions::default()),
        ClickHouseServer::start(ClickHouseOptions::default())
    )?;
    let source = mongodb.client().await?.database(DATABASE);
    let copy = clickhouse.client().with_database(DATABASE);
    for (data_set, question) in COPIES {
        let loaded = data_set.load(&source).await?;
        println!("\nMongoDB has {} documents in {DATABASE}.{}", loaded.documents, data_set.name());
        let begun = Instant::now();
        copy_collection(&zenith, &mongodb.uri_for(DATABASE), data_set.name(), &copy).await?;
        println!("Copied in {:.2?}; ClickHouse says:", begun.elapsed());
        expect_rows(&copy, data_set.name(), loaded.documents).await?;
        println!("{}", copy.query(question).await?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the command in its release profile; its path.
async fn build() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let root = crate::workspace_root();
    println!("Building zenith");
    let mut command = tokio::process::Command::from(crate::cargo());
    command.args(["build", "--release", "--package", "zenith"]).current_dir(&root);
    let status = command.status().await.map_err(Error::io("run cargo build"))?;
    if !status.success() {
        return Err("zenith does not build: see above".into());
    }
    let metadata = crate::metadata(&root)?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    Ok(Path::new(target).join("release/zenith"))
}

async fn copy_collection(zenith: &Path, from: &str, collection: &str, to: &ClickHouse) -> Result<()> {
    let to = to.url();
    let arguments = ["copy", "--from", from, "--collection", collection, "--to", &to, "--create-database"];
    println!("$ zenith {}", arguments.join(" "));
    let mut command = tokio::process::Command::new(zenith);
    let status = command.args(arguments).status().await.map_err(Error::path("run", zenith))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Server(format!("zenith copy ended with {status}: see above")))
}

async fn expect_rows(copy: &ClickHouse, table: &str, documents: u64) -> Result<()> {
    let rows = copy.query(&format!("SELECT count() FROM {table}")).await?;
    if rows == documents.to_string() {
        return Ok(());
    }
    Err(Error::Server(format!("{table} has {rows} rows for {documents} documents")))
}
