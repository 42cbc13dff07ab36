//! TLS, through a proxy that speaks TLS for ClickHouse.

use zenith_memory::Pool;
use zenith_testkit::services::test_servers::unique_name;
use zenith_testkit::{Certificate, ClickHouseOptions, ClickHouseServer, TlsProxy};
use zenith_transport::{
    ClickHouseSink, ConnectionOptions, Insert, PreflightRequest, Protocol, Sink, TableDefinition, Target,
    TlsOptions, TransportError,
};

use super::support::{PROTOCOL, address, behind_tls, behind_tls_for_known_clients, pooled_rows, scheme};

fn sink(target: &Target, pool: Option<Pool>, tls: TlsOptions) -> zenith_transport::Result<ClickHouseSink> {
    ClickHouseSink::new(target.clone(), pool, ConnectionOptions { tls, ..ConnectionOptions::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_statements_go_through_tls() {
    let (_proxy, certificate, target) = behind_tls(PROTOCOL, "tls").await;
    let pool = Pool::new(32 * 1024 * 1024).unwrap();
    let tls = TlsOptions { ca_file: Some(certificate.authority_file()), insecure: false };
    let sink = sink(&target, Some(pool.clone()), tls).unwrap();
    sink.preflight(&PreflightRequest::default()).await.unwrap();
    let batch = pooled_rows(&pool, 200_000);
    sink.create(&TableDefinition::new("t", batch.schema())).await.unwrap();
    for token in ["a", "b"] {
        sink.write(Insert { table: "t".into(), batch: batch.clone(), token: token.into() }).await.unwrap();
    }
    drop(batch);
    assert_eq!(pool.stats().in_use, 0);
    let rows: Vec<serde_json::Value> =
        sink.query_rows("SELECT count() AS n, sum(id = toUInt64(text)) AS same FROM t").await.unwrap();
    assert_eq!(rows, [serde_json::json!({"n": 400_000, "same": 400_000})]);
    // An early answer is heard through TLS too.
    let batch = pooled_rows(&pool, 200_000);
    let error = sink.write(Insert { table: "absent".into(), batch, token: "a".into() }).await.unwrap_err();
    assert!(error.is_unknown_table(), "{error:?}");
    std::fs::remove_dir_all(certificate.authority_file().parent().unwrap()).unwrap();
}

#[tokio::test]
async fn strangers_are_not_trusted_unless_that_is_asked_for() {
    let (_proxy, certificate, target) = behind_tls(PROTOCOL, "tls").await;
    let error = sink(&target, None, TlsOptions::default()).unwrap().execute("SELECT 1").await.unwrap_err();
    assert!(matches!(error, TransportError::Tls { .. }) && !error.is_transient(), "{error:?}");
    let insecure = TlsOptions { insecure: true, ca_file: None };
    sink(&target, None, insecure).unwrap().execute("SELECT 1").await.unwrap();
    let address = format!("{}?secure=true&ca_cert={}", target, certificate.authority_file().display());
    let told = Target::parse(&address.replacen("s://", "://", 1)).unwrap();
    sink(&told, None, TlsOptions::default()).unwrap().execute("SELECT 1").await.unwrap();
    let no_file = TlsOptions { ca_file: Some("/no/such/file.pem".into()), insecure: false };
    let error = sink(&target, None, no_file).unwrap_err();
    assert!(format!("{:?}", error).contains("/no/such/file.pem"));
    let no_certificate = TlsOptions { ca_file: Some(certificate.key_file()), insecure: false };
    assert!(sink(&target, None, no_certificate).is_err());
    std::fs::remove_dir_all(certificate.authority_file().parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_is_shown_one() {
    let (_proxy, certificate, target) = behind_tls_for_known_clients(PROTOCOL, "tls").await;
    let tls = TlsOptions { ca_file: Some(certificate.authority_file()), insecure: false };
    let error = sink(&target, None, tls.clone()).unwrap().execute("SELECT 1").await.unwrap_err();
    assert!(matches!(error, TransportError::Tls { .. }) && !error.is_transient(), "{error:?}");
    let showing = |shown: &Certificate| {
        let (chain, key) = (shown.chain_file(), shown.key_file());
        let files = format!("client_cert={}&client_cert_key={}", chain.display(), key.display());
        let address = format!("{target}?secure=true&{files}").replacen("s://", "://", 1);
        sink(&Target::parse(&address).unwrap(), None, tls.clone()).unwrap()
    };
    showing(&certificate).execute("SELECT 1").await.unwrap();
    let elsewhere = certificate.authority_file().with_file_name("stranger");
    let stranger = Certificate::create(&elsewhere).unwrap();
    let error = showing(&stranger).execute("SELECT 1").await.unwrap_err();
    assert!(matches!(error, TransportError::Tls { .. }) && !error.is_transient(), "{error:?}");
    std::fs::remove_dir_all(certificate.authority_file().parent().unwrap()).unwrap();
}

/// One sentence each, with the setting that remedies it.
#[tokio::test]
async fn what_tls_says_names_the_setting_that_mends_it() {
    let folder = std::env::temp_dir().join(unique_name("zenith-transport-tls"));
    let upstream = address(PROTOCOL).await;
    let right = Certificate::create(&folder.join("right")).unwrap();
    let elsewhere = Certificate::create_for_another_host(&folder.join("elsewhere")).unwrap();
    let expired = Certificate::create_expired(&folder.join("expired")).unwrap();
    let error = async |port: u16, parameters: String| {
        let url = format!("{}://127.0.0.1:{port}/d?secure=true{parameters}", scheme(PROTOCOL));
        let error = sink(&Target::parse(&url).unwrap(), None, TlsOptions::default())
            .unwrap()
            .execute("SELECT 1")
            .await
            .unwrap_err();
        assert!(matches!(error, TransportError::Tls { .. }) && !error.is_transient(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains('\n'), "{text}");
        text
    };
    let trusting = |certificate: &Certificate| format!("&ca_cert={}", certificate.authority_file().display());

    let proxy = TlsProxy::start(&upstream, &right).await.unwrap();
    for trusted in [String::new(), trusting(&elsewhere)] {
        let text = error(proxy.port(), trusted).await;
        assert!(
            text.contains("has signed") && text.contains("ca_cert=PATH") && text.contains("--ca-file"),
            "{text}"
        );
    }
    let proxy = TlsProxy::start(&upstream, &elsewhere).await.unwrap();
    let text = error(proxy.port(), trusting(&elsewhere)).await;
    assert!(text.contains("another host name"), "{text}");
    let proxy = TlsProxy::start(&upstream, &expired).await.unwrap();
    let text = error(proxy.port(), trusting(&expired)).await;
    assert!(text.contains("has expired"), "{text}");

    let proxy = TlsProxy::start_for_known_clients(&upstream, &right).await.unwrap();
    let text = error(proxy.port(), trusting(&right)).await;
    assert!(text.contains("client_cert=PATH&client_cert_key=PATH"), "{text}");
    let showing = |shown: &Certificate| {
        let (chain, key) = (shown.chain_file(), shown.key_file());
        format!("{}&client_cert={}&client_cert_key={}", trusting(&right), chain.display(), key.display())
    };
    let text = error(proxy.port(), showing(&elsewhere)).await;
    assert!(text.contains("does not accept the certificate in client_cert"), "{text}");

    // The server itself speaks no TLS. One of its own, as a ClickHouse 26.7 may end when a connection ends early.
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let port = match PROTOCOL {
        Protocol::Http => server.http_port(),
        Protocol::Native => server.tcp_port(),
    };
    let text = error(port, trusting(&right)).await;
    assert!(text.contains("speak") && text.contains("TLS there"), "{text}");
    std::fs::remove_dir_all(folder).unwrap();
}
