//! One request and its answer on one connection.
//!
//! The server may answer before it has the whole request: a wrong password or an unknown table is known
//! from its beginning. So the socket is watched for an answer while it is full, and when it breaks, what has
//! come is read before the break is reported.

use std::io;
use std::time::Duration;

use arrow_schema::ArrowError;
use tokio::time::timeout;

use super::body::Body;
use super::connection::{Connection, Sent};
use super::in_flight;
use crate::frame::Piece;
use crate::send::{Cursor, Route};
use crate::target::Target;
use crate::{ConnectionOptions, TransportError};

/// How long to wait for an answer on a connection that broke while sending.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What the server says, as it comes.
pub(crate) trait Answer: Send + 'static {
    /// Takes bytes; what is wrong with them if they are none of an answer, or none that can be read.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Takes the end of the stream, which completes some answers.
    fn end(&mut self) {}

    /// Whether nothing more is to come.
    fn is_done(&self) -> bool;

    /// Whether what has come makes it useless to send on.
    fn refuses(&self) -> bool;
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Io(io::Error),
    Silent,
    /// These bytes are no answer of ClickHouse's.
    Malformed(String),
    /// It is an answer, with a result that Arrow has no place for.
    Unreadable(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl Failure {
    pub(crate) fn into_error(
        self,
        doing: String,
        target: &Target,
        options: &ConnectionOptions,
    ) -> TransportError {
        let address = target.address();
        match self {
            Failure::Io(source) if zenith_net::is_refusal(&source) => {
                TransportError::Tls { address, source: source.into() }
            }
            Failure::Io(source) => TransportError::Lost { doing, address, source },
            Failure::Silent => {
                TransportError::Silent { doing, address, seconds: options.idle_timeout.as_secs() }
            }
            Failure::Malformed(reason) => {
                TransportError::Answer { doing, address, protocol: target.protocol, reason }
            }
            Failure::Unreadable(reason) => TransportError::Arrow {
                action: "decode",
                what: doing,
                source: ArrowError::ParseError(reason),
            },
        }
    }
}

/// A request under way. Dropped before its answer is complete, it closes the connection and sees to the
/// pages it has lent.
pub(crate) struct Exchange<'a, A: Answer> {
    /// Both are there until the exchange ends.
    connection: Option<Connection>,
    answer: Option<A>,
    /// What is being sent, and how far that has got.
    window: Vec<Piece>,
    cursor: Cursor,
    /// What the kernel was given before that: the server may not have read it yet.
    lent: Vec<Piece>,
    bytes: u64,
    /// Processor time that sending has taken, if the route is measured.
    cpu: Duration,
    route: Route<'a>,
    idle_timeout: Duration,
    /// Whether our pages have no reader left: the answer is complete, or the peer has closed.
    settled: bool,
}

