//! Making connections.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::{Address, NetError, Stream, Tls};

/// A peer that is silent for this long is probed (TCP keep-alive).
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
/// How often it is probed again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a connection is read that has failed.
const LINGER: Duration = Duration::from_secs(2);

/// How connections to one server are made.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// TLS, for TCP connections; `None` for plain ones.
    pub tls: Option<Tls>,
    /// How long a connection may take: name look-up, TCP and TLS together.
    pub timeout: Duration,
    /// Probes a silent peer (TCP keep-alive), so that a server that lost its power does not hold a connection
    /// forever. Without it, those who wait for an answer have to bound their wait.
    pub keepalive: bool,
}

impl Dialer {
    /// Connects. The addresses of a host are tried in the order in which the system's resolver gives them.
    ///
    /// # Errors
    ///
    /// [`NetError`] by the step that failed.
    pub async fn dial(&self, address: &Address) -> Result<Stream, NetError> {
        match timeout(self.timeout, self.dial_untimed(address)).await {
            Ok(result) => result,
            Err(_) => Err(NetError::Late(self.timeout)),
        }
    }

    async fn dial_untimed(&self, address: &Address) -> Result<Stream, NetError> {
        let (host, port) = match address {
            Address::Unix(path) => {
                return UnixStream::connect(path).await.map(Stream::Unix).map_err(NetError::Connect);
            }
            Address::Tcp { host, port } => (host.as_str(), *port),
        };
        let tcp = self.tcp(host, port).await.map_err(NetError::Connect)?;
        match &self.tls {
            Some(tls) => {
                let ending = Ending::of(&tcp).map_err(NetError::Connect)?;
                let stream = tls.connect(host, tcp).await?;
                ending.disarm();
                Ok(stream)
            }
            None => Ok(Stream::Tcp(tcp)),
        }
    }

    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        if self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
            SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        }
        Ok(tcp)
    }
}

/// Ends a connection in an orderly way whose handshake fails or is given up: it is read to its end, for a moment, after
/// nothing more is sent.
///
/// A server that does not speak TLS still answers the greeting, perhaps after the handshake has failed. A connection that
/// is closed with something unread is reset, and that server writes to a connection that is broken.
struct Ending(Option<OwnedFd>);

impl Ending {
    fn of(tcp: &TcpStream) -> io::Result<Ending> {
        tcp.as_fd().try_clone_to_owned().map(Some).map(Ending)
    }

    /// Leaves the connection to its present owner.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(socket) = self.0.take() else { return };
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(LINGER, read_out(socket)));
        }
    }
}

async fn read_out(socket: OwnedFd) -> io::Result<()> {
    let mut tcp = TcpStream::from_std(socket.into())?;
    let mut unread = [0; 512];
    while tcp.read(&mut unread).await? > 0 {}
    Ok(())
}
