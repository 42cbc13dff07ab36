//! The transport against a real ClickHouse.
//!
//! `ZENITH_TEST_CLICKHOUSE_URL` names one, as `http://[USER[:PASSWORD]@]HOST[:PORT]`; otherwise one is started for the
//! tests of this binary.

#![allow(clippy::unwrap_used)] // Helpers beside the tests are tests too.

mod errors;
mod faults;
mod inserts;
mod json;
mod names;
mod publish;
mod suite;
mod support;
mod tls;
mod types;