impl<'a, A: Answer> Exchange<'a, A> {
    pub(crate) fn new(
        connection: Connection,
        answer: A,
        route: Route<'a>,
        idle_timeout: Duration,
    ) -> Exchange<'a, A> {
        Exchange {
            connection: Some(connection),
            answer: Some(answer),
            window: Vec::new(),
            cursor: Cursor::default(),
            lent: Vec::new(),
            bytes: 0,
            cpu: Duration::ZERO,
            route,
            idle_timeout,
            settled: false,
        }
    }

    /// Bytes sent so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Processor time that sending took, if that was to be measured.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        self.route.is_measured.then_some(self.cpu)
    }

    /// Sends until everything is sent (true) or the server refuses it (false).
    pub(crate) async fn send(&mut self, mut body: impl Body) -> Result<bool, Failure> {
        let mut answer = vec![0; 4096];
        self.parts()?.connection.set_cork(true)?;
        loop {
            if self.cursor.is_at_end(&self.window) {
                self.refill(&mut body)?;
            }
            let (route, idle_timeout) = (self.route, self.idle_timeout);
            let Running { connection, answer: answered, window, cursor, bytes, cpu, settled } =
                self.parts()?;
            let sent = connection.send_some(route, window, cursor, cpu, &mut answer);
            match timeout(idle_timeout, sent).await.map_err(|_| Failure::Silent)? {
                Ok(Sent::Some(sent)) => *bytes += u64::try_from(sent).unwrap_or(u64::MAX),
                Ok(Sent::All) => {
                    connection.set_cork(false)?;
                    return Ok(true);
                }
                Ok(Sent::Answer(0)) => {
                    *settled = true;
                    return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(Sent::Answer(read)) => {
                    answered.feed(&answer[..read])?;
                    if answered.refuses() {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    return match timeout(LAST_WORDS_TIMEOUT, self.read_until(A::is_done)).await {
                        Ok(Ok(())) => Ok(false),
                        _ => Err(Failure::Io(error)),
                    };
                }
            }
        }
    }

    /// Reads until `enough` of the answer has come, which all of it always is.
    pub(crate) async fn read_until(&mut self, enough: impl Fn(&A) -> bool) -> Result<(), Failure> {
        let idle_timeout = self.idle_timeout;
        let Running { connection, answer, settled, .. } = self.parts()?;
        let mut buf = vec![0; READ_BYTES];
        while !answer.is_done() && !enough(answer) {
            let read = timeout(idle_timeout, connection.read(&mut buf)).await.map_err(|_| Failure::Silent)?;
            *settled |= matches!(read, Ok(0) | Err(_));
            match read? {
                0 => {
                    answer.end();
                    if !answer.is_done() {
                        return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                read => answer.feed(&buf[..read])?,
            }
        }
        Ok(())
    }

    /// What the server has said so far.
    pub(crate) fn answer(&mut self) -> Option<&mut A> {
        self.answer.as_mut()
    }

    /// Ends an exchange whose answer is complete.
    pub(crate) fn finish(mut self) -> Option<(A, Connection)> {
        self.settled = true;
        self.answer.take().zip(self.connection.take())
    }

    /// Ends an exchange that failed, with what had come if the peer has closed.
    ///
    /// Before that, no other caller may take the answer: it is still awaited if pages are in flight.
    pub(crate) fn into_remains(mut self) -> Option<A> {
        if self.settled { self.answer.take() } else { None }
    }

    fn refill(&mut self, body: &mut impl Body) -> io::Result<()> {
        let lends = self.route.lends();
        let sent = self.window.extract_if(.., |piece| lends && matches!(piece, Piece::File { .. }));
        self.lent.extend(sent);
        self.cursor = Cursor::default();
        body.refill(&mut self.window)
    }

    fn parts(&mut self) -> io::Result<Running<'_, A>> {
        let Exchange { connection, answer, window, cursor, bytes, cpu, settled, .. } = self;
        match (connection, answer) {
            (Some(connection), Some(answer)) => {
                Ok(Running { connection, answer, window, cursor, bytes, cpu, settled })
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// What sending and reading work on.
struct Running<'e, A> {
    connection: &'e mut Connection,
    answer: &'e mut A,
    window: &'e [Piece],
    cursor: &'e mut Cursor,
    bytes: &'e mut u64,
    cpu: &'e mut Duration,
    settled: &'e mut bool,
}

impl<A: Answer> Drop for Exchange<'_, A> {
    fn drop(&mut self) {
        let mut pieces = std::mem::take(&mut self.lent);
        pieces.append(&mut self.window);
        let is_file = |piece: &Piece| matches!(piece, Piece::File { .. });
        if self.settled || !self.route.lends() || !pieces.iter().any(is_file) {
            return;
        }
        if let (Some(connection), Some(answer)) = (self.connection.take(), self.answer.take()) {
            in_flight::keep_until_read(connection, answer, pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_buffer::Buffer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use zenith_memory::Pool;

    use super::*;
    use crate::socket::SendPath;
    use crate::socket::body::Whole;
    use zenith_net::Stream;

    /// An answer of one byte.
    #[derive(Default)]
    struct Heard(bool);

    impl Answer for Heard {
        fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            self.0 |= !bytes.is_empty();
            Ok(())
        }

        fn is_done(&self) -> bool {
            self.0
        }

        fn refuses(&self) -> bool {
            false
        }
    }

    /// Small and large pieces in turn, the large ones in the file of a pool.
    fn pieces(pool: &Pool) -> Vec<Piece> {
        let large = |byte: u8| {
            let mut reservation = pool.try_reserve(3_000_000).unwrap();
            let mut buf = reservation.allocate(3_000_000).unwrap();
            buf.fill(byte);
            Piece::of(buf.freeze(2_999_999), Some(pool))
        };
        let small = |byte: u8| Piece::Memory(Buffer::from_vec(vec![byte; 1_000]));
        vec![small(1), large(2), large(3), small(4), small(5), large(6), small(7)]
    }

    /// Three requests on one connection, whose peer reads slowly at first; what it received.
    async fn send_three(route: Route<'_>, pieces: &[Piece]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let bytes: usize = pieces.iter().map(|piece| piece.buffer().len()).sum();
        let peer = tokio::spawn(async move {
            let mut received = Vec::new();
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let end = received.len() + bytes;
                while received.len() < end {
                    assert!(peer.read_buf(&mut received).await.unwrap() > 0);
                }
                peer.write_all(b"!").await.unwrap();
            }
            received
        });
        let mut connection = Connection::new(Stream::Tcp(stream));
        for _ in 0..3 {
            let mut exchange = Exchange::new(connection, Heard::default(), route, Duration::from_secs(10));
            assert!(exchange.send(Whole(pieces.to_vec())).await.unwrap());
            exchange.read_until(|_| false).await.unwrap();
            assert_eq!(exchange.bytes(), u64::try_from(bytes).unwrap());
            let cpu = exchange.cpu();
            assert!(cpu.is_some() == route.is_measured && cpu != Some(Duration::ZERO), "{cpu:?}");
            connection = exchange.finish().unwrap().1;
        }
        peer.await.unwrap()
    }

    #[tokio::test]
    async fn every_path_sends_the_same_bytes_and_knows_what_that_cost() {
        let pool = Pool::in_file(16 << 20).unwrap();
        let pieces = pieces(&pool);
        let files = pieces.iter().filter(|piece| matches!(piece, Piece::File { .. })).count();
        assert_eq!(files, 3);
        let sent: Vec<u8> = pieces.iter().flat_map(|piece| piece.buffer().as_slice()).copied().collect();
        for path in [SendPath::Writev, SendPath::Sendfile, SendPath::Splice] {
            for is_measured in [true, false] {
                let route = Route::new(path, pool.file(), is_measured);
                assert_eq!((route.path(), route.lends()), (path, path != SendPath::Writev));
                let received = send_three(route, &pieces).await;
                assert!(received == sent.repeat(3), "{path:?}");
            }
        }
        assert!(!Route::new(SendPath::Splice, None, false).lends());
    }
}
