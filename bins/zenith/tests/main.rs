//! The command as people and scripts use it, between the real MongoDB and the real ClickHouse.

#![allow(clippy::unwrap_used)]

mod addresses;
mod bad_input;
mod beside;
mod by_hand;
mod column_types;
mod columns;
mod configuring;
mod copies;
mod dead_letters;
mod deletes;
mod drafting;
mod drifting;
mod dumps;
mod ends;
mod evolving;
mod few_rights;
mod filters;
mod harness;
mod help;
mod home;
mod ignoring;
mod looking;
mod marking;
mod masks;
mod members;
mod mending;
mod moving_keys;
mod names;
mod operations;
mod owners;
mod promoting;
mod purging;
mod rare;
mod renames;
mod running;
mod several;
mod sharing;
mod signals;
mod tables;
mod told;
mod transforms;
mod waiting;
mod widening;
