//! Dumps collections as `mongodump` does: `dump URI/DATABASE FOLDER COLLECTION… [--gzip]`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use zenith_testkit::dump;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (flags, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--gzip");
    let [uri, folder, collections @ ..] = arguments.as_slice() else {
        return Err("usage: dump URI/DATABASE FOLDER COLLECTION… [--gzip]".into());
    };
    let client = zenith_testkit::services::mongod::connect(uri).await?;
    let database = client.default_database().ok_or("the address names no database")?;
    for name in collections {
        let path = dump::collection(&database, name, Path::new(folder), !flags.is_empty()).await?;
        println!("{}", path.display());
    }
    Ok(())
}
