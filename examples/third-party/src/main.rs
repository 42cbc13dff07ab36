//! Copies a collection of JSON lines into a folder of Arrow files.

use std::env;
use std::error::Error;

use zenith_engine::{Namespace, Pipeline, Pool};
use zenith_third_party::{ArrowFolder, JsonLines};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, collection, target] = arguments.as_slice() else {
        return Err("usage: zenith-third-party FOLDER COLLECTION TARGET_FOLDER".into());
    };
    let summary = Pipeline::builder()
        .source(JsonLines::new(source))
        .sink(ArrowFolder::new(target))
        .pool(Pool::new(64 << 20)?)
        .namespace(Namespace::new("files", collection))
        .build()?
        .run()
        .await?;
    println!("{} rows in {} inserts into {}", summary.rows, summary.inserts, summary.table);
    Ok(())
}
