//! Bad input that only HTTP has, or has in another way.

use arrow_array::Int64Array;
use arrow_schema::{DataType, Field};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer};
use zenith_transport::{Insert, Sink};

use super::both::support::{column, preflight_error, sink, sink_at};

/// The port of another protocol is the commonest mistake of all.
#[tokio::test]
async fn a_port_that_is_not_http() {
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let error = preflight_error(&format!("http://{}/default", server.native_address())).await;
    let text = error.to_string();
    assert!(!error.is_transient(), "{error:?}");
    assert!(text.contains("for HTTP"), "{text}");
}

/// A wrong table and a wrong password are known from the beginning of a request.
#[tokio::test]
async fn an_early_answer_is_heard_while_a_large_batch_is_being_sent() {
    let (sink, database) = sink("early").await;
    let ids = Int64Array::from_iter_values(0..8_000_000);
    let batch = column(Field::new("id", DataType::Int64, false), ids);
    for _ in 0..5 {
        let insert = Insert { table: "absent".into(), batch: batch.clone(), token: "a".into() };
        let error = sink.write(insert).await.unwrap_err();
        assert!(error.is_unknown_table() && !error.is_transient(), "{error:?}");
    }
    let url = format!("http://nobody:s3cret@{}:{}/default", database.host(), database.port());
    let insert = Insert { table: "absent".into(), batch, token: "a".into() };
    assert!(sink_at(&url).write(insert).await.unwrap_err().is_authentication());
}
