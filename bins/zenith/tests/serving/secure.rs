//! TLS with a certificate of an authority of one's own.

use std::process::Stdio;

use tokio::process::Command;
use zenith_testkit::Certificate;

use super::http::Serving;
use crate::home::Home;

#[tokio::test(flavor = "multi_thread")]
async fn those_who_trust_the_authority_are_answered_by_tls() {
    let home = Home::new();
    let certificate = Certificate::create(&home.folder.path().join("tls")).unwrap();
    let (chain, key) = (certificate.chain_file(), certificate.key_file());
    let arguments = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let serving = Serving::start(&home, &arguments).await;
    let port = serving.address.rsplit(':').next().unwrap();
    let ask = async |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20"]).args(arguments);
        let output = curl.stdin(Stdio::null()).output().await.expect("curl is installed");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let authority = certificate.authority_file();
    let trusting = ["--cacert", authority.to_str().unwrap()];
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/healthz");
        assert_eq!(ask(&[&trusting[..], &[&url]].concat()).await, (true, "{\"ok\":true}".to_owned()));
        assert!(!ask(&[&url]).await.0, "nobody knows its authority");
    }
    let url = format!("https://localhost:{port}/api/v1/server");
    let old = ask(&[&trusting[..], &["--tls-max", "1.1", &url]].concat()).await;
    assert!(!old.0, "old versions of TLS are refused");
    let events = format!("https://localhost:{port}/api/v1/events");
    let listened = ask(&[&trusting[..], &["--no-buffer", "--max-time", "2", &events]].concat()).await;
    assert!(listened.1.starts_with("event: pipelines\n"), "{listened:?}");
    assert!(!ask(&[&format!("http://127.0.0.1:{port}/healthz")]).await.0, "not without TLS");
    // Those who never finish the handshake hold nobody up.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(tokio::net::TcpStream::connect(&serving.address).await.unwrap());
    }
    assert!(ask(&[&trusting[..], &[&url]].concat()).await.0);
    drop(silent);
    serving.stop().await;
}
