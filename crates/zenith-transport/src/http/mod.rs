//! ClickHouse's HTTP interface: one small HTTP/1.1 client for bulk inserts, statements and queries.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`HttpClient`] | requests with settings and parameters; answers or errors |
//! | `request` | the head of a request |
//! | `response`, `header` | the answer, parsed as it comes, with bounds |
//! | `exception` | exceptions of ClickHouse in headers and bodies |
//! | `connection`, `connect`, `idle` | sockets, plain or TLS; kept alive between requests |
//! | `exchange` | one request and its answer, with early answers and broken connections |
//! | `lent` | pages given to the kernel by an insert that was given up |
//!
//! **Content-Length, not chunks.** The size of an insert is known once its batch is framed, so it is
//! declared: no chunk headers between the bodies, and the server knows a body cut short from a whole one.
//!
//! **An acknowledged 200 is final.** `wait_end_of_query=1` makes ClickHouse answer only when the insert has
//! ended; were an exception to come later all the same, its mark in the body is looked for.
//!
//! **A dropped future closes its connection.** A connection goes back to the idle ones only after a whole
//! answer.

mod client;
mod connect;
mod connection;
mod exception;
mod exchange;
mod header;
mod idle;
mod lent;
mod options;
pub(crate) mod request;
pub(crate) mod response;

pub use client::HttpClient;
pub(crate) use client::waiting;
pub use options::{HttpOptions, TlsOptions};
