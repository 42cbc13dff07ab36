//! Reloads between the real MongoDB and the real ClickHouse.

#![allow(clippy::unwrap_used)]

mod added;
mod additions;
mod bad_input;
mod columns;
mod corpus;
mod earlier;
mod faults;
mod harness;
mod incremental;
mod names;
mod odd_collections;
mod properties;
mod published;
mod rebuilt;
mod refused;
mod repeated;
mod states;
mod strategies;
mod told;
mod verify;
