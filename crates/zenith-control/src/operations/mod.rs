//! What commands and the API do, as functions that return plain data: nothing here prints, asks or ends a process.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`apply`] | a configuration becomes what is run |
//! | [`verification`] | a collection and its table compared |

pub mod apply;
pub mod verification;
