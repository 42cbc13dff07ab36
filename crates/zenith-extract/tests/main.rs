//! Integration tests against a real `mongod`, in one binary that shares one server.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of integration tests for library code")]

mod authentication;
mod changes;
mod failover;
mod files;
mod filters;
mod id_types;
mod interruption;
mod large_documents;
mod polling;
mod preflight;
mod proxy;
mod records;
mod samples;
mod servers;
mod sources;
mod transports;
