//! A server that answers what is asked before an insert and then reads no further, over HTTP.

use std::ops::RangeInclusive;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers the question for the version, the only request before the first insert.
pub async fn answer_until_insert(stream: &mut TcpStream) {
    let mut request = vec![0; 8192];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let body = r#"{"version":"26.7.2.1","user":"u","four_digits":1,"settings":[]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// How many bytes of a batch stay in use while its pages are lent: Arrow goes out as it lies, so all of them.
pub fn held_bytes(batch: usize) -> RangeInclusive<usize> {
    batch..=batch
}
