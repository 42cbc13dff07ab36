//! Writing ClickHouse: the Sink trait, Arrow over HTTP, the kernel send paths, DDL.
