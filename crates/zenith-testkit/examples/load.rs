//! Fills a collection with generated documents and says how fast: `load URI/DATABASE SHAPE COUNT [SEED]`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use zenith_testkit::{Shape, load};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: load URI/DATABASE SHAPE COUNT [SEED]";
    let uri = arguments.next().ok_or(usage)?;
    let shape = arguments.next().and_then(|name| Shape::from_name(&name)).ok_or(usage)?;
    let count: u64 = arguments.next().ok_or(usage)?.parse()?;
    let seed: u64 = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let client = zenith_testkit::services::mongod::connect(&uri).await?;
    let database = client.default_database().ok_or("the address names no database")?;
    let loaded = load::generate(&database, shape.name(), shape, seed, 0..count).await?;
    println!("{} documents, {} bytes, {:.2?}", loaded.documents, loaded.bytes, loaded.elapsed);
    Ok(())
}
