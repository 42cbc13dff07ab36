//! Puts generated documents into MongoDB as fast as it takes them.
//!
//! Each `insert` command is put together as bytes, so that neither a document nor a serializer stands between the
//! generator and the socket; several commands are under way at once. What the documents hold is known to
//! [`shape`](mod@super::shape).

use std::ops::Range;
use std::time::{Duration, Instant};

use bson::RawDocumentBuf;
use mongodb::Database;
use tokio::task::JoinSet;

use super::bson_writer::{DocumentWriter, decimal};
use super::shape::Shape;
use crate::error::{Error, Result};

/// Bytes of documents in one command; MongoDB takes 16 MiB, and smaller ones keep both sides busy.
const COMMAND_BYTES: usize = 4 << 20;
/// Documents in one command; MongoDB takes 100,000.
const COMMAND_DOCUMENTS: u64 = 10_000;
/// Commands under way at once.
const PARALLEL: usize = 3;

/// What was put in, and how fast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    /// Number of documents.
    pub documents: u64,
    /// Their BSON.
    pub bytes: u64,
    /// From the first command to the last answer.
    pub elapsed: Duration,
}

/// Inserts the documents of these numbers into a collection, in no order.
pub async fn generate(
    database: &Database,
    collection: &str,
    shape: Shape,
    seed: u64,
    numbers: Range<u64>,
) -> Result<Loaded> {
    let begun = Instant::now();
    let mut loaded = Loaded::default();
    let mut under_way: JoinSet<Result<Inserted>> = JoinSet::new();
    let mut next = numbers.start;
    while next < numbers.end || !under_way.is_empty() {
        if next < numbers.end && under_way.len() < PARALLEL {
            let first = next;
            let (command, size) = build(collection, |bytes| {
                shape.write(seed, next, bytes);
                next += 1;
                next < numbers.end && next - first < COMMAND_DOCUMENTS
            })?;
            under_way.spawn(insert(database.clone(), command, next - first, size));
        } else if let Some(done) = under_way.join_next().await {
            let done = done.map_err(|error| Error::Server(format!("an insert task panicked: {error}")))??;
            loaded.documents += done.documents;
            loaded.bytes += done.bytes;
        }
    }
    loaded.elapsed = begun.elapsed();
    Ok(loaded)
}

/// Inserts finished documents into a collection, in their order.
pub async fn insert_documents(
    database: &Database,
    collection: &str,
    documents: impl IntoIterator<Item = RawDocumentBuf>,
) -> Result<Loaded> {
    let begun = Instant::now();
    let mut loaded = Loaded::default();
    let mut documents = documents.into_iter().peekable();
    while documents.peek().is_some() {
        let mut count = 0;
        let (command, size) = build(collection, |bytes| {
            if let Some(document) = documents.next() {
                bytes.extend_from_slice(document.as_bytes());
                count += 1;
            }
            documents.peek().is_some() && count < COMMAND_DOCUMENTS
        })?;
        let done = insert(database.clone(), command, count, size).await?;
        loaded.documents += done.documents;
        loaded.bytes += done.bytes;
    }
    loaded.elapsed = begun.elapsed();
    Ok(loaded)
}

/// What one command put in.
struct Inserted {
    documents: u64,
    bytes: u64,
}

/// An `insert` command, and the size of its documents. `append` appends one document and says whether there
/// is another one for this command.
fn build(collection: &str, mut append: impl FnMut(&mut Vec<u8>) -> bool) -> Result<(RawDocumentBuf, u64)> {
    let mut bytes = Vec::with_capacity(COMMAND_BYTES + (COMMAND_BYTES >> 2));
    let mut command = DocumentWriter::begin(&mut bytes);
    command.string("insert", collection);
    command.bool("ordered", false);
    // The documents must be there, not safe: whoever loads test data can load it again.
    command.document("writeConcern", |concern| concern.int32("w", 1));
    let mut size = 0;
    command.raw_array("documents", |array| {
        let mut number = 0;
        loop {
            let mut more = false;
            let name = &mut [0; 20];
            size += array.appended_document(decimal(number, name), |bytes| more = append(bytes));
            number += 1;
            if !more || size >= COMMAND_BYTES {
                break;
            }
        }
    });
    command.end();
    let command = RawDocumentBuf::from_bytes(bytes)
        .map_err(|error| Error::Malformed(format!("the insert command is not BSON: {error}")))?;
    Ok((command, u64::try_from(size).unwrap_or(u64::MAX)))
}

async fn insert(database: Database, command: RawDocumentBuf, documents: u64, bytes: u64) -> Result<Inserted> {
    let reply = database.run_raw_command(command).await.map_err(Error::mongodb("insert test documents"))?;
    // Refused documents are not an error of the command.
    let inserted = reply.get_i32("n").ok().and_then(|count| u64::try_from(count).ok());
    if inserted != Some(documents) {
        // One refusal says enough; the reply has one for each document.
        let refusals =
            reply.get_array("writeErrors").ok().and_then(|refusals| refusals.first()?.as_document());
        let why =
            refusals.and_then(|refusal| refusal.get_str("errmsg").ok()).unwrap_or("it does not say why");
        let taken = inserted.unwrap_or(0);
        return Err(Error::Server(format!("MongoDB took {taken} of {documents} documents: {why}")));
    }
    Ok(Inserted { documents, bytes })
}
