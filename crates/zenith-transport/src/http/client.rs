//! The client: requests in, answers or errors out.

use std::sync::Arc;
use std::{fmt, io};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamReader;
use serde::de::DeserializeOwned;
use zenith_memory::Pool;

use super::connect::Connector;
use super::exception::Exception;
use super::exchange::{Exchange, Failure};
use super::idle::Idle;
use super::options::HttpOptions;
use super::request::Request;
use super::response::Response;
use crate::frame::Piece;
use crate::{Result, ServerError, Target, TransportError};

/// Characters of a foreign answer that an error message quotes.
const QUOTE_CHARS_MAX: usize = 200;

/// A client of one ClickHouse; clones share its connections.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    options: HttpOptions,
    connector: Connector,
    idle: Idle,
    /// Whose memfd large bodies are sent from.
    pool: Option<Pool>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("target", &self.shared.target).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client of `target`; no connection is made yet. Buffers of `pool` are sent without copying.
    ///
    /// # Errors
    /// [`TransportError::Tls`] if the TLS options cannot be used.
    pub fn new(target: Target, pool: Option<Pool>, options: HttpOptions) -> Result<HttpClient> {
        let connector = Connector::new(&target, &options)?;
        let idle = Idle::new(options.idle_connections_max);
        Ok(HttpClient { shared: Arc::new(Shared { target, options, connector, idle, pool }) })
    }

    /// Whom it talks to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &HttpOptions {
        &self.shared.options
    }

    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.shared.pool.as_ref()
    }

    /// Runs a statement that has no result. Names without a database mean the target's.
    ///
    /// # Errors
    /// What ClickHouse refuses, and broken connections.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        self.send(Request { in_database: true, ..waiting(Request::statement(quoted(sql), sql)) })
            .await
            .map(drop)
    }

    /// Runs a query whose rows are read as `T`, by column names. 64-bit integers arrive as numbers.
    ///
    /// # Errors
    /// What ClickHouse refuses, broken connections, and rows that are no `T`.
    pub async fn query_rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>> {
        self.rows(Request { in_database: true, ..Request::statement(quoted(sql), sql) }).await
    }

    /// Runs a query whose result is read as Arrow.
    ///
    /// `String` columns come as Utf8. Where they hold other bytes, end the query with `SETTINGS
    /// output_format_arrow_string_as_string = 0` to get them as Binary.
    ///
    /// # Errors
    /// What ClickHouse refuses, broken connections, and results larger than
    /// [`HttpOptions::result_bytes_max`].
    pub async fn query_arrow(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.arrow(Request { in_database: true, ..Request::statement(quoted(sql), sql) }).await
    }

    /// Runs `request`, whose statement has no FORMAT, and reads its result as Arrow.
    pub(crate) async fn arrow(&self, request: Request) -> Result<Vec<RecordBatch>> {
        let doing = request.doing.clone();
        let request = Request { answer_bytes_max: self.shared.options.result_bytes_max, ..request }
            .set("default_format", "ArrowStream")
            .set("output_format_arrow_compression_method", "none")
            .set("output_format_arrow_string_as_string", "1")
            .set("output_format_arrow_fixed_string_as_fixed_byte_array", "1")
            .set("output_format_arrow_low_cardinality_as_dictionary", "0");
        let response = self.send(request).await?;
        read_arrow(&response.body).map_err(|source| TransportError::Arrow {
            action: "decode",
            what: doing,
            source,
        })
    }

    /// Runs `request`, whose statement has no FORMAT, and reads its rows.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, request: Request) -> Result<Vec<T>> {
        let request = request
            .set("default_format", "JSONEachRow")
            .set("output_format_json_quote_64bit_integers", "0")
            .set("output_format_json_quote_denormals", "1");
        let answer_bytes_max = self.shared.options.result_bytes_max;
        let doing = request.doing.clone();
        let response = self.send(Request { answer_bytes_max, ..waiting(request) }).await?;
        serde_json::Deserializer::from_slice(&response.body)
            .into_iter()
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| TransportError::Answer {
                doing,
                address: self.address(),
                reason: error.to_string(),
            })
    }

    /// Sends a request and gives back its answer, if it is a success.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        let Shared { target, options, connector, idle, pool } = &*self.shared;
        let connection = match idle.take() {
            Some(connection) => connection,
            None => connector.connect(target, options).await?,
        };
        let head = Piece::Memory(Buffer::from_vec(request.head(target)));
        let Request { doing, body, answer_bytes_max, .. } = request;
        let pieces = std::iter::once(head).chain(body.pieces).collect();
        let exchange =
            Exchange::new(connection, pieces, pool.as_ref(), answer_bytes_max, options.idle_timeout);
        let (response, connection) =
            exchange.run().await.map_err(|failure| self.failed(doing.clone(), failure))?;
        if let Some(connection) = connection {
            idle.give(connection);
        }
        self.check(doing, response)
    }

    fn address(&self) -> String {
        self.shared.target.address()
    }

    fn failed(&self, doing: String, failure: Failure) -> TransportError {
        let address = self.address();
        match failure {
            Failure::Io(source) => TransportError::Lost { doing, address, source },
            Failure::Cut(response) => match Exception::find(&response) {
                Some(exception) => self.refused(doing, exception),
                None => TransportError::Lost { doing, address, source: io::ErrorKind::UnexpectedEof.into() },
            },
            Failure::Silent => {
                TransportError::Silent { doing, address, seconds: self.shared.options.idle_timeout.as_secs() }
            }
            Failure::Malformed(reason) => {
                TransportError::Answer { doing, address, reason: reason.to_string() }
            }
        }
    }

    fn refused(&self, doing: String, exception: Exception) -> TransportError {
        let Exception { code, name, text } = exception;
        let (address, user) = (self.address(), self.shared.target.user.clone());
        TransportError::Server(Box::new(ServerError { doing, address, user, code, name, text }))
    }

    fn check(&self, doing: String, response: Response) -> Result<Response> {
        let address = self.address();
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
        Err(TransportError::Status { doing, address, status: response.status, text: text.trim().to_owned() })
    }
}

/// Asks ClickHouse to answer only when the statement has ended, so that its status is final.
pub(crate) fn waiting(request: Request) -> Request {
    request.set("wait_end_of_query", "1")
}

/// A statement as error messages show it: its beginning, on one line.
fn quoted(sql: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("the statement {}…", &line[..end]),
        None => format!("the statement {line}"),
    }
}

fn read_arrow(body: &[u8]) -> std::result::Result<Vec<RecordBatch>, arrow_schema::ArrowError> {
    // A statement without a result gives no stream at all.
    if body.is_empty() {
        return Ok(Vec::new());
    }
    StreamReader::try_new(body, None)?.collect()
}
