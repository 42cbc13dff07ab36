//! Writing ClickHouse: the `Sink` trait, Arrow over HTTP and the native protocol, the kernel send paths, DDL.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`Sink`], [`DynSink`] | where record batches go: the trait, and any sink behind one type |
//! | [`TableAdmin`] | what a sink may do with its tables beyond that: look into them and change them |
//! | [`ClickHouseSink`] | ClickHouse, one insert per record batch, over HTTP or the native protocol |
//! | [`MemorySink`], [`NullSink`] | a sink for tests, a sink for benches |
//! | [`Target`] | the address of a ClickHouse: what to speak, its user and its database |
//! | [`ddl`] | Arrow fields as ClickHouse types, tables as `CREATE TABLE` |
//! | `http` | the HTTP/1.1 client that sends Arrow without copying it |
//! | `native` | the native protocol, in whose blocks columns of fixed width are sent without copying them |
//! | `socket` | connections for both |
//! | [`TransportError`] | what went wrong, and whether trying again may help |
//!
//! ```text
//!  RecordBatch ──frame──▶ pieces: bytes in memory | ranges of the pool's file
//!                            │ writev              │ sendfile, splice
//!                            └────────▶ socket ◀───┘ ──▶ ClickHouse ──────▶ Durable, buffers released
//! ```
//!
//! The crate knows where its batches go, not where they come from. Raw system calls stand in one module,
//! `send`; nothing else here is unsafe.

pub mod clickhouse;
pub mod ddl;
pub mod dead_letter;
mod error;
mod frame;
mod http;
mod native;
mod send;
pub mod sink;
mod socket;
mod statement;
pub mod status;
pub mod target;

pub use clickhouse::ClickHouseSink;
pub use ddl::{Engine, TableDefinition};
pub use dead_letter::DeadLetter;
pub use error::{FailureKind, Result, ServerError, TransportError};
pub use sink::memory::MemorySink;
pub use sink::null::NullSink;
pub use sink::{
    Boxed, ColumnInfo, Durable, DynSink, Filter, FoundOwner, HashColumn, Insert, InsertPath, LetterFilter,
    LetterQuery, LetterSubject, LiveRows, LoadedAt, Merging, NewestLetter, NoAdmin, ObjectInfo, OwnerMark,
    Part, PreflightRequest, Published, Purge, Purging, RowSet, Scalar, Selection, ServerInfo, Sink,
    StoredLetter, TableAdmin, TableInfo,
};
pub use socket::{
    Compression, ConnectionOptions, REVISION_NEWEST, SendMode, SendPath, SendReason, SendReport, TlsOptions,
};
pub use target::{Protocol, Target};
