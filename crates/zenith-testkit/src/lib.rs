//! Real MongoDB and ClickHouse for tests, data sets, and faults on purpose.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`services`] | fetch, start, kill and restart the real servers; one shared pair a test process |
//! | [`data`] | documents to copy, generated or published |
//! | [`clickhouse_client`] | ask ClickHouse what arrived, independently of the transport under test |
//! | [`proxy`] | cut connections, lose answers, delay, speak TLS |
//! | [`tls`] | certificates made at run time |
//!
//! A development tool: no crate of the product depends on it outside its tests, and it knows none of them.

pub mod clickhouse_client;
pub mod data;
pub mod error;
pub mod proxy;
pub mod services;
pub mod tls;

pub use clickhouse_client::ClickHouse;
pub use data::corpus::bson_corpus;
pub use data::dump;
pub use data::load::{self, Loaded};
pub use data::published::Published;
pub use data::shape::Shape;
pub use error::{Error, Result};
pub use proxy::fault::{Direction, Fault, Plan};
pub use proxy::fault_proxy::FaultProxy;
pub use proxy::tls_proxy::TlsProxy;
pub use services::clickhouse::{ClickHouseOptions, ClickHouseServer, ClickHouseUser};
pub use services::mongod::{Credentials, MongoOptions, MongoServer, Topology};
pub use services::process::Lifetime;
pub use services::replica_set::ReplicaSet;
pub use services::test_servers::{TestDatabases, TestServers};
pub use tls::Certificate;
