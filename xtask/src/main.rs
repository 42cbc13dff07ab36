//! Developer commands: services, demo, test, check, bench.

fn main() {}
