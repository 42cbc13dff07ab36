//! Client connections: dialling, TLS, socket options, idle connections. MongoDB and ClickHouse are spoken over them.
//!
//! | item | role |
//! | --- | --- |
//! | [`Address`] | host and port, or the path of a Unix socket |
//! | [`Dialer`] | makes connections to one server, each within one timeout |
//! | [`Tls`], [`TlsFiles`] | whom to trust and who we are, read from PEM files once |
//! | [`Stream`] | a connection: TCP, TLS over TCP, or a Unix socket |
//! | [`Idle`], [`Reuse`] | connections that wait for their next request |
//! | [`TlsFault`] | faults of TLS that a setting can remedy |
//! | [`NetError`] | which step of dialling failed |
//!
//! ```text
//!  TlsFiles ──▶ Tls ──▶ Dialer ──dial──▶ Stream ──request, answer──▶ Idle::give
//!                         ▲                 ▲                            │
//!                         └── none is usable └──────── Idle::take ◀──────┘
//! ```
//!
//! This crate knows nothing of the protocols spoken on a connection. It never dials again on its own: retries are for
//! callers, who know what was lost. It imports no other crate of Zenith.

mod address;
mod dial;
mod error;
mod idle;
mod stream;
mod tls;
mod tls_fault;

pub use address::Address;
pub use dial::Dialer;
pub use error::NetError;
pub use idle::{Idle, Reuse};
pub use stream::Stream;
pub use tls::{Tls, TlsFiles, is_refusal};
pub use tls_fault::TlsFault;
