//! The test kit tried on the real servers.

mod data;
mod proxy;
mod servers;
