//! Bad input that only the native protocol has, or has in another way.

use std::time::Duration;

use zenith_testkit::services::test_servers::with_causes;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer};
use zenith_transport::{ClickHouseSink, ConnectionOptions, PreflightRequest, Sink, Target, TransportError};

/// The port of another protocol is the commonest mistake of all. HTTP servers wait for more; when nothing
/// comes, the packaged one ends, so it is one of its own.
#[tokio::test]
async fn a_port_that_is_not_native() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let url = format!("clickhouse://127.0.0.1:{}/d", server.http_port());
    let options =
        ConnectionOptions { connect_timeout: Duration::from_millis(500), ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(Target::parse(&url).unwrap(), None, options).unwrap();
    let error = sink.preflight(&PreflightRequest::default()).await.unwrap_err();
    let text = with_causes(&error);
    assert!(
        text.contains("no greeting within 0.5 s") && text.ends_with("9000 by default and 9440 with TLS"),
        "{text}"
    );
}

/// What Arrow has no place for is said as such, not taken for another protocol. The connection is closed in the middle of
/// a result, which ends the packaged server now and then, so it is one of its own.
#[tokio::test]
async fn results_that_cannot_be_read_are_named() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let target = Target::parse(&format!("clickhouse://{}/default", server.native_address())).unwrap();
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    for (sql, named) in [("SELECT 1::Dynamic", "Dynamic"), ("SELECT unhex('ff')", "UTF8")] {
        let error = sink.query(sql).await.unwrap_err();
        assert!(matches!(error, TransportError::Arrow { action: "decode", .. }), "{error:?}");
        assert!(with_causes(&error).contains(named), "{error:?}");
    }
}
