//! Dialling: what fails at which step, whom TLS trusts, connections that are used again.

// clippy.toml allows this in test functions, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use zenith_net::{Address, Dialer, NetError, Stream, Tls, TlsFiles, is_refusal};
use zenith_testkit::{Certificate, TlsProxy};

fn dialer(tls: Option<Tls>) -> Dialer {
    Dialer { tls, timeout: Duration::from_secs(20), keepalive: true }
}

/// A server that says back what it hears.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = client.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    port
}

async fn talks(stream: &mut Stream) {
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

async fn until_it_is_not_quiet(stream: &Stream) {
    let waiting = async {
        while stream.is_quiet() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[tokio::test]
async fn plain_connections_have_their_options_and_tell_when_they_are_over() {
    let address = Address::tcp("localhost", echo().await);
    let mut stream = dialer(None).dial(&address).await.unwrap();
    let tcp = stream.tcp().unwrap();
    assert!(tcp.nodelay().unwrap() && socket2::SockRef::from(tcp).keepalive().unwrap());
    assert!(stream.is_quiet());
    talks(&mut stream).await;
    stream.write_all(b"!").await.unwrap();
    until_it_is_not_quiet(&stream).await;
    stream.read_exact(&mut [0]).await.unwrap();
    assert!(stream.is_quiet());
    stream.shutdown().await.unwrap();
    // The server closes it in answer.
    until_it_is_not_quiet(&stream).await;
    let plain = Dialer { keepalive: false, ..dialer(None) };
    let stream = plain.dial(&address).await.unwrap();
    assert!(!socket2::SockRef::from(stream.tcp().unwrap()).keepalive().unwrap());
}

#[tokio::test]
async fn unix_sockets_are_dialled_by_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let refused = dialer(None).dial(&Address::Unix(path.clone())).await.unwrap_err();
    assert!(matches!(refused, NetError::Connect(error) if error.kind() == ErrorKind::NotFound));
    let listener = UnixListener::bind(&path).unwrap();
    let stream = dialer(None).dial(&Address::Unix(path)).await.unwrap();
    assert!(stream.is_quiet() && stream.tcp().is_none());
    let (server, _) = listener.accept().await.unwrap();
    drop(server);
    assert!(!stream.is_quiet());
}

#[tokio::test]
async fn the_step_that_fails_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::tcp("127.0.0.1", listener.local_addr().unwrap().port());
    let tls = Tls::new(&TlsFiles::default()).unwrap();
    let hasty = Dialer { timeout: Duration::from_millis(50), ..dialer(Some(tls.clone())) };
    let error = hasty.dial(&address).await.unwrap_err();
    assert!(matches!(error, NetError::Late(_)), "nobody accepts: {error:?}");
    assert_eq!(error.to_string(), "no answer within 0.05 s");
    let closing = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = dialer(Some(tls)).dial(&address).await.unwrap_err();
    assert!(matches!(error, NetError::Handshake(_)), "it is closed at once: {error:?}");
    closing.abort();
    assert!(closing.await.is_err());
    let error = dialer(None).dial(&address).await.unwrap_err();
    assert!(matches!(&error, NetError::Connect(source) if source.kind() == ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn only_those_are_trusted_who_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(folder.path()).unwrap();
    let proxy = TlsProxy::start(format!("127.0.0.1:{}", echo().await), &certificate).await.unwrap();
    let address = Address::tcp("localhost", proxy.port());
    let ca_file = Some(certificate.authority_file());
    let trusting = Tls::new(&TlsFiles { ca_file, ..TlsFiles::default() }).unwrap();
    let mut stream = dialer(Some(trusting.clone())).dial(&address).await.unwrap();
    assert!(stream.tcp().unwrap().nodelay().unwrap());
    talks(&mut stream).await;
    // The certificate is for this machine by two names, and that is not one of them.
    let error = dialer(Some(trusting)).dial(&Address::tcp("127.0.0.2", proxy.port())).await.unwrap_err();
    assert!(matches!(error, NetError::Connect(_) | NetError::Tls(_)), "{error:?}");
    let strange = Tls::new(&TlsFiles::default()).unwrap();
    let error = dialer(Some(strange)).dial(&address).await.unwrap_err();
    assert!(matches!(error, NetError::Tls(_)), "{error:?}");
    let careless = Tls::new(&TlsFiles { insecure: true, ..TlsFiles::default() }).unwrap();
    talks(&mut dialer(Some(careless)).dial(&address).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_is_shown_one() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(folder.path()).unwrap();
    let upstream = format!("127.0.0.1:{}", echo().await);
    let proxy = TlsProxy::start_for_known_clients(upstream, &certificate).await.unwrap();
    let address = Address::tcp("localhost", proxy.port());
    let files = TlsFiles { ca_file: Some(certificate.authority_file()), ..TlsFiles::default() };
    let both = certificate.chain_and_key_file();
    for client in [(certificate.chain_file(), certificate.key_file()), (both.clone(), both)] {
        let tls = Tls::new(&TlsFiles { client: Some(client), ..files.clone() }).unwrap();
        talks(&mut dialer(Some(tls)).dial(&address).await.unwrap()).await;
    }
    // Our side of the handshake is over before the server looks for a certificate.
    let mut stream = dialer(Some(Tls::new(&files).unwrap())).dial(&address).await.unwrap();
    let error = stream.read_exact(&mut [0]).await.unwrap_err();
    assert!(is_refusal(&error), "{error:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(folder.path()).unwrap();
    let (key, chain) = (certificate.key_file(), certificate.chain_file());
    let damaged = folder.path().join("damaged.pem");
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let absent = folder.path().join("absent.pem");
    let of_authorities =
        |file: &std::path::PathBuf| TlsFiles { ca_file: Some(file.clone()), ..TlsFiles::default() };
    let ours = |chain: &std::path::PathBuf, key: &std::path::PathBuf| TlsFiles {
        client: Some((chain.clone(), key.clone())),
        ..TlsFiles::default()
    };
    for (files, told) in [
        (of_authorities(&absent), format!("the CA file {} cannot be used", absent.display())),
        (of_authorities(&key), format!("the CA file {} has no certificates", key.display())),
        (
            of_authorities(&damaged),
            format!("the CA file {} has no certificate that can be used", damaged.display()),
        ),
        (ours(&key, &key), format!("the certificate file {} has no certificates", key.display())),
        (ours(&chain, &chain), format!("the key file {} cannot be used", chain.display())),
    ] {
        let error = Tls::new(&files).unwrap_err();
        assert!(matches!(error, NetError::Tls(_)) && error.to_string().starts_with(&told), "{error}");
    }
    let mixed = std::fs::read_to_string(&damaged).unwrap()
        + &std::fs::read_to_string(certificate.authority_file()).unwrap();
    std::fs::write(&damaged, mixed).unwrap();
    Tls::new(&of_authorities(&damaged)).unwrap();
}
