//! What commands and the API do, as functions that return plain data: nothing here prints, asks or ends a process.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`apply`] | a configuration becomes what is run |
//! | [`connectors`], [`pipelines`] | what was applied: listed, shown, tested, paused, removed |
//! | [`schema`] | the columns of a table, and those that a new one would get |
//! | [`samples`] | some documents beside their rows |
//! | [`letters`] | documents that have no row |
//! | [`history`] | the runs there have been |
//! | [`verification`] | a collection and its table compared |

pub mod apply;
pub mod connectors;
pub mod history;
pub mod letters;
pub mod pipelines;
pub mod samples;
pub mod schema;
pub mod verification;
