//! What time it is at the source, and how far back its oplog reaches.

use std::time::{Duration, SystemTime};

use bson::{Document, doc};

use crate::ExtractError;
use crate::mongodb::{Deployment, preflight};

/// An oplog this full, in hundredths of its largest size, forgets its oldest entries.
const FULL: i64 = 90;

/// The clock of the primary: a server that answers this can be read.
pub(super) async fn clock(deployment: &Deployment) -> Result<SystemTime, ExtractError> {
    let action = "ask for the time";
    let hello = deployment.client.database("admin").run_command(doc! { "hello": 1 }).await;
    let hello = hello.map_err(|source| deployment.error(action, source))?;
    let local = hello.get_datetime("localTime").ok();
    Ok(local.map_or_else(SystemTime::now, |time| time.to_system_time()))
}

/// The time of the oldest entry of the oplog, once it forgets entries; `None` while it has all of them.
pub(super) async fn oldest_change(deployment: &Deployment) -> Result<Option<SystemTime>, ExtractError> {
    let Some(oldest) = oldest_entry(deployment).await? else { return Ok(None) };
    if is_first(&oldest) || !is_full(deployment).await {
        return Ok(None);
    }
    let time = oldest.get_timestamp("ts").ok().map(|time| Duration::from_secs(time.time.into()));
    Ok(time.map(|time| SystemTime::UNIX_EPOCH + time))
}

async fn oldest_entry(deployment: &Deployment) -> Result<Option<Document>, ExtractError> {
    let command = doc! {
        "find": "oplog.rs",
        "sort": { "$natural": 1 },
        "projection": { "ts": 1, "op": 1, "o.msg": 1 },
        "limit": 1,
        "singleBatch": true,
    };
    let reply = deployment.command("local", command, "read the oplog").await?;
    Ok(preflight::first_batch(&reply).into_iter().next())
}

/// Whether an entry is the one that a new replica set begins with.
fn is_first(entry: &Document) -> bool {
    let message = entry.get_document("o").and_then(|entry| entry.get_str("msg"));
    entry.get_str("op").is_ok_and(|op| op == "n") && message.is_ok_and(|text| text == "initiating set")
}

/// Whether the oplog has about its largest size; one whose size may not be read is taken for full.
async fn is_full(deployment: &Deployment) -> bool {
    let command = doc! {
        "aggregate": "oplog.rs",
        "pipeline": [{ "$collStats": { "storageStats": {} } }, { "$project": {
            "size": { "$toLong": "$storageStats.size" }, "most": { "$toLong": "$storageStats.maxSize" },
        } }],
        "cursor": {},
    };
    let Ok(reply) = deployment.command("local", command, "ask for the size of the oplog").await else {
        return true;
    };
    let sizes = preflight::first_batch(&reply);
    let number = |name: &str| sizes.first().and_then(|sizes| sizes.get_i64(name).ok());
    match (number("size"), number("most")) {
        (Some(size), Some(most)) => size.saturating_mul(100) >= most.saturating_mul(FULL),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_entry_of_a_new_set_is_the_first() {
        assert!(is_first(&doc! { "op": "n", "o": { "msg": "initiating set" } }));
        assert!(!is_first(&doc! { "op": "n", "o": { "msg": "periodic noop" } }));
        assert!(!is_first(&doc! { "op": "i", "o": {} }));
    }
}
