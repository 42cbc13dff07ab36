//! What a repeated insert has not left in its table is inserted again.
//!
//! ClickHouse notes the token of an insert right before its rows are there. One that is killed in between takes a repeat for
//! done, and the rows are lost unless somebody looks. The same may become of what is inserted again, so that somebody looks
//! again.

use std::future::Future;

/// Times that rows are inserted again which do not show. A server is not killed so often in the moment between token and
/// rows, while rows that expire at once, or that a row policy hides, never show.
const ROUNDS: u32 = 4;

/// Inserts what is `missing` until nothing is; `insert` is told the number of the round. Says whether everything shows in
/// the end.
pub(super) async fn complete<M, E, L, I>(
    mut missing: impl FnMut() -> L,
    mut insert: impl FnMut(M, u32) -> I,
) -> Result<bool, E>
where
    L: Future<Output = Result<Option<M>, E>>,
    I: Future<Output = Result<(), E>>,
{
    for round in 0..ROUNDS {
        let Some(missing) = missing().await? else { return Ok(true) };
        insert(missing, round).await?;
    }
    Ok(missing().await?.is_none())
}
