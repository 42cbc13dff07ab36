//! The transport against a real ClickHouse.
//!
//! `ZENITH_TEST_CLICKHOUSE_URL` names one, as `http://[USER[:PASSWORD]@]HOST[:PORT]`; otherwise one is
//! started for the tests of this binary. `ZENITH_TEST_CLICKHOUSE_NATIVE` names the native address of that
//! one, as `HOST:PORT`.

#![allow(clippy::unwrap_used)] // Helpers beside the tests are tests too.

mod http;
mod native;
mod suite;
mod support;
