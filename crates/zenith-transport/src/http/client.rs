//! The client: statements in, answers or errors out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamReader;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use zenith_memory::Pool;
use zenith_net::{Idle, Reuse};

use super::encoding::{self, Encoded};
use super::exception::Exception;
use super::request::{self, Length};
use super::response::{Decoder, Response};
use crate::frame::{Frame, Piece};
use crate::send::Route;
use crate::socket::ConnectionOptions;
use crate::socket::body::{Body, Chain, Whole};
use crate::socket::connect::Connector;
use crate::socket::connection::Connection;
use crate::socket::exchange::{Exchange, Failure};
use crate::statement::Statement;
use crate::{Result, SendReport, ServerError, Target, TransportError};

/// Characters of a foreign answer that an error message quotes.
const QUOTE_CHARS_MAX: usize = 200;
/// How long an idle connection is trusted when the server does not say.
const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(5);

/// A client of one ClickHouse.
pub(crate) struct HttpClient {
    target: Arc<Target>,
    options: Arc<ConnectionOptions>,
    connector: Connector,
    idle: Idle<KeptAlive>,
    /// The pool from whose file, if it has one, large bodies are sent.
    pool: Option<Pool>,
}

/// An idle connection, and until when the server keeps it open.
struct KeptAlive {
    connection: Connection,
    expires: Instant,
}

impl Reuse for KeptAlive {
    fn is_usable(&self) -> bool {
        Instant::now() < self.expires && self.connection.is_quiet()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("target", &self.target).finish_non_exhaustive()
    }
}

impl HttpClient {
    pub(crate) fn new(
        target: Arc<Target>,
        pool: Option<Pool>,
        options: Arc<ConnectionOptions>,
    ) -> Result<HttpClient> {
        let connector = Connector::new(&target, &options, pool.as_ref())?;
        let idle = Idle::new(options.idle_connections_max);
        Ok(HttpClient { target, options, connector, idle, pool })
    }

    /// How inserts are sent.
    pub(crate) fn send_report(&self) -> Option<SendReport> {
        self.connector.paths.report()
    }

