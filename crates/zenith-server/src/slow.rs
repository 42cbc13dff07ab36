//! Ends what does not get on: a body that does not arrive, an answer that is not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::places::Seat;

/// How long the other end may take nothing of what it is sent.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
/// How long the body of a request may take to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);
/// What is said of a body that takes longer.
pub const LATE: &str = "the body did not arrive within 10 s";

/// A connection whose other end has to read.
pub struct Taking<S> {
    stream: S,
    seat: Arc<Seat>,
    /// Since when nothing can be sent.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Taking<S> {
    /// A connection with its place.
    pub fn new(stream: S, seat: Arc<Seat>) -> Taking<S> {
        Taking { stream, seat, stuck: None }
    }

    fn judged<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            if self.stuck.take().is_some() {
                self.seat.set_stuck(false);
            }
            return sent;
        }
        let seat = &self.seat;
        let stuck = self.stuck.get_or_insert_with(|| {
            seat.set_stuck(true);
            Box::pin(sleep(TAKEN_WITHIN))
        });
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taking<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judged(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(context);
        self.judged(context, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judged(context, sent)
    }
}

/// The body of a request, which has to arrive in time; then the place is in use.
pub struct Arriving {
    body: Body,
    seat: Arc<Seat>,
    until: Pin<Box<Sleep>>,
}

impl Arriving {
    /// A body of which nothing has been read.
    pub fn new(body: Body, seat: Arc<Seat>) -> Arriving {
        seat.set_busy(body.is_end_stream());
        Arriving { body, seat, until: Box::pin(tokio::time::sleep_until(Instant::now() + BODY_WITHIN)) }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if frame.is_none() || self.body.is_end_stream() {
                self.seat.set_busy(true);
            }
            return Poll::Ready(frame);
        }
        ready!(self.until.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(LATE))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; once it is sent, the place is not in use.
pub struct Answering {
    body: Body,
    seat: Arc<Seat>,
}

impl Answering {
    /// A body of which nothing has been sent.
    pub fn new(body: Body, seat: Arc<Seat>) -> Answering {
        seat.set_busy(true);
        Answering { body, seat }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seat.set_busy(false);
    }
}
