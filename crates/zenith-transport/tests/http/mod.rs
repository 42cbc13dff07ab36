//! The tests of both protocols over HTTP, and those of HTTP alone.

// The same tests over either protocol are the same files.
#![allow(clippy::duplicate_mod)]

pub mod support {
    //! The helpers of all tests, for this protocol.

    use zenith_memory::Pool;
    use zenith_testkit::{ClickHouse, FaultProxy};
    use zenith_transport::{ClickHouseSink, ConnectionOptions, Protocol, Target};

    pub use crate::support::*;

    pub const PROTOCOL: Protocol = Protocol::Http;

    /// A sink with a database of its own.
    pub async fn sink(label: &str) -> (ClickHouseSink, ClickHouse) {
        sink_over(PROTOCOL, label, ConnectionOptions::default()).await
    }

    /// A sink for `database` of the shared server.
    pub async fn sink_for(
        database: &ClickHouse,
        pool: Option<Pool>,
        options: ConnectionOptions,
    ) -> ClickHouseSink {
        let target = target_at(PROTOCOL, &address(PROTOCOL).await, database);
        ClickHouseSink::new(target, pool, options).unwrap()
    }

    /// A proxy before the shared server, and a database behind it.
    pub async fn proxied(label: &str) -> (FaultProxy, Target, ClickHouse) {
        proxied_over(PROTOCOL, label).await
    }
}

#[path = "../inserts.rs"]
mod inserts;
#[path = "../json.rs"]
mod json;
#[path = "../names.rs"]
mod names;
#[path = "../publish.rs"]
mod publish;
#[path = "../tls.rs"]
mod tls;
#[path = "../types.rs"]
mod types;

mod errors;
mod faults;