    /// Runs a statement that has no result.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<()> {
        self.run(waiting(statement)).await.map(drop)
    }

    /// Runs a statement without FORMAT and reads its result as Arrow.
    pub(crate) async fn arrow(&self, statement: Statement) -> Result<Vec<RecordBatch>> {
        let doing = statement.doing.clone();
        let text = if statement.binary { "0" } else { "1" };
        let statement = Statement { answer_bytes_max: self.options.result_bytes_max, ..statement }
            .set("default_format", "ArrowStream")
            .set("output_format_arrow_compression_method", "none")
            .set("output_format_arrow_string_as_string", text)
            .set("output_format_arrow_fixed_string_as_fixed_byte_array", "1")
            .set("output_format_arrow_low_cardinality_as_dictionary", "0");
        let response = self.run(statement).await?;
        read_arrow(&response.body).map_err(|source| TransportError::Arrow {
            action: "decode",
            what: doing,
            source,
        })
    }

    /// Runs a statement without FORMAT and reads its rows as `T`, by column names.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>> {
        let statement = Statement { answer_bytes_max: self.options.result_bytes_max, ..statement }
            .set("default_format", "JSONEachRow")
            .set("output_format_json_quote_64bit_integers", "0")
            .set("output_format_json_quote_denormals", "1");
        let doing = statement.doing.clone();
        let response = self.run(waiting(statement)).await?;
        serde_json::Deserializer::from_slice(&response.body)
            .into_iter()
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| self.failed(doing, Failure::Malformed(error.to_string())))
    }

    /// Runs an `INSERT … FORMAT ArrowStream` with a batch; how many bytes were sent for it.
    pub(crate) async fn insert(&self, statement: Statement, batch: RecordBatch) -> Result<u64> {
        let compression = self.target.compression.unwrap_or(self.options.compression);
        let framed = Frame::encode(&batch, self.pool.as_ref());
        // The frame holds the buffers from here on, and gives them back when the insert is acknowledged.
        drop(batch);
        let frame = framed.map_err(|source| TransportError::Arrow {
            action: "encode",
            what: statement.doing.clone(),
            source,
        })?;
        let statement = waiting(statement);
        let Some(encoding) = encoding::name(compression) else {
            let head = self.head(&statement, true, Length::Bytes(frame.bytes));
            let body = Chain(head, Whole(frame.pieces));
            let route = self.connector.paths.route(frame.bytes, self.pool.as_ref());
            return self.exchange(statement, body, route).await.map(|(_, bytes)| bytes);
        };
        let failed = |error| self.failed(statement.doing.clone(), Failure::Io(error));
        let encoded = Encoded::new(frame.pieces, compression).map_err(failed)?;
        let head = self.head(&statement, true, Length::Chunks(encoding));
        match encoded {
            Some(encoded) => {
                let body = Chain(head, encoded);
                self.exchange(statement, body, Route::default()).await.map(|(_, bytes)| bytes)
            }
            None => Ok(0),
        }
    }

    async fn run(&self, statement: Statement) -> Result<Response> {
        let head = self.head(&statement, false, Length::Bytes(statement.sql.len()));
        let sql = Piece::Memory(Buffer::from_vec(statement.sql.clone().into_bytes()));
        let body = Chain(head, Whole(vec![sql]));
        self.exchange(statement, body, Route::default()).await.map(|(response, _)| response)
    }

    fn head(&self, statement: &Statement, in_address: bool, length: Length) -> Whole {
        let head = request::head(statement, &self.target, in_address, length);
        Whole(vec![Piece::Memory(Buffer::from_vec(head))])
    }

    /// Sends a request and gives back its answer, if it is a success, and the number of bytes sent.
    async fn exchange(
        &self,
        statement: Statement,
        body: impl Body,
        route: Route<'_>,
    ) -> Result<(Response, u64)> {
        let Statement { doing, answer_bytes_max, .. } = statement;
        let connection = match self.idle.take() {
            Some(kept) => kept.connection,
            None => self.connector.connect(&self.target).await?,
        };
        let decoder = Decoder::new(answer_bytes_max);
        let mut exchange = Exchange::new(connection, decoder, route, self.options.idle_timeout);
        let sent = exchange.send(body).await;
        let whole = match sent {
            Ok(whole) => exchange.read_until(|_| false).await.map(|()| whole),
            Err(failure) => Err(failure),
        };
        let (bytes, cpu) = (exchange.bytes(), exchange.cpu());
        let whole = match whole {
            Ok(whole) => whole,
            Err(failure) => {
                // ClickHouse ends a connection in the middle of its answer when an exception comes after the
                // first part of a result.
                let cut = exchange.into_remains().map(Decoder::into_response);
                let exception = cut.filter(|cut| cut.status != 0).and_then(|cut| Exception::find(&cut));
                return Err(match exception {
                    Some(exception) => self.refused(doing, exception),
                    None => self.failed(doing, failure),
                });
            }
        };
        let Some((decoder, connection)) = exchange.finish() else {
            return Err(self.failed(doing, Failure::Io(std::io::ErrorKind::NotConnected.into())));
        };
        let response = decoder.into_response();
        if whole && response.reusable {
            self.idle.give(KeptAlive { connection, expires: expires(&response) });
        }
        let response = self.check(doing, response)?;
        self.connector.paths.sent(route.path(), bytes, cpu);
        Ok((response, bytes))
    }

    fn failed(&self, doing: String, failure: Failure) -> TransportError {
        failure.into_error(doing, &self.target, &self.options)
    }

    fn refused(&self, doing: String, exception: Exception) -> TransportError {
        let Exception { code, name, text } = exception;
        let (address, user) = (self.target.address(), self.target.user.clone());
        TransportError::Server(Box::new(ServerError { doing, address, user, code, name, text }))
    }

    fn check(&self, doing: String, response: Response) -> Result<Response> {
        if let Some(exception) = Exception::find(&response) {
            return Err(self.refused(doing, exception));
        }
        if response.status == 200 {
            return Ok(response);
        }
        let text: String = String::from_utf8_lossy(&response.body)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(QUOTE_CHARS_MAX)
            .collect();
        let (address, status) = (self.target.address(), response.status);
        Err(TransportError::Status { doing, address, status, text: text.trim().to_owned() })
    }
}

/// Asks ClickHouse to answer only when the statement has ended, so that its status is final.
fn waiting(statement: Statement) -> Statement {
    statement.set("wait_end_of_query", "1")
}

/// Until when the server keeps the connection open after this answer.
fn expires(response: &Response) -> Instant {
    let timeout = response
        .headers
        .get("keep-alive")
        .and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")))
        .and_then(|seconds| seconds.trim().parse().ok())
        .map_or(KEEP_ALIVE_DEFAULT, Duration::from_secs);
    // A second less than the server waits, for a request must not cross its goodbye.
    Instant::now() + timeout.saturating_sub(Duration::from_secs(1))
}

fn read_arrow(body: &[u8]) -> std::result::Result<Vec<RecordBatch>, arrow_schema::ArrowError> {
    // A statement without a result gives no stream at all.
    if body.is_empty() {
        return Ok(Vec::new());
    }
    StreamReader::try_new(body, None)?.collect()
}
