//! ClickHouse's native protocol: packets over TCP, data in blocks of columns.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`NativeClient`] | statements and inserts on connections that are kept |
//! | `hello`, `query` | what the client says before the data |
//! | `packet`, `answer` | what the server says, parsed as it comes, with bounds |
//! | `column`, `block` | a record batch as one block, a window at a time |
//! | `types`, `decode`, `rows` | blocks of results as record batches, and as rows |
//! | `compress` | compressed blocks |
//! | `wire` | numbers and texts as the protocol has them |
//!
//! ```text
//!  client: hello ──────── addendum, query, end of tables ───────── block, empty block ─────────────────
//!  server: ────── hello ───────────────────────────────── sample ──────────────────── … end of stream ─
//! ```
//!
//! **The revision** of a connection is the lower of what either side announces.
//! [`REVISION_NEWEST`](crate::REVISION_NEWEST) says which one is announced, and why.
//!
//! **What is copied.** Columns of fixed width go out as they lie in the Arrow buffers. Validity, booleans,
//! offsets, texts and UUIDs have another layout there and are re-laid once, in a buffer of
//! [`block::CHUNK_BYTES`] that is filled and sent in turn.
//!
//! **An end of stream is final.** It comes when the insert has ended.
//!
//! The layouts follow ClickHouse's `TCPHandler.cpp`, `ProtocolDefines.h`, `NativeReader.cpp` and
//! `CompressedReadBufferBase.cpp`.

mod answer;
mod block;
mod client;
mod column;
mod compress;
mod decode;
mod hello;
mod packet;
mod query;
mod rows;
mod types;
mod wire;

pub(crate) use client::NativeClient;

/// The oldest revision spoken: the first with parameters of queries, of ClickHouse 22.8.
const REVISION_MIN: u64 = 54459;

/// What the client calls itself, in its hello and in every query.
const CLIENT_NAME: &str = "zenith";
/// Its version, major and minor.
const CLIENT_VERSION: (u64, u64) = (0, 1);
