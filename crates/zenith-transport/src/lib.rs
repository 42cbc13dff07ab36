//! Writing ClickHouse: the `Sink` trait, Arrow over HTTP, the kernel send paths, DDL.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`Sink`], [`DynSink`] | where record batches go: the static trait and its object-safe twin |
//! | [`HttpSink`] | ClickHouse over HTTP, one insert per record batch |
//! | [`MemorySink`], [`NullSink`] | a sink for tests, a sink for benches |
//! | [`Target`] | the address of a ClickHouse, its user and its database |
//! | [`ddl`] | Arrow fields as ClickHouse types, tables as `CREATE TABLE` |
//! | [`http`] | the HTTP/1.1 client that sends Arrow without copying it |
//! | [`TransportError`] | what went wrong, and whether trying again may help |
//!
//! ```text
//!  RecordBatch ──frame──▶ pieces: heap bytes | ranges of the pool's memfd
//!                            │ writev              │ sendfile
//!                            └────────▶ socket ◀───┘ ──▶ ClickHouse ──200──▶ Durable, buffers released
//! ```
//!
//! The crate knows where its batches go, not where they come from. Raw system calls stand in one module,
//! `send`; nothing else here is unsafe.

pub mod clickhouse;
pub mod ddl;
pub mod dead_letter;
mod error;
mod frame;
pub mod http;
mod send;
pub mod sink;
pub mod target;

pub use clickhouse::HttpSink;
pub use ddl::{Engine, TableDefinition};
pub use dead_letter::DeadLetter;
pub use error::{Result, ServerError, TransportError};
pub use http::{HttpOptions, TlsOptions};
pub use send::WriteStrategy;
pub use sink::memory::MemorySink;
pub use sink::null::NullSink;
pub use sink::{
    ColumnInfo, Durable, DynSink, Insert, Merging, Preflight, Published, ServerInfo, Sink, TableInfo,
};
pub use target::Target;
