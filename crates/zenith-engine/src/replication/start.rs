//! Where a pipeline begins to follow.

use std::sync::Arc;

use super::position::Position;
use crate::places::Places;

/// What a pipeline needs to follow.
pub(super) struct Follower {
    pub(super) schema: zenith_arrow::Schema,
    pub(super) position: Position,
    pub(super) rows: u64,
    pub(super) intents: Vec<zenith_state::Intent>,
    pub(super) epoch: u64,
    /// Where rows of documents stand, if that is not said by `_id` alone.
    pub(super) places: Option<Arc<Places>>,
}
