//! The test kit tried on the real servers.

// clippy.toml allows this in test functions, but not in what they share.
#![allow(clippy::unwrap_used)]

mod data;
mod proxy;
mod servers;
