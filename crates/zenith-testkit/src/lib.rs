//! Real MongoDB and ClickHouse for tests, data sets, and faults on purpose.
