//! Commands about what is applied and what is run, wherever the state is: the same function carries one out beside the state
//! and for the server that holds it, and writes what is printed. Nothing here prints, asks or ends a process.
//!
//! ```text
//!  arguments ──▶ Command ──┬─────────────────────▶ Desk::perform ──▶ Output ──▶ printed
//!                          └──HTTP──▶ server ──▶ Desk::perform ──▶ Output ──HTTP──▶ printed
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | [`command`] | what can be asked, who may ask it, what is noted of it |
//! | [`output`] | what comes of it |
//! | [`desk`] | where it is carried out |
//! | `perform` | by which function |
//! | `apply`, `connectors`, `history`, `letters`, `pipelines`, `reload`, `reset`, `schema`, `status` | one kind of command each |
//! | [`shown_status`] | the table of pipelines |

mod apply;
pub mod command;
mod connectors;
pub mod desk;
mod history;
mod letters;
pub mod output;
mod perform;
mod pipelines;
mod reload;
mod requests;
mod reset;
mod schema;
pub mod shown_status;
mod status;

pub use command::{Apply, Call, Command, Need, Purge, Retry, Stage, Status, View};
pub use desk::Desk;
pub use output::{Next, Output, Standing};
