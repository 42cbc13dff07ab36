//! Tests against a real ClickHouse.
