//! Bad input: one clear sentence, and nothing created.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use zenith_testkit::services::test_servers::{unique_name, with_causes};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, ClickHouseUser};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Insert, PreflightRequest, Protocol, Sink, TableDefinition, Target,
    TransportError,
};

use super::support::{
    PROTOCOL, column, load, own_address, preflight_error, scheme, server, sink, sink_at, sink_for,
};

/// The server is one of its own, restarted after each: the packaged ClickHouse ends when it turns somebody
/// away over the native protocol.
#[tokio::test]
async fn a_wrong_password() {
    let mut server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let address = own_address(&server);
    for password in ["s3cret", "p%0Aq", "%C3%BC"] {
        let url = format!("{}://nobody:{password}@{address}/default", scheme(PROTOCOL));
        let error = preflight_error(&url).await;
        assert!(error.is_authentication() && !error.is_transient(), "{error:?}");
        let expected = format!(
            "ClickHouse at {address} refused user \"nobody\": check user and password \
             (code 516, AUTHENTICATION_FAILED)"
        );
        assert_eq!(with_causes(&error), expected);
        server.restart().await.unwrap();
    }
}

#[tokio::test]
async fn passwords_of_any_characters_are_taken() {
    let passwords = ["plain", " sp ace ", "p:a/s?s#w@rd%", "Größe", "line\nbreak"];
    let user = |(index, password): (usize, &&str)| ClickHouseUser::new(&format!("user{index}"), password);
    let users = passwords.iter().enumerate().map(user).collect();
    let server = ClickHouseServer::start(ClickHouseOptions { users, ..Default::default() }).await.unwrap();
    for (index, password) in passwords.into_iter().enumerate() {
        let url = format!("{}://user{index}@{}", scheme(PROTOCOL), own_address(&server));
        let target = Target::parse(&url).unwrap().with_password(password);
        let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
        sink.execute("SELECT 1").await.unwrap_or_else(|error| panic!("{password:?}: {error}"));
    }
}

#[tokio::test]
async fn a_host_that_is_down() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = preflight_error(&format!("{}://u:s3cret@{free}/d", scheme(PROTOCOL))).await;
    assert!(matches!(error, TransportError::Connect { .. }) && error.is_transient());
    let expected = format!(
        "cannot connect to ClickHouse at {free}: check that it is running, and host and port: \
         Connection refused"
    );
    assert!(with_causes(&error).starts_with(&expected), "{}", with_causes(&error));
    let error = preflight_error(&format!("{}://no-such-host.invalid/d", scheme(PROTOCOL))).await;
    let port = if PROTOCOL == Protocol::Http { 8123 } else { 9000 };
    let expected = format!("cannot connect to ClickHouse at no-such-host.invalid:{port}");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn an_unknown_database_and_how_it_is_created() {
    let server = server().await;
    let name = unique_name("no such `database`");
    let database = server.clone().with_database(&name);
    let sink = sink_for(&database, None, ConnectionOptions::default()).await;
    let error = sink.preflight(&PreflightRequest::default()).await.unwrap_err();
    assert!(error.is_unknown_database() && !error.is_transient(), "{error:?}");
    assert!(error.to_string().ends_with("create it, or let it be created"), "{error}");
    let error = sink.execute("SELECT 1").await.unwrap_err();
    assert!(error.is_unknown_database(), "{error:?}");
    let wanted = PreflightRequest { create_database: true, ..PreflightRequest::default() };
    let info = sink.preflight(&wanted).await.unwrap();
    assert!(info.database_created && info.exchanges_atomically && info.database == name, "{info:?}");
    sink.execute("SELECT 1").await.unwrap();
    assert!(!sink.preflight(&wanted).await.unwrap().database_created);
    server.drop_database(&name).await.unwrap();
}

