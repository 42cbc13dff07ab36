//! The BSON corpus of MongoDB's drivers, where it is present beside the project.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Result};

/// The files of the corpus in the order of their names, each as its stem and its JSON; none where the corpus is not present,
/// which is said on standard error.
///
/// # Errors
/// If a file cannot be read, or is no JSON.
pub fn bson_corpus() -> Result<Vec<(String, Value)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bson-corpus");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("the BSON corpus is not present at {}: nothing to check", folder.display());
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read(&path).map_err(Error::path("read", &path))?;
        let json = serde_json::from_slice(&text).map_err(|error| std::io::Error::other(error.to_string()));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, json.map_err(Error::path("read", &path))?))
    };
    files.into_iter().map(read).collect()
}
