//! The server of `zenith serve`: the page, the API, `/metrics` and the probes, over what `zenith-control` runs.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`listen`], [`places`], [`slow`] | connections: bounded, over TLS where that is wished, ended where they do not get on |
//! | [`access`], [`guard`] | who may ask, by which name, from which page |
//! | [`server`] | what all handlers share |
//! | [`watch`], [`series`], [`counters`], [`news`] | how the pipelines stand, their course, what they have done, what has changed |
//! | [`log`] | what happened in the last hour |
//! | [`api`] | the handlers, and the document that describes them |
//! | [`metrics`], [`assets`] | for Prometheus; the files of the page |
//! | [`systemd`] | readiness and watchdog |
//! | [`error`] | errors as the API gives them |
//! | [`client`] | a client of the API, for the command |

pub mod access;
pub mod api;
pub mod assets;
pub mod client;
pub mod counters;
pub mod error;
pub mod guard;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod news;
pub mod places;
pub mod series;
pub mod server;
pub mod slow;
pub mod systemd;
pub mod watch;
