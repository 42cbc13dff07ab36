//! ClickHouse as a [`Sink`](crate::Sink), over HTTP.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`HttpSink`] | the sink: one file per task below, one `impl Sink` |
//! | `preflight` | version, user, privileges, database |
//! | `insert` | a record batch as one insert |
//! | `catalog` | which tables there are, and of what shape |
//! | `publish` | a shadow table takes its final name |

mod catalog;
mod insert;
mod preflight;
mod publish;
mod sink;

pub use sink::HttpSink;
