//! What users may watch, and servers without change streams.

use bson::{Bson, doc};
use zenith_extract::change_test_suite::{ChangeWriter, read};
use zenith_extract::{ChangeSource, MemoryChange, MongoSource, Namespace, Scope, StartAt, Topology};
use zenith_testkit::{Credentials, MongoOptions, MongoServer, Topology as Deployment};

use super::writer::Writer;
use super::{BOTH, numbered, watching};
use crate::servers;

/// A server with passwords, and its address without them.
async fn server() -> (MongoServer, String) {
    let credentials = Some(Credentials { user: "root".to_owned(), password: "secret".to_owned() });
    let server =
        MongoServer::start(MongoOptions { cache_mib: 256, credentials, ..Default::default() }).await.unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    (server, host)
}

#[tokio::test]
async fn the_scope_is_as_narrow_as_the_collections_allow() {
    let (server, host) = server().await;
    let client = server.client().await.unwrap();
    let admin = client.database("admin");
    let (orders, users) = (Namespace::new("shop", "orders"), Namespace::new("shop", "users"));
    let elsewhere = Namespace::new("crm", "users");
    let actions: Bson = doc! {
        "resource": { "db": "shop", "collection": "orders" }, "actions": ["find", "changeStream"],
    }
    .into();
    admin
        .run_command(doc! { "createRole": "onlyOrders", "privileges": [actions], "roles": [] })
        .await
        .unwrap();
    for (user, role) in [
        ("everywhere", Bson::from("readAnyDatabase")),
        ("shop", doc! { "role": "read", "db": "shop" }.into()),
        ("orders", "onlyOrders".into()),
        ("nobody", doc! { "role": "read", "db": "another" }.into()),
    ] {
        admin.run_command(doc! { "createUser": user, "pwd": "secret", "roles": [role] }).await.unwrap();
    }
    let writer = Writer { client };
    let insert = |id| MemoryChange::Insert(orders.clone(), numbered(id..id + 1).remove(0));
    writer.write(vec![insert(0)], false).await;
    let (database, collection) = (Scope::Database("shop".to_owned()), Scope::Collection(orders.clone()));
    let one = [orders.clone()];
    let two = [orders.clone(), users];
    let apart = [orders.clone(), elsewhere];
    for transport in BOTH {
        for (user, namespaces, expected) in [
            ("everywhere", &one[..], Some(collection.clone())),
            ("everywhere", &two, Some(database.clone())),
            ("everywhere", &apart, Some(Scope::Cluster)),
            ("shop", &one, Some(collection.clone())),
            ("shop", &two, Some(database.clone())),
            ("shop", &apart, None),
            ("orders", &one, Some(collection.clone())),
            ("orders", &two, None),
            ("nobody", &one, None),
        ] {
            let uri = format!("mongodb://{user}:secret@{host}/?authSource=admin");
            let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
            let found = source.change_preflight(namespaces).await;
            let Some(expected) = expected.clone() else {
                let error = found.unwrap_err();
                assert!(error.is_input() && error.to_string().contains("changeStream"), "{user}: {error}");
                assert_eq!(error.to_string().contains("readAnyDatabase"), namespaces == apart, "{error}");
                continue;
            };
            let found = found.unwrap();
            assert_eq!(found.scope, expected, "{user}");
            assert_eq!(found.oplog_window, None, "{user} cannot know");
            assert!(!found.split_large_events && found.server_version.starts_with('6'));
            assert_eq!(found.topology, Topology::ReplicaSet("rs0".to_owned()));
            let options = zenith_extract::WatchOptions { scope: expected, ..watching(&orders, StartAt::Now) };
            let mut reader = source.watch(options).await.unwrap();
            writer
                .write(vec![MemoryChange::Delete(orders.clone(), bson::RawBson::Int32(0)), insert(0)], false)
                .await;
            assert_eq!(read(&mut reader, 2).await.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_server_on_its_own_has_no_change_streams() {
    let options = MongoOptions { topology: Deployment::Standalone, cache_mib: 256, ..Default::default() };
    let server = MongoServer::start(options).await.unwrap();
    for transport in BOTH {
        let source = MongoSource::connect(&server.uri()).await.unwrap().with_transport(transport);
        let namespace = servers::namespace();
        let errors = [
            source.change_preflight(std::slice::from_ref(&namespace)).await.map(drop).unwrap_err(),
            source.watch(watching(&namespace, StartAt::Now)).await.map(drop).unwrap_err(),
            source.now().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(error.is_input() && text.contains("replica set") && text.contains("_id"), "{text}");
        }
    }
}
