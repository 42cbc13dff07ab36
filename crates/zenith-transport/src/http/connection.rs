//! One connection: a socket, and how long it may be kept.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use zenith_memory::Pool;

use super::response::Response;
use crate::frame::Piece;
use crate::send::{self, Cursor};

/// How long an idle connection is trusted when the server does not say.
const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    expires: Instant,
}

/// What came of an attempt to send.
#[derive(Debug)]
pub(super) enum Sent {
    /// More was sent, or may be tried again.
    Some,
    /// Everything was sent.
    All,
    /// The server says something before it has everything; so many bytes were read, 0 for its end.
    Answer(usize),
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Connection {
        Connection { stream, expires: Instant::now() }
    }

    /// Notes how long the server keeps the connection after this answer.
    pub(super) fn answered(&mut self, response: &Response) {
        let timeout = response
            .headers
            .get("keep-alive")
            .and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")))
            .and_then(|seconds| seconds.trim().parse().ok())
            .map_or(KEEP_ALIVE_DEFAULT, Duration::from_secs);
        // A second less than the server waits, for a request must not cross its goodbye.
        self.expires = Instant::now() + timeout.saturating_sub(Duration::from_secs(1));
    }

    /// Whether another request may be sent on this idle connection.
    pub(super) fn is_usable(&self) -> bool {
        let socket = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        Instant::now() < self.expires && send::is_quiet(socket)
    }

    /// Holds small segments back while a request is sent, or lets them go.
    pub(super) fn set_cork(&self, on: bool) -> io::Result<()> {
        match &self.stream {
            Stream::Plain(tcp) => send::set_cork(tcp, on),
            Stream::Tls(_) => Ok(()),
        }
    }

    /// Sends some of `pieces`, waiting until the socket takes them or the server answers into `answer`.
    pub(super) async fn send_some(
        &mut self,
        pool: Option<&Pool>,
        pieces: &[Piece],
        cursor: &mut Cursor,
        answer: &mut [u8],
    ) -> io::Result<Sent> {
        match &mut self.stream {
            Stream::Plain(tcp) => {
                if cursor.is_at_end(pieces) {
                    return Ok(Sent::All);
                }
                consume_budget().await;
                match send::try_send(tcp, pool.map(Pool::fd), pieces, cursor) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Sent::Some),
                    sent => return sent.map(|_| Sent::Some),
                }
                if tcp.ready(Interest::READABLE | Interest::WRITABLE).await?.is_readable() {
                    match tcp.try_read(answer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => return read.map(Sent::Answer),
                    }
                }
                Ok(Sent::Some)
            }
            Stream::Tls(tls) if cursor.is_at_end(pieces) => tls.flush().await.map(|()| Sent::All),
            Stream::Tls(tls) => poll_fn(|context| poll_send_tls(tls, context, pieces, cursor, answer)).await,
        }
    }

    /// Reads what has come, 0 at the end.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| {
            let mut buf = ReadBuf::new(into);
            ready!(match &mut self.stream {
                Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, &mut buf),
                Stream::Tls(tls) => Pin::new(tls).poll_read(context, &mut buf),
            })?;
            Poll::Ready(Ok(buf.filled().len()))
        })
        .await
    }

    /// Says that nothing more will be sent.
    pub(super) async fn end_sending(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.shutdown().await,
            Stream::Tls(tls) => tls.shutdown().await,
        }
    }
}

fn poll_send_tls(
    tls: &mut TlsStream<TcpStream>,
    context: &mut Context<'_>,
    pieces: &[Piece],
    cursor: &mut Cursor,
    answer: &mut [u8],
) -> Poll<io::Result<Sent>> {
    let mut buf = ReadBuf::new(answer);
    if let Poll::Ready(read) = Pin::new(&mut *tls).poll_read(context, &mut buf) {
        return Poll::Ready(read.map(|()| Sent::Answer(buf.filled().len())));
    }
    let sent = ready!(Pin::new(tls).poll_write_vectored(context, &cursor.slices(pieces, true)))?;
    if sent == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    cursor.advance(pieces, sent);
    Poll::Ready(Ok(Sent::Some))
}
