//! Documents that have no row because they are dead letters.

use std::collections::HashMap;
use zenith_arrow::extended_json::id_text;

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;
use zenith_transport::ddl::{identifier, literal};

use super::Verifier;
use crate::Result;
use crate::misfits;
use crate::reload::literal::hex;
use crate::reload::refusal::text;

/// Documents of one question, and the bytes of its text.
const TOGETHER: usize = 500;
const BYTES_MAX: usize = 128 * 1024;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// Of each document why it is a dead letter, if it is one. A document whose `_id` cannot be read is known by its
    /// bytes.
    pub(super) async fn letters(&self, documents: &[&[u8]]) -> Result<Vec<Option<String>>> {
        let names: Vec<Option<String>> = documents.iter().map(|document| name(document)).collect();
        if !self.has_letters {
            return Ok(vec![None; documents.len()]);
        }
        let context = &self.context;
        let wanted: Vec<&String> = names.iter().flatten().collect();
        let (mut reasons, mut rest) = (HashMap::new(), wanted.as_slice());
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(TOGETHER).take_while(|name| {
                let is_first = bytes == 0;
                bytes += name.len() + 2;
                is_first || bytes <= BYTES_MAX
            });
            let (part, after) = rest.split_at(fits.count());
            rest = after;
            let literals: Vec<String> = part.iter().map(|name| literal(name)).collect();
            let statement = format!(
                "SELECT if(id = '', 'bytes ' || lower(hex(document)), 'id ' || id) AS name, argMax(reason, at) FROM {} \
                 WHERE namespace = {} AND name IN ({}) GROUP BY name",
                identifier(&context.settings.dead_letters),
                literal(&context.namespace.to_string()),
                literals.join(", ")
            );
            for batch in context.retrying(|| context.sink.query(&statement)).await? {
                reasons.extend((0..batch.num_rows()).map(|row| {
                    let [name, reason] = [0, 1].map(|column| text(batch.column(column).as_ref(), row));
                    (name, misfits::kind(&reason))
                }));
            }
        }
        Ok(names.iter().map(|name| name.as_ref().and_then(|name| reasons.get(name)).cloned()).collect())
    }
}

/// What a document is called among the letters; `None` for one that could only be called by bytes that are too many.
fn name(document: &[u8]) -> Option<String> {
    match id_text(document) {
        id if !id.is_empty() => Some(format!("id {id}")),
        _ if document.len() <= BYTES_MAX / 2 => Some(format!("bytes {}", hex(document))),
        _ => None,
    }
}
