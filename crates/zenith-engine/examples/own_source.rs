//! A source of one's own: a text file, of which each line is a document `{_id: line, text: "…"}`.
//!
//! `ZENITH_TARGET=http://…/DB cargo run -p zenith-engine --example own_source FILE`
//!
//! What a source needs is little: say what there is, give a sample, divide it into parts, and read one part into the
//! pool's memory, batch by batch. Failures say by their kind what helps.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::{env, fs};

use bson::{RawBson, RawDocumentBuf, rawdoc};
use zenith_engine::extract::source::{
    CollectionInfo, CollectionKind, CollectionSize, DocumentReader, ReadOptions, SourceInfo, Topology,
};
use zenith_engine::extract::{
    DocumentBatch, ExtractError, FailureKind, IdTypes, Partition, PartitionBounds, PartitionStrategy,
};
use zenith_engine::{ClickHouseSink, ConnectionOptions, Namespace, Pipeline, Pool, Source, Target};

/// Lines of a file as documents.
struct TextFile(PathBuf);

impl TextFile {
    fn documents(&self) -> Result<Documents, ExtractError> {
        let file = fs::File::open(&self.0).map_err(|error| failed("open", &self.0, error))?;
        Ok(Documents { path: self.0.clone(), lines: BufReader::new(file).lines(), number: 0 })
    }
}

fn failed(action: &str, path: &Path, error: std::io::Error) -> ExtractError {
    let message = format!("cannot {action} {}: check the path and its rights", path.display());
    ExtractError::caused(FailureKind::Input, message, error)
}

struct Documents {
    path: PathBuf,
    lines: Lines<BufReader<fs::File>>,
    number: i64,
}

impl Iterator for Documents {
    type Item = Result<RawDocumentBuf, ExtractError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?.map_err(|error| failed("read", &self.path, error));
        self.number += 1;
        Some(line.map(|text| rawdoc! { "_id": self.number, "text": text }))
    }
}

impl Source for TextFile {
    type Reader = TextReader;

    async fn preflight(&self, _: &Namespace) -> Result<SourceInfo, ExtractError> {
        let (mut documents, mut bytes) = (0, 0);
        for document in self.documents()? {
            documents += 1;
            bytes += document?.as_bytes().len() as u64;
        }
        let size = Some(CollectionSize { documents, bytes });
        let kind = CollectionKind::Collection;
        Ok(SourceInfo {
            server_version: String::new(),
            topology: Topology::InMemory,
            cluster_time: None,
            collection: CollectionInfo { kind, size, uuid: None, pre_and_post_images: false },
        })
    }

    async fn sample(&self, _: &Namespace, documents: usize) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        self.documents()?.take(documents).collect()
    }

    async fn id_types(&self, _: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        // The sample decides.
        Ok(None)
    }

    async fn max_id(&self, _: &Namespace) -> Result<Option<RawBson>, ExtractError> {
        let last = self.documents()?.last().transpose()?;
        Ok(last.and_then(|last| last.get("_id").ok()?.map(RawBson::from)))
    }

    async fn partitions(
        &self,
        namespace: &Namespace,
        _: usize,
        _: PartitionStrategy,
    ) -> Result<Vec<Partition>, ExtractError> {
        Ok(vec![Partition { namespace: namespace.clone(), bounds: PartitionBounds::Natural }])
    }

    async fn open(&self, _: &Partition, options: ReadOptions) -> Result<TextReader, ExtractError> {
        Ok(TextReader { documents: self.documents()?, options, next: None })
    }
}

struct TextReader {
    documents: Documents,
    options: ReadOptions,
    /// A document that the batch before had no room for.
    next: Option<RawDocumentBuf>,
}

impl DocumentReader for TextReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        let first = match self.next.take() {
            Some(document) => Some(document),
            None => self.documents.next().transpose()?,
        };
        let Some(first) = first else { return Ok(None) };
        // Memory first: what is read waits here while the pool is empty.
        let size = self.options.batch_bytes.max(first.as_bytes().len());
        let mut permit = self.options.reply_budget.reserve(size).await?;
        let mut buffer = permit.allocate(size)?;
        let mut used = 0;
        let mut document = Some(first);
        while let Some(this) = document.take() {
            let bytes = this.as_bytes();
            let Some(place) = buffer.get_mut(used..used + bytes.len()) else {
                self.next = Some(this);
                break;
            };
            place.copy_from_slice(bytes);
            used += bytes.len();
            document = self.documents.next().transpose()?;
        }
        DocumentBatch::of_documents(buffer, used, permit).map(Some)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(env::args().nth(1).ok_or("usage: own_source FILE")?);
    let name = path.file_stem().ok_or("the path names no file")?.to_string_lossy().into_owned();
    let pool = Pool::new(64 << 20)?;
    let target = Target::parse(&env::var("ZENITH_TARGET")?)?;
    let summary = Pipeline::builder()
        .source(TextFile(path))
        .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default())?)
        .pool(pool)
        .namespace(Namespace::new("text", name))
        .build()?
        .run()
        .await?;
    println!("{} rows in {:.2?} into {}", summary.rows, summary.elapsed, summary.table);
    Ok(())
}
