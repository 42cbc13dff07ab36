//! The control plane: what was applied, the run that holds pipelines to it, and how they stand.
//!
//! ```text
//! zenith.toml ──▶ config ──▶ state (SQLite) ◀──▶ run ──▶ Replicators of the engine
//!                                │
//!                                └──▶ status
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | [`address`], [`connect`], [`databases`] | from addresses with references to secrets to connected ends |
//! | [`config`], [`collections`], [`members`], [`draft`] | what is to be run: from `zenith.toml`, from patterns of collections, from what is found |
//! | [`memory`] | the memory of a run, divided |
//! | [`schedule`] | when pipelines begin again by themselves |
//! | [`state`] | where the state is, and opening it |
//! | [`operations`], [`commands`] | what commands and the API do; commands with what they print, carried out here or by a server |
//! | [`run`], [`requests`], [`asking`], [`reset`], [`notices`] | the pipelines of a state side by side; what others ask of the run; what it says |
//! | [`status`], [`mismatches`], [`course`], [`allowed`] | how far each pipeline has come, and what did not fit, in all and over time |
//! | [`alerts`], [`post`] | telling somebody once that something is wrong, and once that it is right again |
//! | [`summary`], [`promotion`] | results, for people and for machines |
//! | [`failure`], [`text`], [`time`] | errors in a sentence with their codes, tables, times |

pub mod address;
pub mod alerts;
pub mod allowed;
pub mod asking;
pub mod collections;
pub mod commands;
pub mod config;
pub mod connect;
pub mod course;
pub mod databases;
pub mod draft;
pub mod failure;
pub mod members;
pub mod memory;
pub mod mismatches;
pub mod notices;
pub mod operations;
pub mod post;
pub mod promotion;
pub mod requests;
pub mod reset;
pub mod run;
pub mod schedule;
pub mod state;
pub mod status;
pub mod summary;
pub mod text;
pub mod time;
