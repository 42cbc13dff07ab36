//! The client: statements and inserts on connections that are kept.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use zenith_memory::Pool;
use zenith_net::{Idle, Reuse, is_refusal};

use super::answer::QueryAnswer;
use super::block::{self, Block};
use super::compress::Compressed;
use super::hello::{self, HelloAnswer};
use super::packet::{Dialect, Exception};
use super::{REVISION_MIN, query, rows};
use crate::ddl::identifier;
use crate::error::code_name;
use crate::frame::Piece;
use crate::send::Route;
use crate::socket::body::{Chain, Whole};
use crate::socket::connect::Connector;
use crate::socket::connection::Connection;
use crate::socket::exchange::{Exchange, Failure};
use crate::socket::{ConnectionOptions, REVISION_NEWEST};
use crate::statement::Statement;
use crate::{Compression, Result, SendReport, ServerError, Target, TransportError};

/// A connection that has been idle for longer is asked whether the server is still there: balancers and
/// firewalls drop connections silently.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long the answer to that may take; a new connection is made then.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one ClickHouse.
pub(crate) struct NativeClient {
    target: Arc<Target>,
    options: Arc<ConnectionOptions>,
    connector: Connector,
    idle: Idle<HandshakenConnection>,
    /// The pool from whose file, if it has one, large columns are sent.
    pool: Option<Pool>,
}

/// A connection after its handshake.
struct HandshakenConnection {
    connection: Connection,
    revision: u64,
    /// Whether names without a database mean the target's.
    in_database: bool,
    idle_since: Instant,
}

impl Reuse for HandshakenConnection {
    fn is_usable(&self) -> bool {
        self.connection.is_quiet()
    }
}

impl fmt::Debug for NativeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeClient").field("target", &self.target).finish_non_exhaustive()
    }
}

impl NativeClient {
    pub(crate) fn new(
        target: Arc<Target>,
        pool: Option<Pool>,
        options: Arc<ConnectionOptions>,
    ) -> Result<NativeClient> {
        let connector = Connector::new(&target, &options, pool.as_ref())?;
        let idle = Idle::new(options.idle_connections_max);
        Ok(NativeClient { target, options, connector, idle, pool })
    }

    /// How inserts are sent.
    pub(crate) fn send_report(&self) -> Option<SendReport> {
        self.connector.paths.report()
    }

