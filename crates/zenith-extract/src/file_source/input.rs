//! The bytes of a file from one place to another, unpacked if it is compressed.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use flate2::bufread::MultiGzDecoder;

use super::parts::Span;
use crate::ExtractError;

/// Compressed bytes read at once.
const COMPRESSED_BYTES: usize = 256 * 1024;

/// A file that holds documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFile {
    pub(super) path: Arc<Path>,
    pub(super) is_compressed: bool,
}

/// What distinguishes a file from a later state of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    bytes: u64,
    written: Option<SystemTime>,
}

impl DataFile {
    pub(super) fn new(path: &Path) -> DataFile {
        DataFile { is_compressed: path.extension().is_some_and(|it| it == "gz"), path: path.into() }
    }

    /// The path as the user wrote it.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The state it is in.
    pub(super) fn state(&self) -> Result<FileState, ExtractError> {
        let found = fs::metadata(&self.path).map_err(unreadable(&self.path))?;
        if !found.is_file() {
            let reason = "is no ordinary file, and a dump is read twice: write it to a file first".to_owned();
            return Err(ExtractError::Dump { path: self.name(), reason });
        }
        Ok(FileState { bytes: found.len(), written: found.modified().ok() })
    }

    /// Its bytes within `span`, counted unpacked.
    pub(super) fn read(&self, span: Span) -> Result<Box<dyn Read + Send>, ExtractError> {
        let failed = unreadable(&self.path);
        let mut file = File::open(&self.path).map_err(&failed)?;
        let len = span.end.saturating_sub(span.start);
        if !self.is_compressed {
            file.seek(SeekFrom::Start(span.start)).map_err(failed)?;
            return Ok(Box::new(file.take(len)));
        }
        if file.metadata().map_err(&failed)?.len() == 0 {
            return Ok(Box::new(io::empty()));
        }
        let mut unpacked = MultiGzDecoder::new(BufReader::with_capacity(COMPRESSED_BYTES, file));
        io::copy(&mut (&mut unpacked).take(span.start), &mut io::sink()).map_err(failed)?;
        Ok(Box::new(unpacked.take(len)))
    }
}

/// What the operating system says about a path, in our words.
pub(super) fn unreadable(path: &Path) -> impl Fn(io::Error) -> ExtractError {
    move |source| ExtractError::File { path: path.display().to_string(), source }
}
