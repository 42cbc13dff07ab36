//! Integration tests against a real `mongod`, in one binary that shares one server.

mod authentication;
mod failover;
mod id_types;
mod interruption;
mod large_documents;
mod preflight;
mod proxy;
mod servers;
mod sources;
mod transports;
