//! Bad input: one clear sentence, and nothing created.

use arrow_array::Int64Array;
use arrow_schema::{DataType, Field};
use zenith_testkit::services::test_servers::{unique_name, with_causes};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, ClickHouseUser};
use zenith_transport::{ClickHouseSink, ConnectionOptions, Insert, Preflight, Sink, Target, TransportError};

use super::support::{column, database, server, sink_for};

fn sink_at(url: &str) -> ClickHouseSink {
    ClickHouseSink::new(Target::parse(url).unwrap(), None, ConnectionOptions::default()).unwrap()
}

async fn preflight_error(url: &str) -> TransportError {
    sink_at(url).preflight(&Preflight::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_wrong_password() {
    let server = server().await;
    for password in ["s3cret", "p%0Aq", "%C3%BC"] {
        let url = format!("http://nobody:{password}@{}:{}/default", server.host(), server.port());
        let error = preflight_error(&url).await;
        assert!(error.is_authentication() && !error.is_transient(), "{error:?}");
        let shown = with_causes(&error);
        let start = format!(
            "ClickHouse at {}:{} refused user \"nobody\": check user and password",
            server.host(),
            server.port()
        );
        assert!(shown.starts_with(&start) && !shown.contains("s3cret"), "{shown}");
    }
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
        let url = format!("http://user{index}@127.0.0.1:{}", server.http_port());
        let target = Target::parse(&url).unwrap().with_password(password);
        let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
        sink.execute("SELECT 1").await.unwrap_or_else(|error| panic!("{password:?}: {error}"));
    }
}

#[tokio::test]
async fn a_host_that_is_down() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = preflight_error(&format!("http://u:s3cret@{free}/d")).await;
    assert!(matches!(error, TransportError::Connect { .. }) && error.is_transient());
    let expected = format!(
        "cannot connect to ClickHouse at {free}: check that it is running, and host and port: Connection refused"
    );
    assert!(with_causes(&error).starts_with(&expected), "{}", with_causes(&error));
    let error = preflight_error("http://no-such-host.invalid/d").await;
    assert!(
        error.to_string().starts_with("cannot connect to ClickHouse at no-such-host.invalid:8123"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_database_and_how_it_is_created() {
    let server = server().await;
    let name = unique_name("no such `database`");
    let target = Target::parse(&server.url()).unwrap().with_database(&*name);
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    let error = sink.preflight(&Preflight::default()).await.unwrap_err();
    assert!(error.is_unknown_database() && !error.is_transient(), "{error:?}");
    assert!(error.to_string().ends_with("create it, or let it be created"), "{error}");
    let error = sink.execute("SELECT 1").await.unwrap_err();
    assert!(error.is_unknown_database(), "{error:?}");
    let info = sink.preflight(&Preflight { create_database: true, ..Preflight::default() }).await.unwrap();
    assert!(info.database_created && info.exchanges_atomically && info.database == name, "{info:?}");
    assert!(
        !sink
            .preflight(&Preflight { create_database: true, ..Preflight::default() })
            .await
            .unwrap()
            .database_created
    );
    server.drop_database(&name).await.unwrap();
}

/// A server with a user `reader` who has the `grants` given, and with a database `d`.
async fn server_with_grants(grants: &[&str]) -> (ClickHouseServer, std::path::PathBuf) {
    let data = std::env::temp_dir().join(unique_name("zenith-transport-grants"));
    // ClickHouse merges this folder into the file of users beside it.
    std::fs::create_dir_all(data.join("users.d")).unwrap();
    let grants: String = grants.iter().map(|grant| format!("<query>GRANT {grant}</query>")).collect();
    let user = format!(
        "<clickhouse><users><reader><password>pw</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>\
         <quota>default</quota><grants>{grants}</grants></reader></users></clickhouse>"
    );
    std::fs::write(data.join("users.d/reader.xml"), user).unwrap();
    let options = ClickHouseOptions { data: Some(data.clone()), ..Default::default() };
    let server = ClickHouseServer::start(options).await.unwrap();
    server.client().create_database("d").await.unwrap();
    (server, data)
}

#[tokio::test]
async fn missing_privileges_are_named_together() {
    let granted = "SELECT, INSERT, DROP TABLE, TRUNCATE";
    let missing = "CREATE TABLE, ALTER COLUMN, ALTER SETTINGS, ALTER MODIFY COMMENT";
    let (server, data) = server_with_grants(&[&format!("{granted} ON d.*")]).await;
    let error = preflight_error(&format!("http://reader:pw@127.0.0.1:{}/d", server.http_port())).await;
    assert!(error.is_access_denied() && !error.is_transient(), "{error:?}");
    let expected = format!(
        "the ClickHouse user reader lacks {missing}, TABLE ENGINE: GRANT {missing} ON `d`.* TO reader; \
         GRANT TABLE ENGINE ON MergeTree TO reader"
    );
    assert_eq!(error.to_string(), expected);
    drop(server);
    std::fs::remove_dir_all(data).unwrap();

    // What the message asks for is enough for a whole reload.
    let (server, data) =
        server_with_grants(&[&format!("{granted}, {missing} ON d.*"), "TABLE ENGINE ON MergeTree"]).await;
    let sink = sink_at(&format!("http://reader:pw@127.0.0.1:{}/d", server.http_port()));
    sink.preflight(&Preflight::default()).await.unwrap();
    zenith_transport::sink::test_suite::a_taken_name_is_replaced(&sink).await;
    sink.drop_table("t").await.unwrap();
    zenith_transport::sink::test_suite::columns_are_added(&sink).await;
    sink.truncate("t").await.unwrap();
    let error = sink.execute("CREATE DATABASE e").await.unwrap_err();
    assert!(error.is_access_denied() && !error.is_transient(), "{error:?}");
    drop(server);
    std::fs::remove_dir_all(data).unwrap();
}

/// The port of another protocol is the commonest mistake of all.
#[tokio::test]
async fn a_port_that_is_not_http() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let error = preflight_error(&format!("http://{}/default", server.native_address())).await;
    let text = error.to_string();
    assert!(!error.is_transient(), "{error:?}");
    assert!(text.contains("for HTTP"), "{text}");
}

#[tokio::test]
async fn an_early_answer_is_heard_while_a_large_batch_is_being_sent() {
    let database = database("early").await;
    let sink = sink_for(&database, None, ConnectionOptions::default()).await;
    let ids = Int64Array::from_iter_values(0..8_000_000);
    let batch = column(Field::new("id", DataType::Int64, false), ids);
    for _ in 0..5 {
        let insert = Insert { table: "absent".into(), batch: batch.clone(), token: "a".into() };
        let error = sink.write(insert).await.unwrap_err();
        assert!(error.is_unknown_table() && !error.is_transient(), "{error:?}");
    }
    let url = format!("http://nobody:s3cret@{}:{}/default", database.host(), database.port());
    let sink = sink_at(&url);
    let insert = Insert { table: "absent".into(), batch, token: "a".into() };
    assert!(sink.write(insert).await.unwrap_err().is_authentication());
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
    let small = ConnectionOptions { result_bytes_max: 1000, ..ConnectionOptions::default() };
    let sink = sink_for(&database, None, small).await;
    let error = sink.query("SELECT number FROM numbers(100000)").await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}
