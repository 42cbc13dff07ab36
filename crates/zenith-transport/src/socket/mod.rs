//! Sockets to ClickHouse, whatever is spoken over them.
//!
//! | part | what it does |
//! | --- | --- |
//! | `options` | timeouts, limits, TLS, compression |
//! | `send_path`, `chooser`, `same_machine` | which system calls bodies go by, and what that is chosen by |
//! | `connect`, `tls` | making a connection, plain or TLS |
//! | `connection` | a socket that sends pieces and hears the server meanwhile |
//! | `body` | what is sent, a window at a time |
//! | `exchange` | one request and its answer, with early answers and broken connections |
//! | `idle` | connections between two requests |
//! | `lent` | pages given to the kernel by an insert that was given up |
//!
//! **A dropped future closes its connection.** A connection goes back to the idle ones only after a whole
//! answer.

pub(crate) mod body;
pub(crate) mod chooser;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod idle;
mod in_flight;
mod options;
mod same_machine;
mod send_path;
pub(crate) mod tls;

pub use options::{Compression, ConnectionOptions, REVISION_NEWEST, TlsOptions};
pub use send_path::{SendMode, SendPath, SendReason, SendReport};
