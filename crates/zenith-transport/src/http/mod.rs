//! ClickHouse's HTTP interface: one small HTTP/1.1 client for bulk inserts, statements and queries.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`HttpClient`] | statements with settings and parameters; answers or errors |
//! | `request` | the head of a request |
//! | `encoding` | bodies compressed on their way |
//! | `response`, `header` | the answer, parsed as it comes, with bounds |
//! | `exception` | exceptions of ClickHouse in headers and bodies |
//!
//! **Content-Length, not chunks.** The size of an insert is known once its batch is framed, so it is
//! declared: no chunk headers between the bodies, and the server knows a body cut short from a whole one.
//! Only a compressed body, whose size is known at its end, comes in chunks.
//!
//! **An acknowledged 200 is final.** `wait_end_of_query=1` makes ClickHouse answer only when the insert has
//! ended; were an exception to come later all the same, its mark in the body is looked for.

mod client;
mod encoding;
mod exception;
mod header;
mod request;
pub(crate) mod response;

pub(crate) use client::HttpClient;
pub(crate) use exception::brief;
