//! TLS in front of a PostgreSQL: the packaged one is built without it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result};
use crate::tls::Certificate;

/// What a client sends that wants TLS: a length and a code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Listens on a loopback port, which it returns, for clients that want TLS, until the runtime ends. Others are cut off.
pub async fn front(server: u16, certificate: &Certificate) -> Result<u16> {
    let unusable =
        |error: &dyn std::fmt::Display| Error::Malformed(format!("the certificate cannot be used: {error}"));
    let chain = CertificateDer::pem_file_iter(certificate.chain_file())
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_file(certificate.key_file()).map_err(|error| unusable(&error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(&error))?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::io("listen"))?;
    let port = listener.local_addr().map_err(Error::io("listen"))?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server, acceptor.clone()));
        }
    });
    Ok(port)
}

async fn serve(mut client: TcpStream, server: u16, acceptor: TlsAcceptor) -> std::io::Result<()> {
    let mut wanted = [0; 8];
    client.read_exact(&mut wanted).await?;
    if wanted != SSL_REQUEST {
        return Ok(());
    }
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
