//! The collections of a source that patterns mean, by name alone: none of them is read.

use zenith_engine::extract::CollectionKind;
use zenith_engine::{EngineError, FileSource, MongoSource, Namespace, Source};

use super::patterns::Patterns;

/// Something that has several collections.
pub trait Catalogue: Source + Clone {
    /// The database that names without one are of.
    fn database(&self) -> Option<&str>;

    /// All there is of what the patterns take, without the collections of the system; also what others leave out.
    fn list(&self, patterns: &Patterns) -> impl Future<Output = Result<Vec<Found>, EngineError>> + Send;

    /// How much there is of a collection, for their order alone.
    fn bytes(&self, namespace: &Namespace) -> impl Future<Output = Option<u64>> + Send;

    /// Why time series are left out, if they are: of a dump there are only buckets.
    fn leaves_series_out(&self) -> Option<&'static str>;

    /// The same source for one collection of many: what is learned about that is forgotten with it.
    #[must_use]
    fn apart(&self) -> Self;
}

/// A collection, and what it is.
pub type Found = (Namespace, CollectionKind);

/// What the patterns mean: collections, and what is left out with the reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meant {
    /// Those that are meant.
    pub collections: Vec<Namespace>,
    /// Those that the patterns match and that cannot be meant, with the reason.
    pub left_out: Vec<(Namespace, &'static str)>,
    /// What is wrong if a pattern takes nothing, or nothing is left, in a sentence.
    pub idle: Option<String>,
}

impl Meant {
    /// Sorts what there is. A view is taken only by its name, and `series` says why time series are left out, if they are.
    pub fn of(found: Vec<Found>, patterns: &Patterns, series: Option<&'static str>) -> Meant {
        let mut meant = Meant::default();
        let there: Vec<Namespace> = found.iter().map(|(namespace, _)| namespace.clone()).collect();
        for (namespace, kind) in found.into_iter().filter(|(namespace, _)| patterns.has(namespace)) {
            let reason = match kind {
                CollectionKind::View if !patterns.names(&namespace) => Some("it is a view"),
                CollectionKind::TimeSeries if !patterns.names(&namespace) => series,
                _ => None,
            };
            match reason {
                Some(reason) => meant.left_out.push((namespace, reason)),
                None => meant.collections.push(namespace),
            }
        }
        meant.idle = patterns.idle(&there).or_else(|| match meant.left_out.first() {
            Some((name, reason)) if meant.collections.is_empty() => {
                Some(format!("nothing is left of what the patterns match: {name} is left out, as {reason}"))
            }
            None if meant.collections.is_empty() => {
                Some("the patterns that leave out leave nothing of what the others match".to_owned())
            }
            _ => None,
        });
        meant
    }
}

/// What is in a database by name, and whether it tells of its changes: views and time series do not.
pub async fn names(source: &MongoSource, database: &str) -> Result<Vec<(String, bool)>, EngineError> {
    let found = source.collections(database).await?.into_iter();
    Ok(found.map(|(name, kind)| (name, tells_changes(kind))).collect())
}

fn tells_changes(kind: CollectionKind) -> bool {
    matches!(kind, CollectionKind::Collection | CollectionKind::Capped)
}

impl Catalogue for MongoSource {
    fn database(&self) -> Option<&str> {
        self.default_database()
    }

    async fn list(&self, patterns: &Patterns) -> Result<Vec<Found>, EngineError> {
        let mut databases = Vec::new();
        let mut known = None;
        for database in patterns.databases() {
            if !super::patterns::is_pattern(database) {
                databases.push(database.to_owned());
                continue;
            }
            if known.is_none() {
                known = Some(self.databases().await?);
            }
            databases.extend(known.iter().flatten().cloned());
        }
        databases.sort_unstable();
        databases.dedup();
        let mut found = Vec::new();
        for database in databases {
            let there = self.collections(&database).await?.into_iter();
            let there = there.map(|(name, kind)| (Namespace::new(&database, name), kind));
            found.extend(there.filter(|(namespace, _)| patterns.take(namespace)));
        }
        Ok(found)
    }

    async fn bytes(&self, namespace: &Namespace) -> Option<u64> {
        self.size(namespace).await.map(|size| size.bytes)
    }

    fn leaves_series_out(&self) -> Option<&'static str> {
        None
    }

    fn apart(&self) -> MongoSource {
        self.clone()
    }
}

impl Catalogue for FileSource {
    fn database(&self) -> Option<&str> {
        let mut databases = self.collections().map(|known| known.database.as_str());
        let first = databases.next()?;
        // Those of several databases have to be told apart.
        databases.all(|database| database == first).then_some(first)
    }

    async fn list(&self, patterns: &Patterns) -> Result<Vec<Found>, EngineError> {
        let meant = self.collections().filter(|known| patterns.take(known));
        let meant = meant.filter(|known| !known.collection.starts_with("system.") || patterns.names(known));
        meant.map(|known| Ok((known.clone(), self.kind(known)?))).collect()
    }

    async fn bytes(&self, namespace: &Namespace) -> Option<u64> {
        self.file_bytes(namespace)
    }

    fn leaves_series_out(&self) -> Option<&'static str> {
        Some("it is a time series, of which a dump has only buckets")
    }

    fn apart(&self) -> FileSource {
        FileSource::apart(self)
    }
}
