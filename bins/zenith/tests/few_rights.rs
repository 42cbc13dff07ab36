//! Users of MongoDB who may do little: each mode works with the narrowest streams that they may have, and another source is
//! noticed without anything that names it.

use bson::{Bson, doc, rawdoc};
use mongodb::Client;
use zenith_testkit::{Credentials, MongoOptions, MongoServer, load};

use crate::harness::Bench;
use crate::home::{Home, stop};

/// A server with passwords, and what its superuser may do.
struct Guarded {
    server: MongoServer,
    client: Client,
}

impl Guarded {
    async fn start() -> Guarded {
        let credentials = Some(Credentials { user: "root".to_owned(), password: "secret".to_owned() });
        let options = MongoOptions { cache_mib: 256, credentials, ..MongoOptions::default() };
        let server = MongoServer::start(options).await.unwrap();
        let client = server.client().await.unwrap();
        Guarded { server, client }
    }

    async fn fill(&self, database: &str, collection: &str, ids: std::ops::Range<i32>) {
        let documents = ids.map(|n| rawdoc! { "_id": n });
        load::insert_documents(&self.client.database(database), collection, documents).await.unwrap();
    }

    /// A user with these roles, and the address with it.
    async fn user(&self, name: &str, roles: Vec<Bson>) -> String {
        let command = doc! { "createUser": name, "pwd": "secret", "roles": roles };
        self.client.database("admin").run_command(command).await.unwrap();
        format!("mongodb://{name}:secret@127.0.0.1:{}/shop?authSource=admin", self.server.port())
    }

    /// A role for these actions on single collections of the database `shop`.
    async fn role(&self, name: &str, collections: &[&str], actions: &[&str]) -> Bson {
        let of = |collection: &&str| doc! { "resource": { "db": "shop", "collection": *collection }, "actions": actions };
        let privileges: Vec<_> = collections.iter().map(of).collect();
        let command = doc! { "createRole": name, "privileges": privileges, "roles": [] };
        self.client.database("admin").run_command(command).await.unwrap();
        name.into()
    }
}

async fn count(bench: &Bench, table: &str) -> String {
    bench.databases.clickhouse.query(&format!("SELECT count() FROM {table}")).await.unwrap_or_default()
}

async fn until_count(bench: &Bench, home: &Home, table: &str, rows: u32) {
    home.until(&format!("{rows} rows in {table}"), async || count(bench, table).await == rows.to_string())
        .await;
}

const STREAM: [&str; 2] = ["find", "changeStream"];

/// Every mode on single collections, and one more that may not be followed.
#[tokio::test(flavor = "multi_thread")]
async fn single_collections_are_followed_by_streams_of_their_own() {
    let guarded = Guarded::start().await;
    for collection in ["orders", "users", "items", "hidden"] {
        guarded.fill("shop", collection, 0..10).await;
    }
    let streams = guarded.role("streams", &["orders", "users"], &STREAM).await;
    let finds = guarded.role("finds", &["items", "hidden"], &["find"]).await;
    let bench = Bench::new("rights_single").await;
    let mut home = Home::between(&bench);
    home.set("MONGO", &guarded.user("narrow", vec![streams, finds]).await);
    let working = [
        ("orders", "collection = \"orders\""),
        ("users", "collection = \"users\"\nmode = \"change-log\""),
        ("items", "collection = \"items\"\nmode = \"id-cursor\"\nsettle = \"0s\""),
        ("whole", "collection = \"items\"\ntable = \"whole\"\nmode = \"full\""),
    ];
    home.configure(&working);
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for (table, rows) in [("orders_current", "10"), ("users", "0"), ("items", "10"), ("whole", "10")] {
        assert_eq!(count(&bench, table).await, rows, "{table}");
    }

    let running = home.start(&["--quiet"]).await;
    guarded.fill("shop", "orders", 10..11).await;
    guarded.fill("shop", "users", 10..11).await;
    guarded.fill("shop", "items", 10..11).await;
    until_count(&bench, &home, "orders_current", 11).await;
    until_count(&bench, &home, "users", 1).await;
    until_count(&bench, &home, "items", 11).await;

    // One more that may be read and not followed takes down none of those that work.
    home.configure(&[&working[..], &[("hidden", "collection = \"hidden\"")]].concat());
    let check = home.run(&["check", "hidden"]).await;
    assert_eq!(check.code, Some(2), "{check:?}");
    assert!(check.stdout.contains("✓ source") && check.stdout.contains("✗ change stream"), "{check:?}");
    assert!(check.stdout.contains("find and changeStream"), "{check:?}");
    home.run(&["check", "orders"]).await.succeeded();
    home.apply().await;
    // The run begins again with the new pipeline.
    home.until("hidden waits for its rights", async || {
        home.pipeline("hidden").await["waiting_for"].is_string()
    })
    .await;
    for pipeline in ["orders", "users"] {
        home.until_state(pipeline, "following").await;
    }
    guarded.fill("shop", "orders", 11..12).await;
    guarded.fill("shop", "users", 11..12).await;
    until_count(&bench, &home, "orders_current", 12).await;
    until_count(&bench, &home, "users", 2).await;
    for pipeline in ["orders", "users"] {
        let pipeline = home.pipeline(pipeline).await;
        assert_eq!(pipeline["state"], "following", "{pipeline}");
    }

    // What was granted continues by itself.
    let more = guarded.role("more", &["hidden"], &STREAM).await;
    let grant = doc! { "grantRolesToUser": "narrow", "roles": [more] };
    guarded.client.database("admin").run_command(grant).await.unwrap();
    until_count(&bench, &home, "hidden_current", 10).await;
    let ended = stop(running).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}

