//! Proxies between a client and a server that break or wrap what passes through.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`fault`] | which fault, on which connections |
//! | [`fault_proxy`] | a TCP proxy that has them happen |
//! | [`tls_proxy`] | takes TLS from the client and speaks plain TCP to the server |
//!
//! They know bytes and connections, no protocol.

pub mod fault;
pub mod fault_proxy;
mod pump;
pub mod tls_proxy;
mod upstream;
