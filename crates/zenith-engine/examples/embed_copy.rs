//! A copy from within a program:
//! `ZENITH_SOURCE=mongodb://…/DB ZENITH_TARGET=http://…/DB cargo run -p zenith-engine --example embed_copy COLLECTION`.
#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;

use zenith_engine::{ClickHouseSink, ConnectionOptions, MongoSource, Namespace, Pipeline, Pool, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collection = env::args().nth(1).ok_or("usage: embed_copy COLLECTION")?;
    let source = MongoSource::connect(&env::var("ZENITH_SOURCE")?).await?;
    let database = source.default_database().ok_or("ZENITH_SOURCE names no database")?.to_owned();
    // One pool for both, so that what is decoded is sent from where it lies.
    let pool = Pool::new(64 << 20)?;
    let target = Target::parse(&env::var("ZENITH_TARGET")?)?;
    let pipeline = Pipeline::builder()
        .source(source)
        .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default())?)
        .pool(pool)
        .namespace(Namespace::new(database, collection))
        .build()?;
    let summary = pipeline.run().await?;
    println!("{} rows in {:.2?} into {}", summary.rows, summary.elapsed, summary.table);
    Ok(())
}