/// `read` on one database, and then on a second one beside it.
#[tokio::test(flavor = "multi_thread")]
async fn databases_are_followed_by_streams_of_their_own() {
    let guarded = Guarded::start().await;
    for (database, collection) in [("shop", "orders"), ("shop", "users"), ("crm", "people"), ("crm", "notes")]
    {
        guarded.fill(database, collection, 0..10).await;
    }
    let read = |database: &str| doc! { "role": "read", "db": database }.into();
    let bench = Bench::new("rights_databases").await;
    let mut home = Home::between(&bench);
    home.set("MONGO", &guarded.user("reader", vec![read("shop")]).await);
    let one = [("orders", "collection = \"orders\""), ("users", "collection = \"users\"")];
    let two = [("people", "collection = \"crm.people\""), ("notes", "collection = \"crm.notes\"")];
    home.configure(&one);
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    let running = home.start(&["--quiet"]).await;
    until_count(&bench, &home, "orders_current", 10).await;

    home.configure(&[one, two].concat());
    home.apply().await;
    for pipeline in ["people", "notes"] {
        home.until_state(pipeline, "waiting").await;
    }
    guarded.fill("shop", "orders", 10..11).await;
    until_count(&bench, &home, "orders_current", 11).await;

    let grant = doc! { "grantRolesToUser": "reader", "roles": [read("crm")] };
    guarded.client.database("admin").run_command(grant).await.unwrap();
    for (database, collection) in [("crm", "people"), ("crm", "notes"), ("shop", "users")] {
        until_count(&bench, &home, &format!("{collection}_current"), 10).await;
        guarded.fill(database, collection, 10..11).await;
        until_count(&bench, &home, &format!("{collection}_current"), 11).await;
    }
    let ended = stop(running).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // From the beginning, where one stream of everything is refused.
    home.run(&["check"]).await.succeeded();
    guarded.fill("crm", "notes", 11..12).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(count(&bench, "notes_current").await, "12");
    bench.remove().await;
}

/// Without the collection's UUID and the id of the replica set, another deployment is known by the last change, which is
/// none of its own.
#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_is_noticed_without_ids() {
    let (guarded, other) = (Guarded::start().await, Guarded::start().await);
    let bench = Bench::new("rights_other").await;
    let mut home = Home::between(&bench);
    let mut addresses = Vec::new();
    for (server, ids) in [(&other, 0..5), (&guarded, 0..10)] {
        server.fill("shop", "orders", ids).await;
        let role = server.role("narrow", &["orders"], &STREAM).await;
        addresses.push(server.user("narrow", vec![role]).await);
    }
    home.set("MONGO", &addresses[1]);
    home.configure(&[("orders", "collection = \"orders\"\non_history_lost = \"reload\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    guarded.fill("shop", "orders", 10..11).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    // Places between changes come after it.
    guarded.fill("shop", "others", 0..3).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(count(&bench, "orders_current").await, "11");

    // Its time goes on as well.
    other.fill("shop", "orders", 100..105).await;
    home.set("MONGO", &addresses[0]);
    let refused = home.run(&["run", "--once", "--quiet"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is not the one it has followed"), "{refused:?}");
    let said = "the last change that is in the table is not among its changes";
    assert!(refused.stderr.contains(said) && !refused.stderr.contains("oplog"), "{refused:?}");
    assert_eq!(count(&bench, "orders_current").await, "11");

    // The right one goes on, and so does the other one where that is wanted.
    home.set("MONGO", &addresses[1]);
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.set("MONGO", &addresses[0]);
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(count(&bench, "orders_current").await, "10");
    bench.remove().await;
}
