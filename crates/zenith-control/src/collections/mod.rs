//! Several collections at once: which are meant, which there are, and what their tables are called.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`patterns`] | `orders*`, `crm.*`, `!tmp_*` |
//! | [`listing`] | the collections of a source that patterns mean |
//! | [`tables`] | `{db}_{collection}` |

pub mod listing;
pub mod patterns;
pub mod tables;
