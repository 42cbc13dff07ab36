//! Addresses from the environment and from files, with passwords that are never shown.

use bson::doc;
use zenith_testkit::{
    ClickHouseOptions, ClickHouseServer, ClickHouseUser, Credentials, MongoOptions, MongoServer, Topology,
};

use crate::harness::{run, zenith};

const PASSWORD: &str = "s3cret-right";
const WRONG: &str = "s3cret-wrong";

#[tokio::test(flavor = "multi_thread")]
async fn passwords_come_from_the_environment_and_from_files_and_are_not_shown() {
    let mongodb = MongoOptions {
        topology: Topology::Standalone,
        credentials: Some(Credentials { user: "reader".into(), password: PASSWORD.into() }),
        ..MongoOptions::default()
    };
    let user = ClickHouseUser::new("writer", PASSWORD);
    let clickhouse = ClickHouseOptions { users: vec![user], ..ClickHouseOptions::default() };
    let (mongodb, clickhouse) =
        tokio::try_join!(MongoServer::start(mongodb), ClickHouseServer::start(clickhouse)).unwrap();
    let orders = mongodb.client().await.unwrap().database("shop");
    orders.collection("orders").insert_one(doc! { "_id": 1, "item": "tea" }).await.unwrap();
    let writer = clickhouse.client().with_user("writer", PASSWORD);
    let shop = writer.create_database("shop").await.unwrap();

    let from = |password: &str| {
        format!("mongodb://reader:{password}@127.0.0.1:{}/shop?authSource=admin", mongodb.port())
    };
    let to = |password: &str| format!("http://writer:{password}@127.0.0.1:{}/shop", clickhouse.http_port());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, address: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{address}\n")).unwrap();
        format!("file:{}", path.display())
    };
    let (from_file, to_file) = (file("from", &from(PASSWORD)), file("to", &to(PASSWORD)));

    // From the environment; a file named by it; and a file named by an option, which counts more than the environment.
    let ways = [
        (from(PASSWORD), to(PASSWORD), vec![]),
        (from_file.clone(), to_file.clone(), vec![]),
        (from(WRONG), to(WRONG), vec!["--from", &*from_file, "--to", &*to_file]),
    ];
    for (source, target, options) in ways {
        let mut command = zenith(&[&["copy", "--collection", "orders", "-v"], &options[..]].concat());
        command.env("ZENITH_SOURCE", source).env("ZENITH_TARGET", target);
        let ended = run(command).await.succeeded();
        assert!(ended.stdout.starts_with("1 row in "), "{ended:?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
        assert_eq!(shop.query("SELECT item FROM orders").await.unwrap(), "tea");
        shop.query("DROP TABLE orders SYNC").await.unwrap();
    }

    for (source, target) in [(from(WRONG), to(PASSWORD)), (from(PASSWORD), to(WRONG))] {
        let mut command = zenith(&["copy", "--collection", "orders"]);
        command.env("ZENITH_SOURCE", source).env("ZENITH_TARGET", target);
        let ended = run(command).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.lines().count()),
            (Some(2), "", 1),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("password") && !ended.stderr.contains("s3cret"), "{ended:?}");
        assert_eq!(shop.query("SHOW TABLES").await.unwrap(), "");
    }

    let mut help = zenith(&["copy", "--help"]);
    help.env("ZENITH_SOURCE", from(PASSWORD)).env("ZENITH_TARGET", to(PASSWORD));
    let ended = run(help).await.succeeded();
    assert!(ended.stdout.contains("ZENITH_SOURCE") && !ended.stdout.contains("s3cret"), "{ended:?}");
}

#[tokio::test]
async fn files_that_hold_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("address");
    let given = format!("file:{}", path.display());
    for (content, part) in
        [(None, "No such file"), (Some(""), "empty"), (Some("a\nb\n"), "more than one line")]
    {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let ended =
            run(zenith(&["copy", "--from", &given, "--collection", "c", "--to", "http://127.0.0.1:1/d"]))
                .await;
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains(part) && ended.stderr.contains("--from"), "{ended:?}");
    }
}
