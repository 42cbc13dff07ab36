//! The tests that hold for both protocols.
//!
//! The folder of each protocol includes them, and says with its `PROTOCOL` and its module `silent` what is
//! spoken.

pub mod bench;
pub mod support;

mod abandoned;
mod dates;
mod errors;
mod faults;
mod inserts;
mod json;
mod names;
mod owners;
mod publish;
mod refusals;
mod tls;
mod types;
