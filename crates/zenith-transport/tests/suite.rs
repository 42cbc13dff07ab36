//! The suite every sink runs: over either protocol, in its variants.

use zenith_transport::{
    ClickHouseSink, Compression, ConnectionOptions, MemorySink, Protocol, TlsOptions, sink_test_suite,
};

use crate::support::{behind_tls, sink_over};

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
    let (proxy, certificate, target) = behind_tls(Protocol::Native, "suite").await;
    let tls = TlsOptions { ca_file: Some(certificate.authority_file()), insecure: false };
    let options = ConnectionOptions { tls, ..ConnectionOptions::default() };
    let sink = ClickHouseSink::new(target, None, options).unwrap();
    std::fs::remove_dir_all(certificate.authority_file().parent().unwrap()).unwrap();
    std::mem::forget(proxy);
    sink
}

async fn memory() -> MemorySink {
    MemorySink::new()
}

sink_test_suite!(in_memory, memory(), tables);
sink_test_suite!(http, over(Protocol::Http), tables, rows);
sink_test_suite!(http_with_lz4, compressed(Protocol::Http, Compression::Lz4), tables, rows);
sink_test_suite!(http_with_zstd, compressed(Protocol::Http, Compression::Zstd), tables, rows);
sink_test_suite!(native, over(Protocol::Native), tables, rows);
sink_test_suite!(native_of_22_8, at_revision(54459), tables, rows);
sink_test_suite!(native_of_23_3, at_revision(54462), tables, rows);
sink_test_suite!(native_with_lz4, compressed(Protocol::Native, Compression::Lz4), tables, rows);
sink_test_suite!(native_with_zstd, compressed(Protocol::Native, Compression::Zstd), tables, rows);
sink_test_suite!(native_over_tls, over_tls(), tables, rows);
