//! Integration tests against a real `mongod`, in one binary that shares one server.

mod servers;
mod sources;
