//! Bad input over the native protocol: the same sentences as over HTTP.

use std::time::Duration;

use arrow_array::{Int64Array, StringArray};
use arrow_schema::{DataType, Field};
use zenith_testkit::services::test_servers::with_causes;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, ClickHouseUser};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Insert, Preflight, Sink, TableDefinition, Target, TransportError,
};

use super::support::{column, database, load, server, sink, sink_for};

fn sink_at(url: &str) -> ClickHouseSink {
    ClickHouseSink::new(Target::parse(url).unwrap(), None, ConnectionOptions::default()).unwrap()
}

async fn preflight_error(url: &str) -> TransportError {
    sink_at(url).preflight(&Preflight::default()).await.unwrap_err()
}

/// The server is one of its own: the packaged ClickHouse ends when it turns somebody away over this protocol.
#[tokio::test]
async fn a_wrong_password() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let address = server.native_address();
    let error = preflight_error(&format!("clickhouse://nobody:s3cret@{address}/default")).await;
    assert!(error.is_authentication() && !error.is_transient(), "{error:?}");
    let expected = format!(
        "ClickHouse at {address} refused user \"nobody\": check user and password (code 516, AUTHENTICATION_FAILED)"
    );
    assert_eq!(with_causes(&error), expected);
}

#[tokio::test]
async fn passwords_of_any_characters_are_taken() {
    let passwords = ["plain", " sp ace ", "p:a/s?s#w@rd%", "Größe", "line\nbreak"];
    let user = |(index, password): (usize, &&str)| ClickHouseUser {
        name: format!("user{index}"),
        password: (*password).into(),
    };
    let users = passwords.iter().enumerate().map(user).collect();
    let server = ClickHouseServer::start(ClickHouseOptions { users, ..Default::default() }).await.unwrap();
    for (index, password) in passwords.into_iter().enumerate() {
        let url = format!("clickhouse://user{index}@{}", server.native_address());
        let target = Target::parse(&url).unwrap().with_password(password);
        let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
        sink.execute("SELECT 1").await.unwrap_or_else(|error| panic!("{password:?}: {error}"));
    }
}

#[tokio::test]
async fn a_host_that_is_down() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = preflight_error(&format!("clickhouse://u:s3cret@{free}/d")).await;
    assert!(matches!(error, TransportError::Connect { .. }) && error.is_transient());
    let expected = format!(
        "cannot connect to ClickHouse at {free}: check that it is running, and host and port: Connection refused"
    );
    assert!(with_causes(&error).starts_with(&expected), "{}", with_causes(&error));
}

#[tokio::test]
async fn an_unknown_database_and_how_it_is_created() {
    let server = server().await;
    let name = zenith_testkit::services::test_servers::unique_name("no such `database`");
    let database = server.clone().with_database(&name);
    let sink = sink_for(&database, None, ConnectionOptions::default()).await;
    let error = sink.preflight(&Preflight::default()).await.unwrap_err();
    assert!(error.is_unknown_database() && !error.is_transient(), "{error:?}");
    let error = sink.execute("SELECT 1").await.unwrap_err();
    assert!(error.is_unknown_database(), "{error:?}");
    let wanted = Preflight { create_database: true, ..Preflight::default() };
    let info = sink.preflight(&wanted).await.unwrap();
    assert!(info.database_created && info.exchanges_atomically && info.database == name, "{info:?}");
    sink.execute("SELECT 1").await.unwrap();
    server.drop_database(&name).await.unwrap();
}

/// The port of another protocol is the commonest mistake of all. HTTP servers wait for more; when nothing comes, the
/// packaged one ends, so it is one of its own.
#[tokio::test]
async fn a_port_that_is_not_native() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let url = format!("clickhouse://127.0.0.1:{}/d", server.http_port());
    let options =
        ConnectionOptions { connect_timeout: Duration::from_millis(500), ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(Target::parse(&url).unwrap(), None, options).unwrap();
    let error = sink.preflight(&Preflight::default()).await.unwrap_err();
    let text = with_causes(&error);
    assert!(
        text.contains("no greeting within 0.5 s") && text.ends_with("9000 by default and 9440 with TLS"),
        "{text}"
    );
}

