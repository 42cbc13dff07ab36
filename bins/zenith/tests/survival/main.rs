//! `zenith run` under fire: killed, cut off, its servers killed, its
//! lease lost. Afterwards every table is as if nothing had happened.
//!
//! `ZENITH_TEST_KILLS` sets how often the command is killed, `ZENITH_TEST_DRIFTS` how many
//! collections drift, `ZENITH_TEST_SEED` repeats a run that failed.

#![allow(clippy::unwrap_used)]

#[path = "../harness.rs"]
#[allow(dead_code)]
mod harness;

mod drifting;
mod fixture;
mod kills;
mod oplog;
mod servers;
mod workers;
mod writer;
