//! A proxy's connection to its server.

use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::TcpStream;

/// A connection that is closed and never reset, even with unread bytes of the server, whenever the proxy is dropped.
///
/// ClickHouse 26.7 terminates when a connection of the native protocol is reset while it waits for its next
/// query.
pub(super) struct Upstream(TcpStream);

impl Upstream {
    /// Connects to `HOST:PORT`.
    pub(super) async fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let _ = stream.set_nodelay(true);
        Ok(Self(stream))
    }
}

impl Deref for Upstream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl DerefMut for Upstream {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // One that is not connected any more has nothing to be ended.
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Write);
    }
}
