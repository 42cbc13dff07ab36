//! ClickHouse as a [`Sink`](crate::Sink), over HTTP.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`HttpSink`] | the sink: one file per task below, one `impl Sink` |
//! | `server` | version, user, which settings it knows |
//! | `preflight` | database and privileges |
//! | `insert`, `json` | a record batch as one insert |
//! | `catalog` | which tables there are, and of what shape |
//! | `read` | a whole table as Arrow |
//! | `publish` | a shadow table takes its final name |

mod catalog;
mod insert;
mod json;
mod preflight;
mod publish;
mod read;
mod server;
mod sink;

pub use sink::HttpSink;
