//! Which collections a file or a folder holds, by the names that `mongodump` gives to files.
//!
//! ```text
//! dump/shop/orders.bson            the documents of shop.orders; .bson.gz if they are compressed
//! dump/shop/orders.metadata.json   what the collection is; .metadata.json.gz beside .bson.gz
//! dump/shop/recent.metadata.json   a view: it has no documents
//! dump/shop/system.buckets.t.bson  the buckets of the time series shop.t
//! ```
//!
//! Names are percent-encoded where a file cannot have them, and those too long for a file are cut.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::input::{DataFile, unreadable};
use super::metadata::Metadata;
use crate::{CollectionKind, ExtractError, Namespace};

const DATA: [&str; 2] = [".bson", ".bson.gz"];
const METADATA: [&str; 2] = [".metadata.json", ".metadata.json.gz"];
/// What the name of a file with the buckets of a time series begins with.
const BUCKETS: &str = "system.buckets.";
/// The length of encoded names that were cut.
const CUT_NAME_BYTES: usize = 238;

/// The collections of a dump.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// As the user wrote it.
    address: String,
    is_file: bool,
    collections: BTreeMap<Namespace, Files>,
}

/// The files of a collection.
#[derive(Clone, Debug, Default)]
struct Files {
    /// More than one if it was dumped twice, compressed and plain.
    data: Vec<PathBuf>,
    metadata: Option<PathBuf>,
    /// Whether the data are buckets of a time series.
    buckets: bool,
}

/// Whether a file has documents in it, by its name.
pub(super) fn is_data(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    stem(&name, DATA).is_some()
}

/// A file's name without any of these ends.
fn stem<'n>(name: &'n str, ends: [&str; 2]) -> Option<&'n str> {
    ends.iter().find_map(|end| name.strip_suffix(end)).filter(|stem| !stem.is_empty())
}

impl Layout {
    /// Looks at a file and its metadata, or into a folder and the folders in it.
    pub(super) fn of(path: &Path) -> Result<Layout, ExtractError> {
        let whole = std::path::absolute(path).map_err(unreadable(path))?;
        let is_file = !fs::metadata(path).map_err(unreadable(path))?.is_dir();
        let mut layout =
            Layout { address: format!("file:{}", path.display()), is_file, collections: BTreeMap::new() };
        if is_file {
            layout.add_file(path, &database_of(whole.parent()))?;
            return Ok(layout);
        }
        layout.add_folder(path, &database_of(Some(&whole)))?;
        for folder in entries(path)?.into_iter().filter(|entry| entry.is_dir()) {
            layout.add_folder(&folder, &database_of(Some(&folder)))?;
        }
        Ok(layout)
    }

