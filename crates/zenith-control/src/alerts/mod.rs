//! Alerts: somebody is told once when something begins to be wrong, and once when it is right again.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`standing`] | whether something is wrong with a pipeline |
//! | [`told`] | what was told to whom, as the state keeps it, and what is to be told next |
//! | [`message`] | what is sent, in JSON and in words |
//! | [`webhook`] | sends it |
//! | [`keeper`] | knows who wants to know what, and tells them |
//! | [`telling`] | looks at all pipelines now and then, and has each told by a task of its own |
//!
//! What is told follows from how the pipelines stand and from what was told before, and is noted before it is sent and as
//! soon as it has been taken. So nothing is told twice over a restart, and what could not be delivered is delivered later, as long as it is so.

pub mod keeper;
pub mod message;
pub mod standing;
pub mod telling;
pub mod told;
pub mod webhook;

pub use keeper::{Keeper, Reports};
pub use telling::Telling;
