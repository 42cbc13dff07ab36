//! `cargo xtask demo`: real servers, real data, the real command, from nothing to a query's answer, and to changes that
//! arrive while one watches.
//!
//! Everything happens on servers and in folders of its own, which are gone afterwards.

mod live;

use std::path::Path;
use std::process::ExitCode;

use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, MongoOptions, MongoServer, Published, Result,
};

use crate::Outcome;

/// The database on either side.
const DATABASE: &str = "demo";

/// What is copied, and what is asked of the copy.
struct Copy {
    data_set: Published,
    about: &'static str,
    question: &'static str,
    sql: &'static str,
}

const COPIES: [Copy; 2] = [
    Copy {
        data_set: Published::Countries,
        about: "countries, nested, with keys that differ from one to the next",
        question: "How large are the regions of the world, and which languages do most countries there have?",
        // `languages` is { eng: "English", … } with other keys in every document, hence a JSON column.
        sql: "\
SELECT region, count() AS countries, round(sum(area) / 1e6, 1) AS million_km2,
       round(avg(length(borders)), 1) AS neighbours,
       arrayStringConcat(topKArray(4)(JSONExtractKeysAndValues(toString(languages), 'String').2), ', ') AS languages
FROM countries GROUP BY region ORDER BY countries DESC",
    },
    Copy {
        data_set: Published::Flights,
        about: "flights, small and many",
        question: "At which hour should one fly, not to be late?",
        sql: "\
SELECT intDiv(time, 3) * 3 AS from_hour, count() AS flights,
       round(avg(delay), 1) AS minutes_late, countIf(delay > 60) AS over_an_hour_late
FROM flights GROUP BY from_hour ORDER BY from_hour",
    },
];

/// Runs the demonstration; it fails if a copy has another number of rows than the collection has documents.
pub async fn run() -> Outcome {
    let zenith = crate::build_zenith().await?;
    println!(
        "Starting MongoDB and ClickHouse on free ports (the first time they are downloaded: about 200 MB) …"
    );
    let (mongodb, clickhouse) = tokio::try_join!(
        MongoServer::start(MongoOptions::default()),
        ClickHouseServer::start(ClickHouseOptions::default())
    )?;
    let source = mongodb.client().await?.database(DATABASE);
    let copy = clickhouse.client().with_database(DATABASE);
    for Copy { data_set, about, question, sql } in COPIES {
        let name = data_set.name();
        let loaded = data_set.load(&source).await?;
        println!("\nMongoDB now has {DATABASE}.{name}: {} {about}.\n", loaded.documents);
        copy_collection(&zenith, &mongodb.uri_for(DATABASE), name, &copy).await?;
        expect_rows(&copy, name, loaded.documents).await?;
        println!("\n{question} ClickHouse says:\n\n{}\n", indented(sql));
        println!("{}", copy.query(&format!("{sql} FORMAT PrettyCompactMonoBlock")).await?);
    }
    live::show(&zenith, &source, &mongodb.uri_for(DATABASE), &copy).await?;
    drop((source, mongodb, clickhouse));
    println!("\nThe servers and their data are gone again. What to do next:\n");
    println!("  cargo install --path bins/zenith    put zenith on your PATH");
    println!("  cargo xtask services up             servers to play with, which stay up");
    println!("  zenith copy --from mongodb://HOST/DB --collection NAME --to http://HOST:8123/DB --dry-run");
    println!(
        "                                      see what a copy of yours would look like; nothing is written"
    );
    Ok(ExitCode::SUCCESS)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
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