    /// One file of documents, and what stands beside it.
    fn add_file(&mut self, path: &Path, database: &str) -> Result<(), ExtractError> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let own = stem(&name, DATA).unwrap_or(&name);
        let of_collection = own.strip_prefix(BUCKETS).unwrap_or(own);
        self.add(path, &name, database)?;
        for end in METADATA {
            let beside = path.with_file_name(format!("{of_collection}{end}"));
            if beside.is_file() {
                self.add(&beside, &format!("{of_collection}{end}"), database)?;
            }
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path, database: &str) -> Result<(), ExtractError> {
        for path in entries(folder)?.into_iter().filter(|path| !path.is_dir()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // Users and roles of a database.
            if !name.starts_with('$') {
                self.add(&path, &name, database)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, name: &str, database: &str) -> Result<(), ExtractError> {
        let (stem, is_data) = match (stem(name, DATA), stem(name, METADATA)) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => return Ok(()),
        };
        let of_collection = stem.strip_prefix(BUCKETS).unwrap_or(stem);
        let mut collection = percent_decode_str(of_collection).decode_utf8_lossy().into_owned();
        if stem.len() == CUT_NAME_BYTES {
            for beside in METADATA.map(|end| path.with_file_name(format!("{of_collection}{end}"))) {
                if beside.is_file() {
                    collection = Metadata::read(&beside)?.name.unwrap_or(collection);
                }
            }
        }
        let files = self.collections.entry(Namespace::new(database, collection)).or_default();
        if is_data {
            files.buckets |= stem.starts_with(BUCKETS);
            files.data.push(path.to_owned());
        } else {
            files.metadata = Some(path.to_owned());
        }
        Ok(())
    }

    /// The same with this name for the collection of a single file.
    pub(super) fn named(mut self, collection: &str) -> Layout {
        if self.is_file
            && let Some((namespace, files)) = self.collections.pop_first()
        {
            self.collections.insert(Namespace::new(namespace.database, collection), files);
        }
        self
    }

    pub(super) fn collections(&self) -> impl Iterator<Item = &Namespace> {
        self.collections.keys()
    }

    pub(super) fn single(&self) -> Option<&Namespace> {
        self.collections.keys().next().filter(|_| self.is_file)
    }

    /// The collection of this name, or of this database and name.
    pub(super) fn find(&self, name: &str) -> Result<Namespace, ExtractError> {
        let mut found = self.collections.keys().filter(|known| known.collection == name);
        match (found.next(), found.next()) {
            (Some(one), None) => return Ok(one.clone()),
            (Some(one), Some(other)) => {
                return Err(ExtractError::Dump {
                    path: self.address.clone(),
                    reason: format!("has several collections of the name {name}: say {one} or {other}"),
                });
            }
            (None, _) => {}
        }
        if let Some(known) = self.collections.keys().find(|known| known.to_string() == name) {
            return Ok(known.clone());
        }
        let database = self.collections.keys().next().map(|known| known.database.clone());
        let wanted = Namespace::new(database.unwrap_or_default(), name);
        Err(self.missing(&name.parse().unwrap_or(wanted)))
    }

    /// The documents of a collection.
    pub(super) fn file(&self, namespace: &Namespace) -> Result<DataFile, ExtractError> {
        let files = self.files(namespace)?;
        match files.data.as_slice() {
            [one] => Ok(DataFile::new(one)),
            [] => Err(self.unusable(namespace, "has no documents in it, only metadata: dump it again")),
            [one, other, ..] => {
                let both = format!("is there twice, as {} and {}", one.display(), other.display());
                Err(self.unusable(namespace, &format!("{both}: name one of the files")))
            }
        }
    }

    /// What is said about a collection.
    ///
    /// # Errors
    /// [`ExtractError::Dump`] if it is something that a dump has no documents of.
    pub(super) fn metadata(&self, namespace: &Namespace) -> Result<Metadata, ExtractError> {
        let files = self.files(namespace)?;
        let metadata = files.metadata.as_deref().map(Metadata::read).transpose()?.unwrap_or_default();
        if let Some(view_on) = metadata.view_on.as_ref().filter(|_| files.data.is_empty()) {
            let reason = format!(
                "is a view, of which a dump has no documents: copy {view_on}, or dump it with --viewsAsCollections"
            );
            return Err(self.unusable(namespace, &reason));
        }
        if files.buckets || metadata.is_time_series {
            let reason = "is a time series, of which a dump has buckets and no documents: restore it with mongorestore, \
                          and copy it from there";
            return Err(self.unusable(namespace, reason));
        }
        Ok(metadata)
    }

    /// What a collection is, as far as its metadata and the names of its files tell.
    pub(super) fn kind(&self, namespace: &Namespace) -> Result<CollectionKind, ExtractError> {
        let files = self.files(namespace)?;
        let metadata = files.metadata.as_deref().map(Metadata::read).transpose()?.unwrap_or_default();
        Ok(match () {
            () if files.buckets || metadata.is_time_series => CollectionKind::TimeSeries,
            () if metadata.view_on.is_some() && files.data.is_empty() => CollectionKind::View,
            () if metadata.capped => CollectionKind::Capped,
            () => CollectionKind::Collection,
        })
    }

    fn files(&self, namespace: &Namespace) -> Result<&Files, ExtractError> {
        self.collections.get(namespace).ok_or_else(|| self.missing(namespace))
    }

    fn missing(&self, namespace: &Namespace) -> ExtractError {
        let of_database = |known: &&Namespace| known.database == namespace.database;
        let mut known: Vec<String> =
            self.collections.keys().filter(of_database).map(|known| known.collection.clone()).collect();
        if known.is_empty() || known.len() < self.collections.len() {
            known = self.collections.keys().map(ToString::to_string).collect();
        }
        ExtractError::NoSuchCollection { address: self.address.clone(), namespace: namespace.clone(), known }
    }

    fn unusable(&self, namespace: &Namespace, reason: &str) -> ExtractError {
        ExtractError::Dump { path: format!("{namespace} at {}", self.address), reason: reason.to_owned() }
    }
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ExtractError> {
    let failed = unreadable(folder);
    let listing = fs::read_dir(folder).map_err(&failed)?;
    let mut entries: Vec<PathBuf> =
        listing.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    entries.sort();
    Ok(entries)
}

/// The database that a folder is of.
fn database_of(folder: Option<&Path>) -> String {
    let name = folder.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "dump".to_owned())
}
