//! The tests of both protocols over HTTP, and those of HTTP alone.

// The same tests over either protocol are the same files.
#![allow(clippy::duplicate_mod)]

use zenith_transport::Protocol;

#[path = "../both/mod.rs"]
mod both;
mod errors;
mod faults;
mod silent;

/// What the tests of both protocols speak here.
pub const PROTOCOL: Protocol = Protocol::Http;
