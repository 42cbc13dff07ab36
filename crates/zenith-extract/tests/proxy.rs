//! A TCP proxy that cuts connections on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy on a port of its own; it stops with the test's runtime.
#[derive(Clone, Debug)]
pub struct Proxy {
    port: u16,
    cuts: Arc<AtomicUsize>,
    /// Connections are cut when this many bytes have come from the server; 0 for never.
    limit: Arc<AtomicUsize>,
}

impl Proxy {
    /// To the server of a connection string like `mongodb://127.0.0.1:1234`.
    pub async fn start(server: &str) -> Proxy {
        let server = server.trim_start_matches("mongodb://").split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Proxy { port, cuts: Arc::default(), limit: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().pass(client, server.clone()));
            }
        });
        proxy
    }

    /// With `directConnection`, as the driver would otherwise find the server itself by its name.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    pub fn cut_after(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    async fn pass(self, client: TcpStream, server: String) {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut buffer = vec![0; 16 * 1024];
        let mut passed = 0;
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            passed += read;
            let limit = self.limit.load(Ordering::Relaxed);
            if limit > 0 && passed > limit {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        requests.abort();
    }
}
