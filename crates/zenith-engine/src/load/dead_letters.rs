//! Documents that could not become rows: collected, and written to the dead letter table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_channel::Receiver;
use zenith_arrow::extended_json::id_text;
use zenith_bson::Elements;
use zenith_transport::{DeadLetter, Sink};

use super::context::LoadContext;
use super::delivery::deliver;
use crate::Result;
use crate::layout::KEY;
use crate::progress::to_u64;

/// Letters and bytes of one insert.
const LETTERS_MAX: usize = 1000;
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Between two warnings about letters of one pipeline.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// A document that could not become a row.
#[derive(Clone, Debug)]
pub(crate) struct RejectedDocument {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) document: Vec<u8>,
    /// As in [`DeadLetter`].
    version: u64,
    operation: String,
    index: u32,
}

impl RejectedDocument {
    pub(crate) fn new(document: &[u8], reason: String) -> RejectedDocument {
        RejectedDocument {
            id: id_text(document),
            reason,
            document: document.to_vec(),
            version: 0,
            operation: String::new(),
            index: 0,
        }
    }

    /// The same, of a row that would have been written for a change.
    pub(crate) fn of_change(self, version: u64, operation: &str, index: u32) -> RejectedDocument {
        RejectedDocument { version, operation: operation.to_owned(), index, ..self }
    }
}

/// A document with nothing but the `_id` of another; nothing where that cannot be read.
pub(crate) fn only_key(document: &[u8]) -> Vec<u8> {
    let key = || {
        let id = Elements::new(document).ok()?.find_key(KEY.as_bytes())?;
        id.value.in_document(KEY.as_bytes()).filter(|key| zenith_bson::validate(key).is_ok())
    };
    key().unwrap_or_default()
}

/// Writes letters until no more can come.
pub(crate) async fn write_all<K: Sink>(
    load: &LoadContext,
    sink: &K,
    letters: Receiver<RejectedDocument>,
) -> Result<()> {
    let mut last = UNIX_EPOCH;
    while let Ok(first) = letters.recv().await {
        let mut bytes = first.document.len();
        let mut together = vec![first];
        while together.len() < LETTERS_MAX && bytes < BYTES_MAX {
            let Ok(next) = letters.try_recv() else { break };
            bytes += next.document.len();
            together.push(next);
        }
        // No other insert of the load has this time, by which its letters are found again.
        last = SystemTime::now().max(last + Duration::from_millis(1));
        write_part(load, sink, &Part { letters: &together, at: last, may_be_there: false }).await?;
    }
    Ok(())
}

/// The letters of one insert.
pub(crate) struct Part<'a> {
    pub(crate) letters: &'a [RejectedDocument],
    pub(crate) at: SystemTime,
    /// Whether an earlier try may have left some of them in the table.
    pub(crate) may_be_there: bool,
}

/// Letters, as many at a time as one insert takes.
pub(crate) fn parts(letters: &[RejectedDocument]) -> impl Iterator<Item = &[RejectedDocument]> {
    letters.chunks(LETTERS_MAX)
}

/// Writes the letters of one insert, each once however often it is repeated, and counts them.
pub(crate) async fn write_part<K: Sink>(load: &LoadContext, sink: &K, part: &Part<'_>) -> Result<()> {
    let letters: Vec<DeadLetter> =
        part.letters.iter().map(|letter| dead_letter(load, letter, part.at)).collect();
    let may_be_there = AtomicBool::new(part.may_be_there);
    load.repeat(|| deliver(load, sink, &letters, may_be_there.swap(true, Ordering::Relaxed))).await?;
    part.letters.iter().for_each(|letter| load.dead.count(&letter.reason));
    load.progress.dead(to_u64(part.letters.len()));
    if let Some(first) = part.letters.first() {
        tell(load, first);
    }
    Ok(())
}

/// Says that there are dead letters: at once the first time, then now and then, with how many there are by then.
fn tell(load: &LoadContext, letter: &RejectedDocument) {
    let Some(untold) = load.progress.tell_dead_letters(TELL_EVERY) else { return };
    let more = match untold {
        0 | 1 => String::new(),
        many => format!(", one of {many}"),
    };
    tracing::warn!(
        pipeline = load.pipeline,
        namespace = %load.namespace,
        id = letter.id,
        "a document has no row and is kept in {}{more}: {}",
        load.dead_letters,
        letter.reason
    );
}

fn dead_letter(load: &LoadContext, letter: &RejectedDocument, at: SystemTime) -> DeadLetter {
    DeadLetter {
        at,
        pipeline: load.pipeline.clone(),
        run: load.run.clone(),
        namespace: load.namespace.to_string(),
        id: letter.id.clone(),
        field: String::new(),
        reason: letter.reason.clone(),
        document: if load.hides { only_key(&letter.document) } else { letter.document.clone() },
        version: letter.version,
        operation: letter.operation.clone(),
        index: letter.index,
    }
}
