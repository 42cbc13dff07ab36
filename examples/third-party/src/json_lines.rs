//! A source: a folder in which `NAME.jsonl` is the collection NAME, and each line a document in Extended JSON.
//!
//! What a source needs is little: say what there is, give a sample, and read it into the pool's memory batch by batch.
//! Failures say by their kind what helps.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};

use bson::RawDocumentBuf;
use zenith_engine::Namespace;
use zenith_engine::arrow::extended_json::parse_document;
use zenith_engine::extract::source::{
    CollectionInfo, CollectionKind, CollectionSize, DocumentReader, ReadOptions, SourceInfo, Topology,
};
use zenith_engine::extract::{DocumentBatch, ExtractError, FailureKind, Partition};

type Result<T> = std::result::Result<T, ExtractError>;

/// A folder of collections.
#[derive(Clone, Debug)]
pub struct JsonLines {
    folder: PathBuf,
}

impl JsonLines {
    /// The collections in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> JsonLines {
        JsonLines { folder: folder.into() }
    }

    fn documents(&self, namespace: &Namespace) -> Result<Documents> {
        let path = self.folder.join(format!("{}.jsonl", namespace.collection));
        let file = File::open(&path).map_err(|error| {
            let message = format!(
                "cannot open the collection {namespace} at {}: check folder and name",
                path.display()
            );
            ExtractError::caused(FailureKind::Input, message, error)
        })?;
        Ok(Documents { path, lines: BufReader::new(file).lines(), number: 0 })
    }
}

/// The documents of one file, line by line.
struct Documents {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    number: u64,
}

impl Iterator for Documents {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(document(line, &self.path, self.number))
    }
}

fn document(line: io::Result<String>, path: &Path, number: u64) -> Result<RawDocumentBuf> {
    let at = || format!("line {number} of {}", path.display());
    let line = line.map_err(|error| {
        ExtractError::caused(FailureKind::Permanent, format!("cannot read {}", at()), error)
    })?;
    let document = parse_document(&line).map_err(|error| {
        let message = format!("{} is no document in Extended JSON: correct it", at());
        ExtractError::caused(FailureKind::Input, message, error)
    })?;
    RawDocumentBuf::try_from(&document).map_err(|error| {
        ExtractError::caused(FailureKind::Input, format!("{} is no document of BSON", at()), error)
    })
}

impl zenith_engine::Source for JsonLines {
    type Reader = Reader;

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo> {
        let mut size = CollectionSize { documents: 0, bytes: 0 };
        for document in self.documents(namespace)? {
            size.documents += 1;
            size.bytes += document?.as_bytes().len() as u64;
        }
        Ok(SourceInfo {
            server_version: String::new(),
            topology: Topology::Files,
            cluster_time: None,
            collection: CollectionInfo {
                kind: CollectionKind::Collection,
                size: Some(size),
                uuid: None,
                pre_and_post_images: false,
            },
        })
    }

    /// Evenly from the whole file, with both ends: fields that only new documents have are among them.
    async fn sample(&self, namespace: &Namespace, documents: usize) -> Result<Vec<RawDocumentBuf>> {
        let all = self.documents(namespace)?.collect::<Result<Vec<_>>>()?;
        let wanted = documents.min(all.len());
        let last = all.len().saturating_sub(1);
        let place = |number: usize| if wanted > 1 { number * last / (wanted - 1) } else { 0 };
        Ok((0..wanted).map(|number| all[place(number)].clone()).collect())
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<Reader> {
        Ok(Reader { documents: self.documents(&partition.namespace)?, options, next: None })
    }
}

/// Reads a file from beginning to end.
pub struct Reader {
    documents: Documents,
    options: ReadOptions,
    /// A document that the batch before had no room for.
    next: Option<RawDocumentBuf>,
}

impl DocumentReader for Reader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>> {
        let mut next = match self.next.take() {
            Some(document) => Some(document),
            None => self.documents.next().transpose()?,
        };
        let Some(first) = &next else { return Ok(None) };
        // Memory first: what is read waits here while the pool is empty.
        let size = self.options.batch_bytes.max(first.as_bytes().len());
        let mut permit = self.options.reply_budget.reserve(size).await?;
        let mut buffer = permit.allocate(size)?;
        let mut used = 0;
        while let Some(document) = next.take() {
            let bytes = document.as_bytes();
            let Some(place) = buffer.get_mut(used..used + bytes.len()) else {
                self.next = Some(document);
                break;
            };
            place.copy_from_slice(bytes);
            used += bytes.len();
            next = self.documents.next().transpose()?;
        }
        DocumentBatch::of_documents(buffer, used, permit).map(Some)
    }
}
