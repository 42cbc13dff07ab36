//! Writes files as `mongodump` does: documents back to back in `.bson`, what a collection is in `.metadata.json`.
//!
//! The names and the contents of the files follow `mongodump/prepare.go` and `metadata_dump.go` of the MongoDB tools: a view
//! has metadata alone, a time series the documents of its buckets.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use bson::{Bson, Document, RawDocumentBuf, doc};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use mongodb::Database;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Writes documents to a file, compressed if its name ends in `.gz`. Folders are made. Blocks.
pub fn write<D: AsRef<[u8]>>(path: &Path, documents: impl IntoIterator<Item = D>) -> Result<()> {
    let mut file = create(path)?;
    for document in documents {
        file.write_all(document.as_ref()).map_err(Error::path("write", path))?;
    }
    file.finish().map_err(Error::path("write", path))
}

/// Dumps a collection into a folder, below a folder of the name of its database. Gives the path of the documents, or of
/// the metadata if it is a view.
pub async fn collection(database: &Database, name: &str, folder: &Path, gzip: bool) -> Result<PathBuf> {
    let end = if gzip { ".gz" } else { "" };
    let folder = folder.join(database.name());
    let path = |name: &str, kind: &str| folder.join(format!("{}{kind}{end}", escaped(name)));
    let failed = || Error::mongodb(format!("dump {}.{name}", database.name()));
    let mut listed = database.list_collections().filter(doc! { "name": name }).await.map_err(failed())?;
    let info = listed
        .try_next()
        .await
        .map_err(failed())?
        .ok_or_else(|| Error::Malformed(format!("there is no collection {}.{name}", database.name())))?;
    let options = bson::serialize_to_document(&info.options)
        .map_err(|error| Error::Malformed(format!("the options of {name} are no document: {error}")))?;
    let uuid =
        info.info.uuid.as_ref().map(|uuid| uuid.bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let (is_view, is_time_series) = (options.contains_key("viewOn"), options.contains_key("timeseries"));
    let metadata = path(name, ".metadata.json");
    write(&metadata, [metadata_of(name, options, uuid).to_string()])?;
    if is_view {
        return Ok(metadata);
    }
    let stored = if is_time_series { format!("system.buckets.{name}") } else { name.to_owned() };
    let data = path(&stored, ".bson");
    let mut file = create(&data)?;
    let mut cursor = database.collection::<RawDocumentBuf>(&stored).find(doc! {}).await.map_err(failed())?;
    while cursor.advance().await.map_err(failed())? {
        file.write_all(cursor.current().as_bytes()).map_err(Error::path("write", &data))?;
    }
    file.finish().map_err(Error::path("write", &data))?;
    Ok(data)
}

/// The content of `.metadata.json`. Blocks nothing.
fn metadata_of(name: &str, options: Document, uuid: Option<String>) -> Value {
    let mut metadata = json!({ "indexes": [], "collectionName": name, "type": "collection" });
    if options.contains_key("viewOn") {
        metadata["type"] = "view".into();
    } else if options.contains_key("timeseries") {
        metadata["type"] = "timeseries".into();
    }
    if !options.is_empty() {
        metadata["options"] = extended_json(Bson::Document(options));
    }
    if let Some(uuid) = uuid {
        metadata["uuid"] = uuid.into();
    }
    metadata
}

/// Canonical Extended JSON, of what options can hold.
fn extended_json(value: Bson) -> Value {
    match value {
        Bson::Document(fields) => {
            fields.into_iter().map(|(name, value)| (name, extended_json(value))).collect()
        }
        Bson::Array(values) => values.into_iter().map(extended_json).collect(),
        Bson::Int32(number) => json!({ "$numberInt": number.to_string() }),
        Bson::Int64(number) => json!({ "$numberLong": number.to_string() }),
        Bson::Double(number) => json!({ "$numberDouble": number.to_string() }),
        Bson::Boolean(value) => value.into(),
        Bson::String(text) => text.into(),
        _ => Value::Null,
    }
}

/// A name as that of a file: what paths and Windows give a meaning to is percent-encoded.
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A file being written.
enum Output {
    Plain(BufWriter<File>),
    Compressed(GzEncoder<BufWriter<File>>),
}

impl Output {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Output::Plain(file) => file.write_all(bytes),
            Output::Compressed(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Output::Plain(mut file) => file.flush(),
            Output::Compressed(file) => file.finish()?.flush(),
        }
    }
}

fn create(path: &Path) -> Result<Output> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::path("make", folder))?;
    }
    let file = BufWriter::new(File::create(path).map_err(Error::path("create", path))?);
    Ok(match path.extension().is_some_and(|end| end == "gz") {
        true => Output::Compressed(GzEncoder::new(file, Compression::fast())),
        false => Output::Plain(file),
    })
}
