//! A sink: a folder in which a table is a folder of Arrow IPC files, one for each insert.
//!
//! How it keeps the promises of [`Sink`]: a file is written aside, synced and then renamed, so it is there whole or not at
//! all; its name is the token, so a repeat finds it. A table is a symbolic link to the folder with its files, and a rename
//! puts the link of the loaded table in the place of the older one, in one step.
//!
//! ```text
//! orders ─▶ .data/3        .data/3/LOADING   until the table is published; names the folder that it replaces
//!                          .data/3/a.arrow   the insert with the token a
//! ```

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::ArrowError;
use zenith_engine::transport::{
    Durable, FailureKind, Insert, PreflightRequest, Published, Result, ServerInfo, TableDefinition,
    TransportError,
};
use zenith_engine::{RecordBatch, Sink};

/// The mark of a table that is not published yet.
const LOADING: &str = "LOADING";

/// A folder of tables.
#[derive(Clone, Debug)]
pub struct ArrowFolder {
    folder: PathBuf,
}

impl ArrowFolder {
    /// The tables in `folder`, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> ArrowFolder {
        ArrowFolder { folder: folder.into() }
    }

    fn link(&self, table: &str) -> PathBuf {
        self.folder.join(escaped(table))
    }

    /// The folder with the files of a table.
    fn data(&self, table: &str) -> Result<PathBuf> {
        match fs::read_link(self.link(table)) {
            Ok(data) => Ok(self.folder.join(data)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(TransportError::NoTable { table: table.to_owned() })
            }
            Err(error) => Err(failed("find the table", table)(error)),
        }
    }

    /// Makes a folder that no table has yet.
    fn new_data(&self) -> io::Result<PathBuf> {
        fs::create_dir_all(self.folder.join(".data"))?;
        let mut number = 0_u64;
        loop {
            let data = Path::new(".data").join(number.to_string());
            match fs::create_dir(self.folder.join(&data)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                made => return made.map(|()| data),
            }
        }
    }

    fn make(&self, definition: &TableDefinition) -> io::Result<()> {
        let data = self.new_data()?;
        if definition.loading {
            fs::write(self.folder.join(&data).join(LOADING), "")?;
        }
        symlink(data, self.link(&definition.name))
    }

    /// Removes what a published table has replaced, and its mark.
    fn finish(&self, data: &Path) -> io::Result<()> {
        let Some(replaced) = mark(data)? else { return Ok(()) };
        if !replaced.is_empty() {
            match fs::remove_dir_all(self.folder.join(replaced)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_file(data.join(LOADING))
    }
}

impl Sink for ArrowFolder {
    async fn preflight(&self, _: &PreflightRequest) -> Result<ServerInfo> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            let message = format!("cannot create {}: check the path and its rights", self.folder.display());
            TransportError::caused(FailureKind::Input, message, error)
        })?;
        Ok(ServerInfo {
            version: "Arrow IPC files".into(),
            version_number: (0, 0),
            user: String::new(),
            date_range_ms: (i64::MIN, i64::MAX),
            database: self.folder.display().to_string(),
            database_created: false,
            database_exists: true,
            exchanges_atomically: true,
        })
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        let name = &definition.name;
        if self.data(name).is_ok() {
            return match definition.if_not_exists {
                true => Ok(()),
                false => {
                    Err(TransportError::other(FailureKind::Permanent, format!("there is a table {name}")))
                }
            };
        }
        self.make(definition).map_err(failed("create the table", name))
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        let rows = insert.batch.num_rows() as u64;
        let path = self.data(&insert.table)?.join(format!("{}.arrow", escaped(&insert.token)));
        let table = insert.table.clone();
        let write = move || -> std::result::Result<u64, ArrowError> {
            if !path.exists() {
                let aside = path.with_extension("aside");
                let mut writer = FileWriter::try_new(File::create(&aside)?, insert.batch.schema_ref())?;
                writer.write(&insert.batch)?;
                writer.finish()?;
                writer.get_ref().sync_all()?;
                fs::rename(&aside, &path)?;
            }
            Ok(fs::metadata(&path)?.len())
        };
        let bytes = blocking(write).await?.map_err(failed("write to the table", &table))?;
        Ok(Durable { rows, bytes, ..Durable::default() })
    }

    async fn count(&self, table: &str) -> Result<u64> {
        Ok(self.read(table).await?.iter().map(|batch| batch.num_rows() as u64).sum())
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        let doing = failed("publish the table", table);
        let old = fs::read_link(self.link(table)).ok();
        let (new, published) = match (self.data(shadow), &old) {
            (Ok(new), _) => (new, if old.is_some() { Published::Replaced } else { Published::Renamed }),
            (Err(error), Some(_)) if error.is_unknown_table() => (self.data(table)?, Published::Already),
            (Err(error), _) => return Err(error),
        };
        let publish = || -> io::Result<Option<Published>> {
            if published != Published::Already {
                if mark(&new)?.is_none() {
                    return Ok(None);
                }
                // What is to be removed is written down first, so that a publication can be completed after a crash.
                fs::write(new.join(LOADING), old.unwrap_or_default().as_os_str().as_encoded_bytes())?;
                fs::rename(self.link(shadow), self.link(table))?;
            }
            self.finish(&new)?;
            Ok(Some(published))
        };
        publish().map_err(doing)?.ok_or_else(|| TransportError::Publish {
            shadow: shadow.to_owned(),
            table: table.to_owned(),
            reason: "it was not created to be loaded".to_owned(),
        })
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let data = match self.data(table) {
            Err(error) if error.is_unknown_table() => return Ok(()),
            data => data?,
        };
        let dropped = fs::remove_file(self.link(table)).and_then(|()| fs::remove_dir_all(data));
        dropped.map_err(failed("drop the table", table))
    }

    /// Not asked of a sink, but with it the suite compares rows instead of counting them.
    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let data = self.data(table)?;
        let read = move || -> std::result::Result<Vec<RecordBatch>, ArrowError> {
            let mut batches = Vec::new();
            for entry in fs::read_dir(data)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "arrow") {
                    for batch in FileReader::try_new(File::open(path)?, None)? {
                        batches.push(batch?);
                    }
                }
            }
            Ok(batches)
        };
        blocking(read).await?.map_err(failed("read the table", table))
    }
}

/// What the mark of a table says; `None` without one.
fn mark(data: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(data.join(LOADING)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// A name as one of a file, whatever is in it. None of them begins with a point.
fn escaped(name: &str) -> String {
    let each = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    });
    each.collect()
}

/// Runs what waits for a disk where it keeps nobody from running.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| TransportError::caused(FailureKind::Permanent, "a thread of the sink ended", error))
}

/// An error of a file as one of the sink. A disk that is full may be emptied, so the same call may succeed later.
fn failed<E: Into<ArrowError>>(action: &str, table: &str) -> impl FnOnce(E) -> TransportError {
    let message = format!("cannot {action} {table}: check the disk and the rights of its folder");
    move |error| {
        let error = error.into();
        let kind = match &error {
            ArrowError::IoError(_, error) if error.kind() == ErrorKind::StorageFull => FailureKind::Transient,
            _ => FailureKind::Permanent,
        };
        TransportError::caused(kind, message, error)
    }
}
