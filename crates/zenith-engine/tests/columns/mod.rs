//! What a person sees who asks the tables by SQL, and knows nothing of what did not fit.

mod array_elements;
mod binaries;
mod data_keys;
mod dates;
mod deviation;
mod kept;
mod keys;
mod later_keys;
mod lone_values;
mod numbers;
mod several_types;
mod shape;
mod sparse;
mod stable;
mod unseen;

use bson::{Document, RawDocumentBuf};
use futures_util::future::join_all;
use zenith_engine::{OnNewField, PipelineSettings, ReloadOptions};

use crate::harness::Bench;
use crate::incremental::Follow;

/// Documents, and what SQL says of their table.
pub struct Shown {
    name: String,
    first: Vec<Document>,
    later: Vec<Document>,
    settings: PipelineSettings,
    /// After a copy, and after a reload.
    loaded: Answers,
    /// After a copy of the first documents, and the later ones as changes.
    followed: Answers,
}

/// Expressions over all rows of the table, and their values.
type Answers = Vec<(String, String)>;

impl Shown {
    /// A collection of these documents.
    pub fn new(name: impl Into<String>, documents: impl IntoIterator<Item = Document>) -> Shown {
        Shown {
            name: name.into(),
            first: documents.into_iter().collect(),
            later: Vec::new(),
            settings: PipelineSettings::default(),
            loaded: Vec::new(),
            followed: Vec::new(),
        }
    }

    /// Later these documents come, or take the place of the first ones with their `_id`.
    pub fn later(mut self, documents: impl IntoIterator<Item = Document>) -> Shown {
        self.later.extend(documents);
        self
    }

    pub fn settings(mut self, settings: PipelineSettings) -> Shown {
        self.settings = settings;
        self
    }

    /// While it is followed, its table keeps the columns that it has.
    pub fn columns_stay(mut self) -> Shown {
        self.settings.options.on_new_field = OnNewField::Extra;
        self
    }

    pub fn sample(mut self, sample: usize) -> Shown {
        self.settings.options.sample = sample;
        self
    }

    /// An answer, whichever way the documents have come.
    pub fn says(self, expression: &str, answer: impl ToString) -> Shown {
        let answer = answer.to_string();
        self.when_loaded(expression, &answer).when_followed(expression, &answer)
    }

    /// An answer after a load of all documents.
    pub fn when_loaded(mut self, expression: &str, answer: impl ToString) -> Shown {
        self.loaded.push((expression.to_owned(), answer.to_string()));
        self
    }

    /// An answer after the later documents have come as changes.
    pub fn when_followed(mut self, expression: &str, answer: impl ToString) -> Shown {
        self.followed.push((expression.to_owned(), answer.to_string()));
        self
    }

    /// All documents, the later ones in the place of the first ones.
    fn all(&self) -> Vec<Document> {
        let is_later = |document: &&Document| {
            !self.later.iter().any(|later| later.get("_id").unwrap() == document.get("_id").unwrap())
        };
        let first = self.first.iter().filter(is_later);
        first.chain(&self.later).cloned().collect()
    }

    /// Copies over both protocols, rebuilds every document, and asks.
    async fn copy(&self) -> Vec<String> {
        let mut bench = Bench::new("shown").await;
        bench.fill("shown", self.all().iter().map(raw)).await;
        let mut wrong = Vec::new();
        for native in [false, true] {
            bench.native = native;
            let options =
                ReloadOptions { replace: true, memory: 32 << 20, ..self.settings.reload_options(32 << 20) };
            let (_, summary) = bench.round_trip("shown", options).await;
            assert_eq!(summary.dead_letters, 0, "{}", self.name);
            let way = if native { "copied over TCP" } else { "copied over HTTP" };
            wrong.extend(self.ask(&bench, "shown", &self.loaded, way).await);
        }
        bench.remove().await;
        wrong
    }

    /// Follows the first documents and the later ones, reloads, and asks after each.
    async fn follow(&self, native: bool) -> Vec<String> {
        let mut follow = Follow::new("shown", self.settings.clone()).await;
        follow.bench.native = native;
        follow.bench.fill("items", self.first.iter().map(raw)).await;
        follow.catch_up_well().await;
        follow.bench.put("items", &self.later).await;
        follow.catch_up_well().await;
        follow.assert_equal("items_current").await;
        let mut wrong = self.ask(&follow.bench, "items_current", &self.followed, "followed").await;
        follow.replicator().await.reload("items").await.unwrap();
        follow.assert_equal("items_current").await;
        wrong.extend(self.ask(&follow.bench, "items_current", &self.loaded, "reloaded").await);
        follow.bench.remove().await;
        wrong
    }

    async fn ask(&self, bench: &Bench, table: &str, answers: &Answers, way: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (expression, answer) in answers {
            let sql = format!("SELECT {expression} FROM {table} FORMAT TSVRaw");
            let shown = match bench.databases.clickhouse.query(&sql).await {
                Ok(shown) => shown,
                Err(error) => error.to_string(),
            };
            if shown != *answer {
                wrong.push(format!("{}, {way}: {expression} is {shown} and not {answer}", self.name));
            }
        }
        wrong
    }
}

impl Bench {
    /// Puts documents into a collection, in the place of those with their `_id`.
    pub async fn put(&self, collection: &str, documents: &[Document]) {
        let collection = self.databases.mongodb.collection::<Document>(collection);
        for document in documents {
            let id = bson::doc! { "_id": document.get("_id").unwrap() };
            collection.replace_one(id, document).upsert(true).await.unwrap();
        }
    }
}

pub fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// Copies each over both protocols.
pub async fn copied(all: &[Shown]) {
    right(join_all(all.iter().map(Shown::copy)).await);
}

/// Follows and reloads each, every other one over the native protocol.
pub async fn followed(all: &[Shown]) {
    let each = all.iter().enumerate().map(|(n, shown)| shown.follow(n % 2 == 1));
    right(join_all(each).await);
}

fn right(wrong: Vec<Vec<String>>) {
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