/// A server with a user `reader` who has the `grants` given, and with a database `d`; and the user's address.
async fn server_with_grants(grants: &[&str]) -> (ClickHouseServer, String, PathBuf) {
    let data = std::env::temp_dir().join(unique_name("zenith-transport-grants"));
    // ClickHouse merges this folder into the file of users beside it.
    std::fs::create_dir_all(data.join("users.d")).unwrap();
    let grants: String = grants.iter().map(|grant| format!("<query>GRANT {grant}</query>")).collect();
    let user = format!(
        "<clickhouse><users><reader><password>pw</password><networks><ip>127.0.0.1</ip></networks>\
         <profile>default</profile><quota>default</quota><grants>{grants}</grants></reader></users>\
         </clickhouse>"
    );
    std::fs::write(data.join("users.d/reader.xml"), user).unwrap();
    let options = ClickHouseOptions { data: Some(data.clone()), ..Default::default() };
    let server = ClickHouseServer::start(options).await.unwrap();
    server.client().create_database("d").await.unwrap();
    let url = format!("{}://reader:pw@{}/d", scheme(PROTOCOL), own_address(&server));
    (server, url, data)
}

#[tokio::test]
async fn missing_privileges_are_named_together() {
    let granted = "SELECT, INSERT, DROP TABLE, TRUNCATE";
    let missing = "CREATE TABLE, ALTER COLUMN, ALTER SETTINGS, ALTER MODIFY COMMENT";
    let (server, url, data) = server_with_grants(&[&format!("{granted} ON d.*")]).await;
    let error = preflight_error(&url).await;
    assert!(error.is_access_denied() && !error.is_transient(), "{error:?}");
    let expected = format!(
        "the ClickHouse user reader lacks {missing}, TABLE ENGINE: GRANT {missing} ON `d`.* TO reader; \
         GRANT TABLE ENGINE ON MergeTree TO reader"
    );
    assert_eq!(error.to_string(), expected);
    drop(server);
    std::fs::remove_dir_all(data).unwrap();

    // What the message asks for is enough for a whole reload.
    let (server, url, data) =
        server_with_grants(&[&format!("{granted}, {missing} ON d.*"), "TABLE ENGINE ON MergeTree"]).await;
    let sink = sink_at(&url);
    sink.preflight(&PreflightRequest::default()).await.unwrap();
    zenith_transport::sink::test_suite::a_taken_name_is_replaced(&sink).await;
    sink.drop_table("t").await.unwrap();
    zenith_transport::sink::test_suite::columns_are_added(&sink).await;
    sink.truncate("t").await.unwrap();
    let error = sink.execute("CREATE DATABASE e").await.unwrap_err();
    assert!(error.is_access_denied() && !error.is_transient(), "{error:?}");
    drop(server);
    std::fs::remove_dir_all(data).unwrap();
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

/// What is wrong with the rows is known when some of them have come.
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
    let (sink, _) = sink("late").await;
    let sql = "SELECT throwIf(number = 9000000, 'boom') FROM numbers(10000000)";
    let error = sink.query(sql).await.unwrap_err();
    assert_eq!(error.server().map(|error| error.code), Some(395), "{error:?}");
    let error = sink.query_rows::<serde_json::Value>(sql).await.unwrap_err();
    assert_eq!(error.server().map(|error| error.code), Some(395), "{error:?}");
}

/// The server is one of its own: the packaged ClickHouse ends when a native connection with an unread answer
/// is closed.
#[tokio::test]
async fn results_have_a_bound() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let target = Target::parse(&format!("{}://{}", scheme(PROTOCOL), own_address(&server))).unwrap();
    let small = ConnectionOptions { result_bytes_max: 1000, ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(target, None, small).unwrap();
    let error = sink.query("SELECT number FROM numbers(100000)").await.unwrap_err();
    // HTTP counts the bytes of an answer, the native protocol those of the blocks it has decoded.
    let said = if PROTOCOL == Protocol::Http { error.to_string() } else { with_causes(&error) };
    assert!(said.contains("longer than 1000 bytes"), "{error:?}");
}

/// ClickHouse converts what it is sent; what it cannot convert it refuses, whole.
#[tokio::test]
async fn other_types_than_the_tables_are_converted_or_refused() {
    let (sink, database) = sink("convert").await;
    let create = "CREATE TABLE t (n Int16, s LowCardinality(String), d Decimal(9, 2)) \
                  ENGINE = MergeTree ORDER BY ()";
    database.query(create).await.unwrap();
    let one = |n: Option<i64>, s: Option<&str>| {
        RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int64Array::from(vec![n])) as ArrayRef, true),
            ("s", Arc::new(StringArray::from(vec![s])), true),
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
