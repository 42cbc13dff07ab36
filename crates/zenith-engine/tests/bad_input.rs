//! What a person gets wrong: one sentence, nothing created.

use bson::rawdoc;
use zenith_engine::{
    ClickHouseSink, ConnectionOptions, EngineError, MongoSource, Namespace, Pipeline, ReloadOptions,
    TableOptions, Target,
};
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, ClickHouseUser, Credentials, MongoOptions, MongoServer, Topology,
};

use crate::harness::Bench;

/// Tries to copy, and returns the error as people see it.
async fn refused(from: &str, to: &str, namespace: Namespace, options: ReloadOptions) -> String {
    let error = attempt(from, to, namespace, options).await.unwrap_err();
    assert!(error.is_input(), "{error:?}");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert!(!text.contains("secret"), "{text}");
    text
}

async fn attempt(
    from: &str,
    to: &str,
    namespace: Namespace,
    options: ReloadOptions,
) -> Result<(), EngineError> {
    let pipeline = Pipeline::builder()
        .source(MongoSource::connect(from).await?)
        .sink(ClickHouseSink::new(Target::parse(to)?, None, ConnectionOptions::default())?)
        .namespace(namespace)
        .options(options)
        .build()?;
    pipeline.run().await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_and_names() {
    let bench = Bench::new("wrong").await;
    bench.fill("there", [rawdoc! { "_id": 1 }]).await;
    let (mongodb, clickhouse) = (bench.databases.mongodb_uri.clone(), bench.databases.clickhouse.url());
    let database = bench.databases.name.clone();
    let there = || Namespace::new(&database, "there");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let cases = [
        (format!("mongo://user:secret@127.0.0.1:{closed}"), clickhouse.clone(), there(), "mongo://user@"),
        (
            format!("mongodb://user:secret@127.0.0.1:{closed}/x"),
            clickhouse.clone(),
            there(),
            &*closed.to_string(),
        ),
        (mongodb.clone(), clickhouse.clone(), Namespace::new(&database, "absent"), "no collection"),
        (mongodb.clone(), clickhouse.clone(), Namespace::new("no_such_database", "absent"), "no database"),
        (
            mongodb.clone(),
            format!("http://u:secret@127.0.0.1:{closed}/d"),
            there(),
            "cannot connect to ClickHouse",
        ),
        (mongodb.clone(), "ftp://u:secret@127.0.0.1/d".to_owned(), there(), "http"),
        (
            mongodb.clone(),
            format!("clickhouse://u:secret@127.0.0.1:{closed}/d"),
            there(),
            "cannot connect to ClickHouse",
        ),
        (
            mongodb.clone(),
            clickhouse.replace(&database, "no_such_database"),
            there(),
            "no database no_such_database",
        ),
    ];
    for (from, to, namespace, part) in cases {
        let text = refused(&from, &to, namespace, ReloadOptions::default()).await;
        assert!(text.contains(part), "{part:?} is not in: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert!(bench.tables().await.is_empty());
    let databases = bench.databases.clickhouse.query("SHOW DATABASES LIKE 'no_such_database'").await.unwrap();
    assert_eq!(databases, "");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work() {
    let bench = Bench::new("settings").await;
    bench.fill("there", [rawdoc! { "_id": 1 }]).await;
    let there = Namespace::new(&bench.databases.name, "there");
    for options in [
        ReloadOptions { memory: 1024, ..ReloadOptions::default() },
        ReloadOptions {
            table: TableOptions { readers: Some(0), ..TableOptions::default() },
            ..ReloadOptions::default()
        },
        ReloadOptions {
            table: TableOptions { batch_rows: 0, ..TableOptions::default() },
            ..ReloadOptions::default()
        },
    ] {
        refused(&bench.databases.mongodb_uri, &bench.databases.clickhouse.url(), there.clone(), options)
            .await;
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_columns() {
    let bench = Bench::new("other_columns").await;
    bench.fill("t", (0..10).map(|n| rawdoc! { "_id": n, "a": "text", "b": n })).await;
    let clickhouse = &bench.databases.clickhouse;
    clickhouse
        .query("CREATE TABLE t (_id Int32, a Int64, gone String) ENGINE = MergeTree ORDER BY _id")
        .await
        .unwrap();
    clickhouse.query("INSERT INTO t VALUES (7, 8, 'x')").await.unwrap();
    let error = bench.try_copy("t", ReloadOptions::default()).await.unwrap_err();
    assert!(error.is_input());
    let text = error.to_string();
    for part in ["~ a: the table has Int64", "Nothing was written"] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert_eq!(bench.tables().await, ["t"]);
    assert_eq!(clickhouse.query("SELECT * FROM t").await.unwrap().trim(), "7\t8\tx");
    bench.round_trip("t", ReloadOptions { replace: true, ..ReloadOptions::default() }).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_privileges() {
    let credentials = Credentials { user: "admin".into(), password: "right".into() };
    let options = MongoOptions {
        topology: Topology::Standalone,
        credentials: Some(credentials),
        ..MongoOptions::default()
    };
    let user = |name: &str| ClickHouseUser::new(name, "right");
    let clickhouse = ClickHouseOptions { users: vec![user("writer")], ..ClickHouseOptions::default() };
    let (mongod, clickhouse) = tokio::join!(MongoServer::start(options), ClickHouseServer::start(clickhouse));
    let (mongod, clickhouse) = (mongod.unwrap(), clickhouse.unwrap());
    let admin = mongod.client().await.unwrap();
    let collection = admin.database("shop").collection::<bson::Document>("orders");
    collection.insert_one(bson::doc! { "_id": 1 }).await.unwrap();
    let create = bson::doc! { "createUser": "nobody", "pwd": "right", "roles": [{ "role": "read", "db": "elsewhere" }] };
    admin.database("admin").run_command(create).await.unwrap();
    let writer = clickhouse.client().with_user("writer", "right");
    writer.query("CREATE DATABASE d ENGINE = Atomic").await.unwrap();

    let mongo = |user: &str, password: &str| {
        format!("mongodb://{user}:{password}@127.0.0.1:{}/shop?authSource=admin", mongod.port())
    };
    let house = |user: &str, password: &str| {
        format!("http://{user}:{password}@127.0.0.1:{}/d", clickhouse.http_port())
    };
    let orders = || Namespace::new("shop", "orders");
    let good = house("writer", "right");
    let text = refused(&mongo("admin", "secret"), &good, orders(), ReloadOptions::default()).await;
    assert!(text.contains("refused to authenticate"), "{text}");
    let text = refused(&mongo("nobody", "right"), &good, orders(), ReloadOptions::default()).await;
    assert!(text.contains("does not let this user"), "{text}");
    let text =
        refused(&mongo("admin", "right"), &house("writer", "secret"), orders(), ReloadOptions::default())
            .await;
    assert!(text.to_lowercase().contains("password"), "{text}");
    assert_eq!(writer.with_database("d").query("SHOW TABLES").await.unwrap(), "");
    attempt(&mongo("admin", "right"), &good, orders(), ReloadOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_document_where_that_is_to_fail() {
    let bench = Bench::new("fail").await;
    let mut bytes = rawdoc! { "_id": 3, "s": "ab" }.into_bytes();
    let at = bytes.len() - 3;
    bytes[at] = 0xFF;
    bench.fill("t", [rawdoc! { "_id": 1, "s": "x" }, bson::RawDocumentBuf::from_bytes(bytes).unwrap()]).await;
    let options = ReloadOptions {
        table: TableOptions {
            on_bad_document: zenith_engine::OnBadDocument::Fail,
            ..TableOptions::default()
        },
        ..ReloadOptions::default()
    };
    let error = bench.try_copy("t", options).await.unwrap_err();
    assert!(matches!(&error, EngineError::BadDocument { id, .. } if id.contains('3')), "{error:?}");
    assert!(bench.tables().await.is_empty(), "the shadow table is dropped");
    bench.remove().await;
}
