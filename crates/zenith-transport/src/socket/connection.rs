//! One connection: a socket that sends pieces and listens to the server meanwhile.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::task::coop::consume_budget;
use zenith_net::Stream;

use crate::frame::Piece;
use crate::send::{self, Cursor, Pipe, Route};

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// What is spliced through, once anything is.
    pipe: Option<Pipe>,
}

/// What came of an attempt to send.
#[derive(Debug)]
pub(crate) enum Sent {
    /// So many bytes more were sent, or, if none, sending may be tried again.
    Some(usize),
    /// Everything was sent.
    All,
    /// The server says something before it has everything; so many bytes were read, 0 for its end.
    Answer(usize),
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Connection {
        Connection { stream, pipe: None }
    }

    /// Whether it is open, idle and has nothing to say, so that another request may be sent on it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }

    /// Holds small segments back while a request is sent, or lets them go.
    pub(crate) fn set_cork(&self, on: bool) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(tcp) => send::set_cork(tcp, on),
            _ => Ok(()),
        }
    }

    /// Sends some of `pieces`, waiting until the socket takes them or the server answers into `answer`.
    ///
    /// The processor time of the system calls is added to `cpu` if the route is measured.
    pub(crate) async fn send_some(
        &mut self,
        route: Route<'_>,
        pieces: &[Piece],
        cursor: &mut Cursor,
        cpu: &mut Duration,
        answer: &mut [u8],
    ) -> io::Result<Sent> {
        match &mut self.stream {
            Stream::Tcp(tcp) => {
                if cursor.is_at_end(pieces) {
                    return Ok(Sent::All);
                }
                consume_budget().await;
                let began = route.is_measured.then(send::thread_cpu);
                let sent = send::try_send(tcp, &mut self.pipe, route, pieces, cursor);
                *cpu += began.map_or(Duration::ZERO, |began| send::thread_cpu().saturating_sub(began));
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Sent::Some(0)),
                    sent => return sent.map(Sent::Some),
                }
                if tcp.ready(Interest::READABLE | Interest::WRITABLE).await?.is_readable() {
                    match tcp.try_read(answer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => return read.map(Sent::Answer),
                    }
                }
                Ok(Sent::Some(0))
            }
            stream if cursor.is_at_end(pieces) => stream.flush().await.map(|()| Sent::All),
            stream => poll_fn(|context| poll_send(stream, context, pieces, cursor, answer)).await,
        }
    }

    /// Reads what has come, 0 at the end.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| {
            let mut buf = ReadBuf::new(into);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buf))?;
            Poll::Ready(Ok(buf.filled().len()))
        })
        .await
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn end_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Sends what is read from memory, as TLS does.
fn poll_send(
    stream: &mut Stream,
    context: &mut Context<'_>,
    pieces: &[Piece],
    cursor: &mut Cursor,
    answer: &mut [u8],
) -> Poll<io::Result<Sent>> {
    let mut buf = ReadBuf::new(answer);
    if let Poll::Ready(read) = Pin::new(&mut *stream).poll_read(context, &mut buf) {
        return Poll::Ready(read.map(|()| Sent::Answer(buf.filled().len())));
    }
    let sent = ready!(Pin::new(stream).poll_write_vectored(context, &cursor.slices(pieces, true)))?;
    if sent == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    cursor.advance(pieces, sent);
    Poll::Ready(Ok(Sent::Some(sent)))
}