    /// Runs a statement and waits for its end; a result is dropped.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<()> {
        self.run(&Statement { binary: true, ..statement }, None).await.map(drop)
    }

    /// Runs a query and reads its result.
    pub(crate) async fn arrow(&self, statement: Statement) -> Result<Vec<RecordBatch>> {
        let statement = Statement { answer_bytes_max: self.options.result_bytes_max, ..statement };
        self.run(&statement, None).await.map(|(batches, _)| batches)
    }

    /// Runs a query and reads its rows as `T`, by column names.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>> {
        let doing = statement.doing.clone();
        let batches = self.arrow(statement).await?;
        let mut found = Vec::new();
        for batch in batches {
            for row in rows::rows(&batch).map_err(|reason| self.malformed(&doing, reason))? {
                let row = serde_json::from_value(row);
                found.push(row.map_err(|error| self.malformed(&doing, error.to_string()))?);
            }
        }
        Ok(found)
    }

    /// Runs an insert with its batch as one block; how many bytes were sent for it.
    pub(crate) async fn insert(&self, statement: Statement, batch: RecordBatch) -> Result<u64> {
        let route = self.connector.paths.route(batch.get_array_memory_size(), self.pool.as_ref());
        let block = Block::new(&batch, self.pool.clone(), &statement.doing)?;
        // The block holds the buffers from here on, and gives them back when the insert is acknowledged.
        drop(batch);
        self.run(&statement, Some((block, route))).await.map(|(_, bytes)| bytes)
    }

    fn compression(&self) -> Compression {
        self.target.compression.unwrap_or(self.options.compression)
    }

    /// Runs a statement, with the block of an insert; its result, and the number of bytes sent.
    async fn run(
        &self,
        statement: &Statement,
        block: Option<(Block, Route<'_>)>,
    ) -> Result<(Vec<RecordBatch>, u64)> {
        let mut greeted = self.greeted(&statement.doing).await?;
        if statement.in_database && !greeted.in_database {
            let sql = format!("USE {}", identifier(&self.target.database));
            let (_, _, used) = self.query(greeted, &Statement::new(&*statement.doing, sql), None).await?;
            greeted = used;
            greeted.in_database = true;
        }
        let (batches, bytes, greeted) = self.query(greeted, statement, block).await?;
        self.idle.give(HandshakenConnection { idle_since: Instant::now(), ..greeted });
        Ok((batches, bytes))
    }

    /// Runs a statement on a connection, and keeps the connection for reuse if all went well.
    async fn query(
        &self,
        greeted: HandshakenConnection,
        statement: &Statement,
        block: Option<(Block, Route<'_>)>,
    ) -> Result<(Vec<RecordBatch>, u64, HandshakenConnection)> {
        let HandshakenConnection { connection, revision, in_database, idle_since } = greeted;
        // Results are small; compressing them would only keep both sides busy.
        let compression = if block.is_some() { self.compression() } else { Compression::None };
        let dialect = Dialect {
            revision,
            compressed: compression != Compression::None,
            binary: statement.binary,
            bytes_max: statement.answer_bytes_max,
        };
        let (block, route) = block.map_or((None, Route::default()), |(block, route)| (Some(block), route));
        let packet = query::query(statement, &self.target, revision, compression);
        let answer = QueryAnswer::new(dialect);
        let mut exchange = Exchange::new(connection, answer, route, self.options.idle_timeout);
        let outcome = converse(&mut exchange, packet, block, compression).await;
        let (bytes, cpu) = (exchange.bytes(), exchange.cpu());
        let doing = || statement.doing.clone();
        if let Err(failure) = outcome {
            let exception = exchange.into_remains().and_then(|answer| answer.exception);
            return Err(match exception {
                Some(exception) => self.refused(doing(), exception),
                None => self.failed(doing(), failure),
            });
        }
        let Some((answer, connection)) = exchange.finish() else {
            return Err(self.failed(doing(), Failure::Io(io::ErrorKind::NotConnected.into())));
        };
        let clean = answer.is_clean();
        match answer.exception {
            // After some exceptions the server closes the connection, and it does not say after which.
            Some(exception) => Err(self.refused(doing(), exception)),
            None if clean => {
                self.connector.paths.sent(route.path(), bytes, cpu);
                Ok((
                    answer.batches,
                    bytes,
                    HandshakenConnection { connection, revision, in_database, idle_since },
                ))
            }
            None => {
                Err(self.malformed(&statement.doing, "something follows the end of the answer".to_owned()))
            }
        }
    }

    /// A connection that has been greeted: an idle one, or a new one.
    async fn greeted(&self, doing: &str) -> Result<HandshakenConnection> {
        while let Some(greeted) = self.idle.take() {
            if greeted.idle_since.elapsed() < PING_AFTER {
                return Ok(greeted);
            }
            match timeout(PING_TIMEOUT, self.ping(greeted)).await {
                Ok(Some(greeted)) => return Ok(greeted),
                _ => tracing::debug!("an idle connection to ClickHouse no longer answers"),
            }
        }
        let connection = self.connector.connect(&self.target).await?;
        let waited = timeout(self.options.connect_timeout, self.greet(connection, doing));
        waited.await.unwrap_or_else(|_| {
            let seconds = self.options.connect_timeout.as_secs_f32();
            let advice = self.target.protocol.advice();
            // An HTTP server waits for the end of a line that never comes.
            let late = format!("no greeting within {seconds} s; {advice}");
            let late = io::Error::new(io::ErrorKind::TimedOut, late);
            Err(TransportError::Connect { address: self.target.address(), source: late })
        })
    }

    async fn ping(&self, greeted: HandshakenConnection) -> Option<HandshakenConnection> {
        let HandshakenConnection { connection, revision, .. } = greeted;
        let dialect = Dialect { revision, compressed: false, binary: true, bytes_max: 0 };
        let answer = QueryAnswer::new(dialect);
        let mut exchange = Exchange::new(connection, answer, Route::default(), self.options.idle_timeout);
        exchange.send(whole(query::ping())).await.ok()?;
        exchange.read_until(|_| false).await.ok()?;
        let (answer, connection) = exchange.finish()?;
        answer.is_clean().then_some(HandshakenConnection { connection, ..greeted })
    }

    /// Shakes hands on a new connection.
    async fn greet(&self, connection: Connection, doing: &str) -> Result<HandshakenConnection> {
        // Nothing has been asked for yet, so that nothing can have been lost.
        let failed = |failure: Failure| match failure {
            Failure::Io(source) if !is_refusal(&source) => {
                TransportError::Connect { address: self.target.address(), source }
            }
            other => self.failed(doing.to_owned(), other),
        };
        let revision_max = self.options.revision_max.clamp(REVISION_MIN, REVISION_NEWEST);
        let idle_timeout = self.options.idle_timeout;
        let answer = HelloAnswer::new(revision_max);
        let mut exchange = Exchange::new(connection, answer, Route::default(), idle_timeout);
        exchange.send(whole(hello::hello(&self.target, revision_max))).await.map_err(failed)?;
        exchange.read_until(|_| false).await.map_err(failed)?;
        let outcome = exchange.answer().and_then(|answer| answer.outcome.take());
        let revision = match outcome {
            Some(Ok(revision)) => revision,
            Some(Err(exception)) => return Err(self.refused(doing.to_owned(), exception)),
            None => return Err(failed(Failure::Io(io::ErrorKind::UnexpectedEof.into()))),
        };
        exchange.send(whole(hello::addendum())).await.map_err(failed)?;
        let Some((_, connection)) = exchange.finish() else {
            return Err(failed(Failure::Io(io::ErrorKind::NotConnected.into())));
        };
        Ok(HandshakenConnection { connection, revision, in_database: false, idle_since: Instant::now() })
    }

    fn failed(&self, doing: String, failure: Failure) -> TransportError {
        failure.into_error(doing, &self.target, &self.options)
    }

    fn malformed(&self, doing: &str, reason: String) -> TransportError {
        self.failed(doing.to_owned(), Failure::Malformed(reason))
    }

    fn refused(&self, doing: String, exception: Exception) -> TransportError {
        let Exception { code, text } = exception;
        let (address, user) = (self.target.address(), self.target.user.clone());
        let name = code_name(code).to_owned();
        TransportError::Server(Box::new(ServerError { doing, address, user, code, name, text }))
    }
}

/// Sends a query, the block of an insert when the server expects it, and reads the answer to its end.
async fn converse(
    exchange: &mut Exchange<'_, QueryAnswer>,
    packet: Vec<u8>,
    block: Option<Block>,
    compression: Compression,
) -> std::result::Result<(), Failure> {
    let mut sent = exchange.send(whole(packet)).await?;
    if let Some(block) = block
        && sent
    {
        exchange.read_until(|answer| answer.expects_data).await?;
        let expected = exchange.answer().is_some_and(|answer| answer.expects_data && !answer.is_clean());
        sent = expected && exchange_block(exchange, block, compression).await?;
    }
    exchange.read_until(|_| false).await?;
    let refused = exchange.answer().is_some_and(|answer| answer.exception.is_some());
    match sent || refused {
        true => Ok(()),
        false => Err(Failure::Malformed("it ended an insert before it had its rows".to_owned())),
    }
}

async fn exchange_block(
    exchange: &mut Exchange<'_, QueryAnswer>,
    block: Block,
    compression: Compression,
) -> std::result::Result<bool, Failure> {
    if compression != Compression::None {
        return exchange.send(Compressed::new(block, compression)).await;
    }
    let (before, after) = block::around();
    exchange.send(Chain(whole(before), Chain(block, whole(after)))).await
}

fn whole(bytes: Vec<u8>) -> Whole {
    Whole(vec![Piece::Memory(Buffer::from_vec(bytes))])
}
