//! A sink of one's own: a folder in which a table is a folder of Arrow IPC files, one for each insert.
//!
//! `ZENITH_SOURCE=mongodb://…/DB ZENITH_TARGET=/some/folder cargo run -p zenith-engine --example own_sink COLLECTION`,
//! and with `ZENITH_TARGET=http://…/DB` the same into ClickHouse: the sink is chosen when the program runs.
//!
//! How a folder keeps the promises of [`Sink`]: a file is written aside, synced and then renamed, so it is there whole
//! or not at all; its name is the token, so a repeat lands on the first try; and a table is a symbolic link to the
//! folder of a load, which a rename puts in the place of the one before in one step.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, io};

use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, FieldRef};
use zenith_engine::transport::{
    Durable, Insert, Merging, PreflightRequest, Published, Result, ServerInfo, TableDefinition, TableInfo,
    TransportError,
};
use zenith_engine::{
    ClickHouseSink, ConnectionOptions, DynSink, MongoSource, Namespace, Pipeline, Pool, RecordBatch, Sink,
    Target,
};

/// Tables as folders of files.
struct Folder(PathBuf);

impl Folder {
    fn files(&self, table: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.0.join(table))? {
            files.extend(
                Some(entry?.path()).filter(|path| path.extension().is_some_and(|end| end == "arrow")),
            );
        }
        files.sort();
        Ok(files)
    }
}

impl Sink for Folder {
    async fn preflight(&self, _: &PreflightRequest) -> Result<ServerInfo> {
        fs::create_dir_all(&self.0).or_else(failed("create", &self.0))?;
        Ok(ServerInfo {
            version: "Arrow IPC files".into(),
            version_number: (0, 0),
            user: String::new(),
            date_range_ms: (i64::MIN, i64::MAX),
            database: self.0.display().to_string(),
            database_created: false,
            database_exists: true,
            exchanges_atomically: true,
        })
    }

    /// A folder that is there is replaced whole, so no columns of it need to be agreed with.
    async fn describe(&self, _: &str) -> Result<Option<TableInfo>> {
        Ok(None)
    }

    /// Folders that a link points to are tables by the name of the link.
    async fn tables(&self, prefix: &str) -> Result<Vec<String>> {
        let entries: Vec<_> = fs::read_dir(&self.0).or_else(failed("list", &self.0))?.flatten().collect();
        let linked: Vec<PathBuf> =
            entries.iter().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| name.starts_with(prefix) && !linked.contains(&PathBuf::from(name))).collect())
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        println!("{}:", definition.name);
        for field in definition.schema.fields() {
            println!("  {}: {}", field.name(), field.data_type());
        }
        let path = self.0.join(&definition.name);
        fs::create_dir_all(&path).or_else(failed("create", &path))
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        let path = self.0.join(&insert.table).join(format!("{}.arrow", insert.token));
        let write = || -> std::result::Result<u64, ArrowError> {
            let aside = path.with_extension("aside");
            let mut writer = FileWriter::try_new(File::create(&aside)?, insert.batch.schema_ref())?;
            writer.write(&insert.batch)?;
            writer.finish()?;
            writer.get_ref().sync_all()?;
            fs::rename(&aside, &path)?;
            Ok(fs::metadata(&path)?.len())
        };
        // Files block: the other tasks of this thread move elsewhere for as long.
        let bytes = tokio::task::block_in_place(write).or_else(failed("write", &path))?;
        let rows = u64::try_from(insert.batch.num_rows()).unwrap_or(u64::MAX);
        Ok(Durable { rows, bytes, ..Durable::default() })
    }

    async fn count(&self, table: &str) -> Result<u64> {
        let rows: usize = self.read(table).await?.iter().map(RecordBatch::num_rows).sum();
        Ok(u64::try_from(rows).unwrap_or(u64::MAX))
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        let (link, aside) = (self.0.join(table), self.0.join(format!("{table}.aside")));
        let old = fs::read_link(&link).ok();
        let swap = || -> io::Result<Published> {
            let _ = fs::remove_file(&aside);
            std::os::unix::fs::symlink(shadow, &aside)?;
            fs::rename(&aside, &link)?;
            match old {
                None => Ok(Published::Renamed),
                Some(old) if old == Path::new(shadow) => Ok(Published::Already),
                Some(old) => fs::remove_dir_all(self.0.join(old)).map(|()| Published::Replaced),
            }
        };
        swap().or_else(failed("publish", &link))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let path = self.0.join(table);
        if path.exists() { fs::remove_dir_all(&path).or_else(failed("drop", &path)) } else { Ok(()) }
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let read = || -> std::result::Result<Vec<RecordBatch>, ArrowError> {
            let mut batches = Vec::new();
            for file in self.files(table)? {
                for batch in FileReader::try_new(File::open(file)?, None)? {
                    batches.push(batch?);
                }
            }
            Ok(batches)
        };
        read().or_else(failed("read", Path::new(table)))
    }

    async fn set_merging(&self, _: &str, _: Merging) -> Result<()> {
        Ok(())
    }

    async fn truncate(&self, table: &str) -> Result<()> {
        let remove = || self.files(table)?.iter().try_for_each(fs::remove_file);
        remove().or_else(failed("empty", Path::new(table)))
    }

    async fn add_columns(&self, _: &str, _: &[FieldRef]) -> Result<()> {
        Err(TransportError::Unsupported { sink: "folder", what: "add columns" })
    }

    async fn execute(&self, _: &str) -> Result<()> {
        Err(TransportError::Unsupported { sink: "folder", what: "run statements" })
    }

    async fn query(&self, _: &str) -> Result<Vec<RecordBatch>> {
        Err(TransportError::Unsupported { sink: "folder", what: "run queries" })
    }
}

/// An error of a file as one of the sink.
fn failed<T, E: Into<ArrowError>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Result<T> {
    let what = path.display().to_string();
    move |error| Err(TransportError::Arrow { action, what, source: error.into() })
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let collection = env::args().nth(1).ok_or("usage: own_sink COLLECTION")?;
    let source = MongoSource::connect(&env::var("ZENITH_SOURCE")?).await?;
    let database = source.default_database().ok_or("ZENITH_SOURCE names no database")?.to_owned();
    let pool = Pool::new(64 << 20)?;
    let target = env::var("ZENITH_TARGET")?;
    let sink: Box<dyn DynSink> = if target.starts_with("http") {
        Box::new(ClickHouseSink::new(
            Target::parse(&target)?,
            Some(pool.clone()),
            ConnectionOptions::default(),
        )?)
    } else {
        Box::new(Folder(target.into()))
    };
    let namespace = Namespace::new(database, collection);
    let pipeline = Pipeline::builder().source(source).sink(sink).pool(pool).namespace(namespace).build()?;
    let summary = pipeline.run().await?;
    println!("{} rows in {} inserts into {}", summary.rows, summary.inserts, summary.table);
    Ok(())
}
