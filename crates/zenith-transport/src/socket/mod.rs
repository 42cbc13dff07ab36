//! Sockets to ClickHouse, for either protocol.
//!
//! | part | what it does |
//! | --- | --- |
//! | `options` | timeouts, limits, TLS, compression |
//! | `send_path`, `chooser`, `same_machine` | which system calls bodies go by, and what that is chosen by |
//! | `connect` | making a connection, plain or TLS |
//! | `connection` | a socket that sends pieces and listens to the server meanwhile |
//! | `body` | what is sent, a window at a time |
//! | `exchange` | one request and its answer, with early answers and broken connections |
//! | `in_flight` | pages given to the kernel by an insert that was given up |
//!
//! **A dropped future closes its connection.** A connection goes back to the idle ones only after a whole
//! answer.

pub(crate) mod body;
pub(crate) mod chooser;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod exchange;
mod in_flight;
mod options;
mod same_machine;
mod send_path;

pub use options::{Compression, ConnectionOptions, REVISION_NEWEST, TlsOptions};
pub use send_path::{SendMode, SendPath, SendReason, SendReport};
