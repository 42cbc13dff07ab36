//! What a person gets wrong: exit code 2, one sentence, nothing created.

use bson::rawdoc;

use crate::harness::{Bench, Ended, run, zenith};

#[track_caller]
fn refused(ended: &Ended, part: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains(part), "{part:?} is not in {ended:?}");
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
}

/// A port nobody listens on.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_names() {
    let bench = Bench::new("wrong").await;
    bench.fill("there", [rawdoc! { "_id": 1 }]).await;
    let (mongodb, clickhouse, name) = (bench.from(), bench.to(), &*bench.databases.name);
    let closed = closed_port();
    let no_database = mongodb.replace(&format!("/{name}"), "/");
    let elsewhere = mongodb.replace(name, "no_such_database");
    let no_target = clickhouse.replace(name, "no_such_database");
    let down = format!("mongodb://u:s3cret@127.0.0.1:{closed}/d?serverSelectionTimeoutMS=300");
    let down_target = format!("http://u:s3cret@127.0.0.1:{closed}/d");
    let down_native = format!("clickhouse://u:s3cret@127.0.0.1:{closed}/d");
    let cases = [
        ("mongo://u:s3cret@127.0.0.1/d", &*clickhouse, "there", "unsupported connection string scheme"),
        ("mongodb://u:s3cret@h:99999/d", &clickhouse, "there", "port"),
        ("mongodb://u:s3@cret@h/d", &clickhouse, "there", "URL encoded"),
        (&*down, &clickhouse, "there", "check that it runs"),
        (&no_database, &clickhouse, "there", "names no database"),
        (&elsewhere, &clickhouse, "there", "no database \"no_such_database\""),
        (mongodb, &clickhouse, "absent", "collections there: there"),
        (mongodb, &down_native, "there", "cannot connect to ClickHouse"),
        (mongodb, "native://u:s3cret@127.0.0.1/d", "there", "clickhouse://127.0.0.1"),
        (mongodb, "ftp://u:s3cret@127.0.0.1/d", "there", "http"),
        (mongodb, &down_target, "there", "cannot connect to ClickHouse"),
        (mongodb, "https://u:s3cret@127.0.0.1/d?send=splice", "there", "TLS does not allow: say send=auto"),
        (mongodb, "http://127.0.0.1/d?send=sendfile&compression=lz4", "there", "connect without compression"),
        (mongodb, &no_target, "there", "--create-database"),
    ];
    for (from, to, collection, part) in cases {
        let ended = run(zenith(&["copy", "--from", from, "--collection", collection, "--to", to])).await;
        refused(&ended, part);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.starts_with("zenith: "), "{ended:?}");
    }
    assert!(bench.tables().await.is_empty());
    assert_eq!(bench.ask("SHOW DATABASES LIKE 'no_such_database'").await, "");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_work() {
    let bench = Bench::new("options").await;
    bench.fill("there", [rawdoc! { "_id": 1 }]).await;
    for (options, part) in [
        (&["--memory", "12parsecs"][..], "not a size; write it as 64MiB"),
        (&["--memory", "7MiB"], "at least 8MiB"),
        (&["--memory", "0"], "at least 8MiB"),
        (&["--readers", "0"], "readers cannot be 0"),
        (&["--batch-rows", "0"], "batch rows cannot be 0"),
        (&["--table", ""], "--table"),
        (&["--strategy", "slow"], "[possible values: swap, truncate]"),
        (&["--send", "zerocopy"], "[possible values: auto, writev, sendfile, splice]"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        refused(&run(bench.copy("there", options)).await, part);
    }
    refused(&run(bench.copy("", &[])).await, "--collection");
    refused(&run(zenith(&["copy", "--collection", "c"])).await, "--from <URI>");
    assert!(bench.tables().await.is_empty());
    run(bench.copy("there", &["--memory", "8MiB"])).await.succeeded();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_columns() {
    let bench = Bench::new("columns").await;
    bench.fill("t", (0..10).map(|n| rawdoc! { "_id": n, "a": "text" })).await;
    bench.ask("CREATE TABLE t (_id Int32, a Int64) ENGINE = MergeTree ORDER BY _id").await;
    bench.ask("INSERT INTO t VALUES (7, 8)").await;
    for options in
        [&[][..], &["--dry-run"], &["--strategy", "truncate"], &["--strategy", "truncate", "--replace"]]
    {
        let ended = run(bench.copy("t", options)).await;
        refused(&ended, "~ a: the table has Int64, the collection needs ");
        refused(&ended, "Nothing was written");
        refused(&ended, "--replace");
        assert_eq!(bench.tables().await, ["t"]);
        assert_eq!(bench.ask("SELECT * FROM t").await, "7\t8");
    }
    run(bench.copy("t", &["--replace"])).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), any(a) FROM t").await, "10\ttext");
    bench.remove().await;
}
