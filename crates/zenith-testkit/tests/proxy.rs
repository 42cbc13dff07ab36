//! The proxies break exactly what they are configured to break, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zenith_testkit::{Certificate, ClickHouse, Direction, Fault, FaultProxy, Plan, TestServers, TlsProxy};

/// A server that sends back what it gets; its address.
async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                tokio::io::copy(&mut reads, &mut writes).await
            });
        }
    });
    address
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn faithful_until_told_otherwise_and_after_healing() {
    let proxy = FaultProxy::start(echo_server().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "hello").await.unwrap(), "hello");
    proxy.plan(Fault::Refuse);
    assert!(say(&mut stream, "hello").await.is_err());
    proxy.heal();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, "again").await.unwrap(), "again");
    // The end of one direction passes on, and the other one is still carried.
    stream.write_all(b"rest").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "rest");
    assert_eq!((proxy.connections(), proxy.faults()), (2, 1));
}

#[tokio::test]
async fn cut_after_exactly_the_given_bytes() {
    let proxy = FaultProxy::start(echo_server().await).await.unwrap();
    for (direction, sent, expected) in
        [(Direction::ToClient, 1_000_000, 300_000), (Direction::ToServer, 300_001, 300_000)]
    {
        proxy.plan(Plan::new(Fault::CutAfter { direction, bytes: 300_000 }).times(1));
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut reads, mut writes) = stream.split();
        let data = vec![7; sent];
        let mut received = 0;
        let mut buffer = vec![0; 65_536];
        let read = async {
            while let Ok(count @ 1..) = reads.read(&mut buffer).await {
                received += count;
            }
        };
        let (_, ()) = tokio::join!(writes.write_all(&data), read);
        // A reset may overtake what the client has not read yet, but nothing beyond the limit ever comes.
        assert!(received <= expected, "{received}");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "whole").await.unwrap(), "whole");
    }
    assert_eq!(proxy.faults(), 2);
}

#[tokio::test]
async fn server_gets_exactly_the_bytes_before_the_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap().to_string()).await.unwrap();
    proxy.plan(Fault::CutAfter { direction: Direction::ToServer, bytes: 100_001 });
    let reader = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = 0;
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            received += count;
        }
        received
    });
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let _ = stream.write_all(&vec![1; 500_000]).await;
    assert!(reader.await.unwrap() <= 100_001);
}

#[tokio::test]
async fn delay_and_cut_all() {
    let proxy = Arc::new(FaultProxy::start(echo_server().await).await.unwrap());
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.plan(Fault::Delay { direction: Direction::ToClient, duration: Duration::from_millis(150) });
    let begun = Instant::now();
    assert_eq!(say(&mut stream, "slow").await.unwrap(), "slow");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    proxy.cut_all();
    assert!(stream.read_exact(&mut [0]).await.is_err());
}

#[tokio::test]
async fn acknowledgement_of_an_insert_is_lost_but_the_rows_are_there() {
    let databases = TestServers::shared().await.databases("proxy").await.unwrap();
    let direct = &databases.clickhouse;
    direct.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").await.unwrap();
    let proxy = FaultProxy::start(format!("{}:{}", direct.host(), direct.port())).await.unwrap();
    proxy.plan(Plan::new(Fault::lose_answer()).when_client_sends("INSERT").times(1));
    let through =
        ClickHouse::from_url(&direct.url().replace(&direct.port().to_string(), &proxy.port().to_string()));
    let through = through.unwrap();

    // Not an insert: nothing happens.
    assert_eq!(through.query("SELECT count() FROM t").await.unwrap(), "0");
    let rows: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    let lost = through.insert("INSERT INTO t FORMAT TabSeparated", rows.as_bytes()).await;
    assert!(lost.is_err());
    assert_eq!(direct.query("SELECT count() FROM t").await.unwrap(), "200000");
    // Once only.
    through.insert("INSERT INTO t FORMAT TabSeparated", b"7\n").await.unwrap();
    assert_eq!(direct.query("SELECT count() FROM t").await.unwrap(), "200001");
    assert_eq!(proxy.faults(), 1);
    databases.remove().await.unwrap();
}

#[tokio::test]
async fn tls_reaches_clickhouse() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let server = TestServers::shared().await.clickhouse();
    let directory = std::env::temp_dir().join(format!("zenith-testkit-proxy-{}", std::process::id()));
    let certificate = Certificate::create(&directory).unwrap();
    let proxy = TlsProxy::start(format!("{}:{}", server.host(), server.port()), &certificate).await.unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate.authority_file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(client).connect(name, stream).await.unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // ClickHouse ends the connection without the close notification of TLS.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).contains("Ok."), "{answer:?}");
    std::fs::remove_dir_all(directory).unwrap();
}
