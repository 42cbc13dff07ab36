//! What can go wrong on the way over HTTP alone.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zenith_transport::{ClickHouseSink, ConnectionOptions, SendMode, Sink};

use super::both::bench::{Bench, bench, insert};
use super::both::support::silent_server;

/// Connections that break while nothing is asked of them, time and again: the server stays.
#[tokio::test]
async fn idle_connections_that_were_cut_are_not_used() {
    let Bench { sink, proxy, batch, server: _server, .. } = bench(SendMode::default()).await;
    for _ in 0..20 {
        proxy.cut_all();
        // The end must have crossed the loopback device; it need not have reached the runtime.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sink.write(insert(&batch)).await.unwrap();
    }
}

#[tokio::test]
async fn a_late_exception_after_a_200_is_an_error() {
    let (listener, target) = silent_server().await;
    let sink = ClickHouseSink::new(target, None, ConnectionOptions::default()).unwrap();
    let text = "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)\n";
    let tagged = format!(
        "HTTP/1.1 200 OK\r\nX-ClickHouse-Exception-Tag: abcd\r\nConnection: close\r\n\r\n\r\n\
         __exception__\r\nabcd\r\n{text}{} abcd\r\n__exception__\r\n",
        text.len()
    );
    let bare = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}");
    for answer in [tagged, bare] {
        let (result, ()) = tokio::join!(sink.execute("OPTIMIZE TABLE t"), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = result.unwrap_err();
        assert_eq!(
            error.server().map(|error| (error.code, error.text.as_str())),
            Some((252, "Too many parts")),
            "{error:?}"
        );
        assert!(error.is_transient());
    }
}
