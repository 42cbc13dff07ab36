//! One request and its answer on one connection.
//!
//! The server may answer before it has the whole request: a wrong password or an unknown table is known
//! from the head. So the socket is watched for an answer while it is full, and when it breaks, what has
//! come is read before the break is reported.

use std::io;
use std::time::Duration;

use tokio::time::timeout;
use zenith_memory::Pool;

use super::connection::{Connection, Sent};
use super::lent;
use super::response::{Decoder, Malformed, Response};
use crate::frame::Piece;
use crate::send::Cursor;

/// How long to look for an answer on a connection that broke while sending.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Silent,
    Malformed(Malformed),
    /// The connection ended in the middle of the answer, of which this much has come.
    ///
    /// ClickHouse ends it so when an exception comes after the first part of a result.
    Cut(Response),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// A request under way. Dropped before its answer is complete, it closes the connection and sees to the
/// pages it has lent.
pub(super) struct Exchange<'a> {
    /// There until the exchange ends.
    connection: Option<Connection>,
    pieces: Vec<Piece>,
    cursor: Cursor,
    decoder: Option<Decoder>,
    pool: Option<&'a Pool>,
    idle_timeout: Duration,
    /// Whether nobody reads our pages any more: the answer is complete, or the peer is gone.
    settled: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        connection: Connection,
        pieces: Vec<Piece>,
        pool: Option<&'a Pool>,
        answer_bytes_max: usize,
        idle_timeout: Duration,
    ) -> Exchange<'a> {
        Exchange {
            connection: Some(connection),
            pieces,
            cursor: Cursor::default(),
            decoder: Some(Decoder::new(answer_bytes_max)),
            pool,
            idle_timeout,
            settled: false,
        }
    }

    /// Sends the request and reads the answer; the connection comes back if it can be used again.
    pub(super) async fn run(mut self) -> Result<(Response, Option<Connection>), Failure> {
        let whole = self.send().await?;
        if let Err(failure) = self.read_answer().await {
            // Only once the peer is gone may the decoder go too: before, it still waits for the answer.
            let cut = self.settled.then(|| self.decoder.take()).flatten().map(Decoder::into_response);
            return Err(match cut {
                Some(response) if response.status != 0 => Failure::Cut(response),
                _ => failure,
            });
        }
        self.settled = true;
        let response = self.decoder.take().map(Decoder::into_response).unwrap_or_default();
        let mut connection = self.connection.take().filter(|_| whole && response.reusable);
        if let Some(connection) = &mut connection {
            connection.answered(&response);
        }
        Ok((response, connection))
    }

    /// Sends until everything is sent (true) or the server has something to say (false).
    async fn send(&mut self) -> Result<bool, Failure> {
        let mut answer = vec![0; 4096];
        let (pool, idle_timeout) = (self.pool, self.idle_timeout);
        let Parts { connection, pieces, cursor, decoder, settled } = self.parts()?;
        connection.set_cork(true)?;
        loop {
            let sent = connection.send_some(pool, pieces, cursor, &mut answer);
            match timeout(idle_timeout, sent).await.map_err(|_| Failure::Silent)? {
                Ok(Sent::Some) => {}
                Ok(Sent::All) => {
                    connection.set_cork(false)?;
                    return Ok(true);
                }
                Ok(Sent::Answer(0)) => {
                    *settled = true;
                    return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(Sent::Answer(read)) => {
                    decoder.feed(&answer[..read]).map_err(Failure::Malformed)?;
                    return Ok(false);
                }
                Err(error) => {
                    return match timeout(LAST_WORDS_TIMEOUT, self.read_answer()).await {
                        Ok(Ok(())) => Ok(false),
                        _ => Err(Failure::Io(error)),
                    };
                }
            }
        }
    }

    /// Reads until the answer is complete.
    async fn read_answer(&mut self) -> Result<(), Failure> {
        let idle_timeout = self.idle_timeout;
        let Parts { connection, decoder, settled, .. } = self.parts()?;
        let mut buf = vec![0; READ_BYTES];
        while !decoder.is_done() {
            let read = timeout(idle_timeout, connection.read(&mut buf)).await.map_err(|_| Failure::Silent)?;
            *settled |= matches!(read, Ok(0) | Err(_));
            match read? {
                0 if decoder.end() => {}
                0 => return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into())),
                read => {
                    decoder.feed(&buf[..read]).map_err(Failure::Malformed)?;
                }
            }
        }
        Ok(())
    }

    fn parts(&mut self) -> io::Result<Parts<'_>> {
        let Exchange { connection, pieces, cursor, decoder, settled, .. } = self;
        match (connection, decoder) {
            (Some(connection), Some(decoder)) => Ok(Parts { connection, pieces, cursor, decoder, settled }),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// What sending and reading work on.
struct Parts<'e> {
    connection: &'e mut Connection,
    pieces: &'e [Piece],
    cursor: &'e mut Cursor,
    decoder: &'e mut Decoder,
    settled: &'e mut bool,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let lent = self.pieces.iter().any(|piece| matches!(piece, Piece::File { .. }));
        if self.settled || !lent {
            return;
        }
        if let (Some(connection), Some(decoder)) = (self.connection.take(), self.decoder.take()) {
            lent::keep_until_read(connection, decoder, std::mem::take(&mut self.pieces));
        }
    }
}
