//! The suite every sink runs: over either protocol, in its variants.

use zenith_testkit::{Certificate, TlsProxy};
use zenith_transport::{
    ClickHouseSink, Compression, ConnectionOptions, MemorySink, Protocol, Target, TlsOptions, sink_test_suite,
};

use crate::support::{address, database, sink_over, target_at};

async fn over(protocol: Protocol) -> ClickHouseSink {
    sink_over(protocol, "suite", ConnectionOptions::default()).await.0
}

async fn compressed(protocol: Protocol, compression: Compression) -> ClickHouseSink {
    let options = ConnectionOptions { compression, ..ConnectionOptions::default() };
    sink_over(protocol, "suite", options).await.0
}

/// As a server of that revision would have it.
async fn at_revision(revision_max: u64) -> ClickHouseSink {
    let options = ConnectionOptions { revision_max, ..ConnectionOptions::default() };
    sink_over(Protocol::Native, "suite", options).await.0
}

/// Over TLS, by a proxy that serves until the test's runtime ends.
async fn over_tls() -> ClickHouseSink {
    let name = zenith_testkit::services::test_servers::unique_name("zenith-transport-suite");
    let directory = std::env::temp_dir().join(name);
    let certificate = Certificate::create(&directory).unwrap();
    let proxy = TlsProxy::start(address(Protocol::Native).await, &certificate).await.unwrap();
    let at = format!("127.0.0.1:{}", proxy.port());
    let plain = target_at(Protocol::Native, &at, &database("suite").await);
    let target = Target::parse(&format!("{plain}?secure=true")).unwrap();
    let tls = TlsOptions { ca_file: Some(certificate.authority_file()), insecure: false };
    let options = ConnectionOptions { tls, ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(target, None, options).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    std::mem::forget(proxy);
    sink
}

async fn memory() -> MemorySink {
    MemorySink::new()
}

sink_test_suite!(in_memory, memory());
sink_test_suite!(http, over(Protocol::Http));
sink_test_suite!(http_with_lz4, compressed(Protocol::Http, Compression::Lz4));
sink_test_suite!(http_with_zstd, compressed(Protocol::Http, Compression::Zstd));
sink_test_suite!(native, over(Protocol::Native));
sink_test_suite!(native_of_22_8, at_revision(54459));
sink_test_suite!(native_of_23_3, at_revision(54462));
sink_test_suite!(native_with_lz4, compressed(Protocol::Native, Compression::Lz4));
sink_test_suite!(native_with_zstd, compressed(Protocol::Native, Compression::Zstd));
sink_test_suite!(native_over_tls, over_tls());
