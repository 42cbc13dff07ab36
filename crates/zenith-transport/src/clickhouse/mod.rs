//! ClickHouse as a [`Sink`](crate::Sink), over HTTP or the native protocol.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`ClickHouseSink`] | the sink: one file per task below, one `impl Sink` |
//! | `session` | what carries statements and inserts |
//! | `server` | version, user, which settings it knows |
//! | `preflight` | database and privileges |
//! | `insert`, `convert` | a record batch as one insert |
//! | `catalog` | which tables there are, and of what shape |
//! | `read`, `filter` | a whole table as Arrow, or some of its rows |
//! | `admin`, `letters` | the administration of tables, and of those of dead letters |
//! | `owners` | marks of those who write a table |
//! | `publish` | a shadow table takes its final name |
//! | `trial` | a table tried before it is made |

mod admin;
mod catalog;
mod convert;
mod filter;
mod insert;
mod key_set;
mod letters;
mod owners;
mod preflight;
mod publish;
mod purge;
mod read;
mod server;
mod session;
mod sink;
mod trial;

pub use sink::ClickHouseSink;
