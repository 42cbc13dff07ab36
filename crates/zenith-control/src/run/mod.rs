//! What `zenith run` does: one replicator for each source, side by side, over one pool.
//!
//! ```text
//! state ──▶ desired ──▶ supervisor ──▶ group (one for each source) ──▶ Replicator of the engine
//!   ▲ polled each second    │ stops and starts groups whose records changed
//!   └ discovery ────────────┘ adds pipelines for collections that appear
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | [`desired`] | which pipelines there should be, by source |
//! | [`group`], [`build`] | one source: connects, runs, tries again |
//! | [`supervisor`] | holds the groups to what is desired |
//! | [`requests`] | what commands ask of the run, carried out beside the pipelines; those that need no place there: `apart.rs` |
//! | [`discovery`] | new collections of pipelines that are of several |
//! | `schedules.rs` | begins pipelines again whose schedule says so |
//! | [`environment`] | a whole database, without any configuration |
//! | [`mod@open`] | takes the state, and finds out what there is to run |
//! | [`running`] | the groups that run |
//! | `restarts` | when pipelines that failed are tried again |
//! | `history` | what is noted of pipelines that have not begun |

mod apart;
pub mod build;
pub mod desired;
pub mod discovery;
pub mod environment;
pub mod group;
mod history;
pub mod open;
pub mod requests;
mod restarts;
pub mod running;
mod schedules;
pub mod shared;
pub mod supervisor;
