//! The stores: what the suite asks of all of them, and what is true of SQLite alone.

#![allow(clippy::unwrap_used)] // Helpers beside the tests are tests too.

mod child;
mod crash;
mod files;
mod fixture;
mod footprint;
mod formats;
mod lock;
mod postgres;
mod suite;
mod support;