#[tokio::test]
async fn exceptions_have_codes_names_and_texts() {
    let (sink, _) = sink("codes").await;
    let error = sink.execute("SELECT nonsense").await.unwrap_err();
    let server = error.server().unwrap();
    assert_eq!((server.code, &*server.name), (47, "UNKNOWN_IDENTIFIER"), "{error}");
    assert!(!server.text.contains("DB::Exception") && !server.text.contains('\n'), "{error}");
    let batch = column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![1]));
    let insert = Insert { table: "absent".into(), batch, token: "a".into() };
    let error = sink.write(insert).await.unwrap_err();
    assert!(error.to_string().contains("(code 60, UNKNOWN_TABLE)"), "{error}");
}

#[tokio::test]
async fn an_exception_is_heard_while_a_large_batch_is_being_sent() {
    let (sink, database) = sink("early").await;
    database
        .query("CREATE TABLE t (id Int64, CONSTRAINT few CHECK id < 10) ENGINE = MergeTree ORDER BY id")
        .await
        .unwrap();
    let ids = Int64Array::from_iter_values(0..8_000_000);
    let batch = column(Field::new("id", DataType::Int64, false), ids);
    for _ in 0..3 {
        let insert = Insert { table: "t".into(), batch: batch.clone(), token: "a".into() };
        let error = sink.write(insert).await.unwrap_err();
        assert!(error.is_data_rejected() && !error.is_transient(), "{error:?}");
    }
    assert_eq!(sink.count("t").await.unwrap(), 0);
}

#[tokio::test]
async fn statements_that_fail_late_fail() {
    let database = database("late").await;
    let sink = sink_for(&database, None, ConnectionOptions::default()).await;
    let sql = "SELECT throwIf(number = 9000000, 'boom') FROM numbers(10000000)";
    let error = sink.query(sql).await.unwrap_err();
    assert_eq!(error.server().map(|error| error.code), Some(395), "{error:?}");
    let error = sink.query_rows::<serde_json::Value>(sql).await.unwrap_err();
    assert_eq!(error.server().map(|error| error.code), Some(395), "{error:?}");
}

/// The server is one of its own: the packaged ClickHouse ends when a connection with an unread answer is closed.
#[tokio::test]
async fn results_have_a_bound() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let target = Target::parse(&format!("clickhouse://{}", server.native_address())).unwrap();
    let small = ConnectionOptions { result_bytes_max: 1000, ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(target, None, small).unwrap();
    let error = sink.query("SELECT number FROM numbers(100000)").await.unwrap_err();
    assert!(with_causes(&error).contains("longer than 1000 bytes"), "{error:?}");
}

/// What Arrow has no place for is said as such, not taken for another protocol.
#[tokio::test]
async fn results_that_cannot_be_read_are_named() {
    let (sink, _) = sink("unreadable").await;
    for (sql, named) in [("SELECT 1::Dynamic", "Dynamic"), ("SELECT unhex('ff')", "UTF8")] {
        let error = sink.query(sql).await.unwrap_err();
        assert!(matches!(error, TransportError::Arrow { action: "decode", .. }), "{error:?}");
        assert!(with_causes(&error).contains(named), "{error:?}");
    }
}

/// ClickHouse converts what it is sent; what it cannot convert it refuses, whole.
#[tokio::test]
async fn other_types_than_the_tables_are_converted_or_refused() {
    let (sink, database) = sink("convert").await;
    let create =
        "CREATE TABLE t (n Int16, s LowCardinality(String), d Decimal(9, 2)) ENGINE = MergeTree ORDER BY ()";
    database.query(create).await.unwrap();
    let one = |n: Option<i64>, s: Option<&str>| {
        arrow_array::RecordBatch::try_from_iter_with_nullable([
            ("n", std::sync::Arc::new(Int64Array::from(vec![n])) as arrow_array::ArrayRef, true),
            ("s", std::sync::Arc::new(StringArray::from(vec![s])), true),
        ])
        .unwrap()
    };
    let insert = |batch, token: &str| Insert { table: "t".into(), batch, token: token.into() };
    sink.write(insert(one(Some(7), Some("x")), "a")).await.unwrap();
    for (token, bad) in [("b", one(None, Some("x"))), ("c", one(Some(7), None))] {
        let error = sink.write(insert(bad, token)).await.unwrap_err();
        assert!(error.is_data_rejected() && !error.is_transient(), "{error:?}");
    }
    assert_eq!(database.query("SELECT * FROM t").await.unwrap(), "7\tx\t0");
    let nulls = column(Field::new("c", DataType::Utf8, true), StringArray::from(vec![None::<&str>]));
    let definition = TableDefinition::new("u", nulls.schema());
    sink.create(&definition).await.unwrap();
    load(&sink, "v", &nulls).await.unwrap();
}
