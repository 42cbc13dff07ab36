//! Copies a collection and compares what ClickHouse gives back with what MongoDB holds.

use std::collections::BTreeMap;

use bson::{Bson, Document, RawDocumentBuf};
use mongodb::Collection;
use zenith_engine::arrow::{equal, extended_json, rebuild};
use zenith_engine::transport::Sink;
use zenith_engine::{
    ClickHouseSink, ConnectionOptions, EngineError, MongoSource, Namespace, Pipeline, Pool, ReloadOptions,
    ReloadPlan, Summary, TableOptions, Target,
};
use zenith_testkit::{TestDatabases, TestServers, load};

/// A pair of databases of its own, and ways to copy between them.
pub struct Bench {
    pub databases: TestDatabases,
    /// Whether the sinks speak the native protocol.
    pub native: bool,
    native_address: String,
}

impl Bench {
    pub async fn new(label: &str) -> Bench {
        let servers = TestServers::shared().await;
        let native_address = servers.clickhouse_native().to_owned();
        Bench { databases: servers.databases(label).await.unwrap(), native: false, native_address }
    }

    pub fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.databases.mongodb.collection(name)
    }

    /// Inserts documents as they are, byte for byte.
    pub async fn fill(&self, collection: &str, documents: impl IntoIterator<Item = RawDocumentBuf>) {
        load::insert_documents(&self.databases.mongodb, collection, documents).await.unwrap();
    }

    pub fn sink(&self, pool: Option<Pool>) -> ClickHouseSink {
        let address = match self.native {
            true => format!("clickhouse://{}/{}", self.native_address, self.databases.name),
            false => self.databases.clickhouse.url(),
        };
        let target = Target::parse(&address).unwrap();
        ClickHouseSink::new(target, pool, ConnectionOptions::default()).unwrap()
    }

    pub async fn pipeline(
        &self,
        collection: &str,
        options: ReloadOptions,
    ) -> Pipeline<MongoSource, ClickHouseSink> {
        let pool = Pool::new(options.memory).unwrap();
        Pipeline::builder()
            .source(MongoSource::connect(&self.databases.mongodb_uri).await.unwrap())
            .sink(self.sink(Some(pool.clone())))
            .pool(pool)
            .namespace(Namespace::new(&self.databases.name, collection))
            .options(options)
            .build()
            .unwrap()
    }

    pub async fn copy(&self, collection: &str, options: ReloadOptions) -> (ReloadPlan, Summary) {
        let pipeline = self.pipeline(collection, options).await;
        let mut plan = pipeline.plan().await.unwrap();
        let summary = pipeline.execute(&plan).await.unwrap_or_else(|error| panic!("{collection}: {error:?}"));
        plan.schema = summary.schema.clone();
        (plan, summary)
    }

    pub async fn try_copy(&self, collection: &str, options: ReloadOptions) -> Result<Summary, EngineError> {
        self.pipeline(collection, options).await.run().await
    }

    /// Copies, reads back, rebuilds, and compares every document.
    pub async fn round_trip(&self, collection: &str, options: ReloadOptions) -> (ReloadPlan, Summary) {
        let keep_nulls = options.table.keep_nulls;
        let (plan, summary) = self.copy(collection, options).await;
        let expected = self.documents(collection).await;
        let rebuilt = self.rebuilt(collection, &plan).await;
        assert_eq!(rebuilt.len(), expected.len(), "{collection}: other documents than in MongoDB");
        for (id, document) in &expected {
            let there = rebuilt.get(id).unwrap_or_else(|| panic!("{collection}: {id} is missing"));
            if let Err(difference) = equal(document, there, keep_nulls) {
                panic!(
                    "{collection}: {id} differs: {difference:?}\nMongoDB    {document}\nClickHouse {there}"
                );
            }
        }
        (plan, summary)
    }

    /// The collection's documents by `_id`.
    pub async fn documents(&self, collection: &str) -> BTreeMap<String, Document> {
        let mut cursor = self.collection(collection).find(bson::doc! {}).await.unwrap();
        let mut documents = BTreeMap::new();
        while cursor.advance().await.unwrap() {
            let raw = cursor.current().to_owned();
            let document = Document::try_from(raw).unwrap();
            documents.insert(key(document.get("_id").unwrap()), document);
        }
        documents
    }

    /// The table's documents by `_id`.
    pub async fn rebuilt(&self, table: &str, plan: &ReloadPlan) -> BTreeMap<String, Document> {
        let mut documents = BTreeMap::new();
        for batch in self.sink(None).read(table).await.unwrap() {
            for row in 0..batch.num_rows() {
                let document =
                    rebuild(&plan.schema, &batch, row).unwrap_or_else(|error| panic!("{table}: {error:?}"));
                let id = key(document.get("_id").unwrap_or(&Bson::Undefined));
                assert!(documents.insert(id.clone(), document).is_none(), "{table}: {id} twice");
            }
        }
        documents
    }

    /// The tables of the database, but for that of the marks of owners.
    pub async fn tables(&self) -> Vec<String> {
        let text = self.databases.clickhouse.query("SHOW TABLES NOT LIKE 'zenith_owners'").await.unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The answer of ClickHouse, without the last line end.
    pub async fn sql(&self, statement: &str) -> String {
        self.databases
            .clickhouse
            .query(statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"))
    }

    pub async fn count(&self, table: &str) -> u64 {
        let text = self.databases.clickhouse.query(&format!("SELECT count() FROM `{table}`")).await.unwrap();
        text.trim().parse().unwrap()
    }

    pub async fn remove(self) {
        self.databases.remove().await.unwrap();
    }
}

/// `_id`s as text in which equal numbers are equal, whatever their type.
pub fn key(id: &Bson) -> String {
    match id {
        Bson::Int32(n) => format!("number {n}"),
        Bson::Int64(n) => format!("number {n}"),
        Bson::Double(n) => format!("number {n}"),
        other => {
            let document = bson::rawdoc! { "v": bson::RawBson::try_from(other.clone()).unwrap() };
            let mut text = Vec::new();
            extended_json::write_document(&mut text, document.as_bytes()).unwrap();
            String::from_utf8(text).unwrap()
        }
    }
}

/// Options that make little batches, so that a small collection needs many.
pub fn small_batches() -> ReloadOptions {
    ReloadOptions {
        table: TableOptions { batch_rows: 100, ..TableOptions::default() },
        memory: 16 << 20,
        ..ReloadOptions::default()
    }
}
