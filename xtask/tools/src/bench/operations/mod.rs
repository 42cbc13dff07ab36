//! What an operator lives with: servers that go away, pipelines that fail beside others, a reload at noon.
//!
//! | part | what it measures |
//! | --- | --- |
//! | [`fleet`] | 200 pipelines of which ten fail, each in its own way: the lag of the others, what is told of the ten |
//! | [`outages`] | either end killed, hung, refusing, slow: how soon it is told, how soon all is well again |
//! | [`crowd`] | a server with 50 pipelines and 1,000 collections, looked at: what it takes, how long one waits while others are served |
//! | [`beside`] | latency of nine pipelines while the tenth is loaded again |

pub(super) mod beside;
pub(super) mod crowd;
pub(super) mod fleet;
pub(super) mod outages;
