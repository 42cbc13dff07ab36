//! Servers start, are found again, come back after SIGKILL with their data, and demand what they are set up to demand.

use bson::{Document, doc};
use zenith_testkit::tls::Certificate;
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, ClickHouseUser, Credentials, Error, MongoOptions, MongoServer,
    ReplicaSet, TestServers, Topology,
};

#[tokio::test]
async fn shared_servers_answer_and_databases_are_separate() {
    let servers = TestServers::shared().await;
    let one = servers.databases("testkit").await.unwrap();
    let two = servers.databases("testkit").await.unwrap();
    assert_ne!(one.name, two.name);

    one.mongodb.collection::<Document>("c").insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(two.mongodb.collection::<Document>("c").count_documents(doc! {}).await.unwrap(), 0);
    let through_uri = zenith_testkit::services::mongod::connect(&one.mongodb_uri).await.unwrap();
    let default = through_uri.default_database().unwrap();
    assert_eq!(default.collection::<Document>("c").count_documents(doc! {}).await.unwrap(), 1);

    one.clickhouse.query("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a").await.unwrap();
    one.clickhouse.insert("INSERT INTO t FORMAT TabSeparated", b"1\n2\n3\n").await.unwrap();
    assert_eq!(one.clickhouse.query("SELECT sum(a) FROM t").await.unwrap(), "6");
    let engine = format!("SELECT engine FROM system.databases WHERE name = '{}'", one.name);
    assert_eq!(one.clickhouse.query(&engine).await.unwrap(), "Atomic");
    let error = two.clickhouse.query("SELECT * FROM t").await.unwrap_err();
    assert!(
        matches!(&error, Error::ClickHouse { message, .. } if message.contains("UNKNOWN_TABLE")),
        "{error}"
    );

    let native = tokio::net::TcpStream::connect(servers.clickhouse_native()).await;
    assert!(native.is_ok(), "{}: {native:?}", servers.clickhouse_native());
    one.remove().await.unwrap();
    two.remove().await.unwrap();
}

#[tokio::test]
async fn mongodb_killed_and_restarted_has_its_documents() {
    let mut server = MongoServer::start(MongoOptions { cache_mib: 256, ..Default::default() }).await.unwrap();
    let before = server.identity();
    let uri = server.uri();
    let client = server.client().await.unwrap();
    let collection = client.database("d").collection::<Document>("c");
    // Acknowledged by the majority, which for a set of one means by the journal.
    collection.insert_many((0..100).map(|number| doc! { "_id": number })).await.unwrap();

    server.kill().unwrap();
    assert!(!before.is_alive());
    server.restart().await.unwrap();
    assert_eq!(server.uri(), uri);
    let client = server.client().await.unwrap();
    let collection = client.database("d").collection::<Document>("c");
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 100);
    // Change streams need a replica set.
    collection.watch().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn clickhouse_killed_and_restarted_has_its_rows() {
    let users = vec![ClickHouseUser::new("alice", "s&<cret")];
    let mut server =
        ClickHouseServer::start(ClickHouseOptions { users, ..Default::default() }).await.unwrap();
    let before = server.identity();
    let database = server.client().create_database("d").await.unwrap();
    database.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").await.unwrap();
    database.query("INSERT INTO t SELECT number FROM numbers(1000)").await.unwrap();

    server.kill().unwrap();
    assert!(!before.is_alive());
    assert!(database.ping().await.is_err());
    server.restart().await.unwrap();
    assert_eq!(database.query("SELECT count() FROM t").await.unwrap(), "1000");

    let alice = server.client().with_user("alice", "s&<cret");
    assert_eq!(alice.query("SELECT currentUser()").await.unwrap(), "alice");
    let error = server.client().with_user("alice", "wrong").query("SELECT 1").await.unwrap_err();
    assert!(error.to_string().contains("AUTHENTICATION_FAILED"), "{error}");
}

#[tokio::test]
async fn mongodb_demands_password_and_tls() {
    let directory = std::env::temp_dir().join(format!("zenith-testkit-tls-{}", std::process::id()));
    let certificate = Certificate::create(&directory).unwrap();
    let credentials = Credentials { user: "al ice".to_owned(), password: "p@ss/w+rd".to_owned() };
    let mut server = MongoServer::start(MongoOptions {
        cache_mib: 256,
        credentials: Some(credentials),
        certificate: Some(certificate),
        ..Default::default()
    })
    .await
    .unwrap();
    // The user outlives the restart, and so does the demand.
    server.restart().await.unwrap();
    let client = server.client().await.unwrap();
    client.database("d").collection::<Document>("c").insert_one(doc! { "_id": 1 }).await.unwrap();

    let anonymous = server.uri().replace("al%20ice:p%40ss%2Fw%2Brd@", "");
    assert_ne!(anonymous, server.uri());
    let client = zenith_testkit::services::mongod::connect(&anonymous).await.unwrap();
    assert!(client.database("d").list_collection_names().await.is_err());
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn standalone_has_no_change_streams() {
    let options = MongoOptions { topology: Topology::Standalone, cache_mib: 256, ..Default::default() };
    let server = MongoServer::start(options).await.unwrap();
    let client = server.client().await.unwrap();
    let collection = client.database("d").collection::<Document>("c");
    collection.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert!(collection.watch().await.is_err());
}

#[tokio::test]
async fn replica_set_elects_another_primary() {
    let mut set = ReplicaSet::start(3).await.unwrap();
    let client = set.client().await.unwrap();
    let collection = client.database("d").collection::<Document>("c");
    collection.insert_one(doc! { "_id": 1 }).await.unwrap();
    let killed = set.kill_primary().await.unwrap();
    assert_ne!(set.primary().await.unwrap(), killed);
    collection.insert_one(doc! { "_id": 2 }).await.unwrap();
    set.members()[killed].restart().await.unwrap();
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 2);
}
