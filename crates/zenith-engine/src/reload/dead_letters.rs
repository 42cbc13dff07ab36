//! Documents that could not become rows: collected, and written to the dead letter table.

use std::time::SystemTime;

use async_channel::Receiver;
use zenith_arrow::extended_json;
use zenith_arrow::raw::{self, Elements};
use zenith_transport::{DeadLetter, Sink};

use super::insert;
use super::load::Load;
use crate::Result;
use crate::progress::to_u64;

/// The table that keeps documents no table could take.
pub(crate) const TABLE: &str = "zenith_dead_letters";
/// Letters and bytes of one insert.
const LETTERS_MAX: usize = 1000;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A document that could not become a row.
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) document: Vec<u8>,
}

/// Writes letters until no more can come.
pub(crate) async fn keep<K: Sink>(load: &Load, sink: &K, letters: Receiver<Letter>) -> Result<()> {
    let mut sequence = 0_u64;
    while let Ok(first) = letters.recv().await {
        let mut bytes = first.document.len();
        let mut together = vec![dead(load, first)];
        while together.len() < LETTERS_MAX && bytes < BYTES_MAX {
            let Ok(next) = letters.try_recv() else { break };
            bytes += next.document.len();
            together.push(dead(load, next));
        }
        let token = format!("{}-dead-{sequence}", load.run);
        sequence += 1;
        insert::repeat(load, || sink.write_dead_letters(TABLE, &together, &token)).await?;
        count(load, &together);
    }
    Ok(())
}

/// Writes the letters of one batch, once however often this is repeated.
pub(crate) async fn write<K: Sink>(load: &Load, sink: &K, letters: Vec<Letter>) -> Result<()> {
    let together: Vec<DeadLetter> = letters.into_iter().map(|letter| dead(load, letter)).collect();
    for (number, part) in together.chunks(LETTERS_MAX).enumerate() {
        let token = format!("{}-dead-{number}", load.run);
        insert::repeat(load, || sink.write_dead_letters(TABLE, part, &token)).await?;
        count(load, part);
    }
    Ok(())
}

fn count(load: &Load, letters: &[DeadLetter]) {
    letters.iter().for_each(|letter| load.dead.count(&letter.reason));
    load.progress.dead(to_u64(letters.len()));
}

fn dead(load: &Load, letter: Letter) -> DeadLetter {
    DeadLetter {
        at: SystemTime::now(),
        pipeline: load.run.clone(),
        namespace: load.namespace.to_string(),
        id: letter.id,
        field: String::new(),
        reason: letter.reason,
        document: letter.document,
    }
}

/// `_id` of a document that may be damaged, as Extended JSON; empty if it cannot be found.
pub(crate) fn id_text(document: &[u8]) -> String {
    let element = Elements::new(document).ok().and_then(|elements| {
        elements.map_while(std::result::Result::ok).find(|element| element.key == b"_id")
    });
    let mut text = Vec::new();
    match element.map(|element| extended_json::write_value(&mut text, element.value)) {
        Some(Ok(())) => raw::utf8(&text).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
