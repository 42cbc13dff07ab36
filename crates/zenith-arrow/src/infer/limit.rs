//! Keeps the number of columns within bounds.
//!
//! Embedded documents become JSON, rarest first, those with many columns before those with few; when that
//! is not enough, the rarest fields of the top level are left to the extra column.

use super::census::{Level, Values};
use crate::schema::{Field, Kind};

/// Documents with at least so many columns count as big.
const BIG: usize = 8;

pub(super) fn limit(fields: &mut Vec<Field>, level: &Level, leaves_max: usize) {
    let total = |fields: &[Field]| fields.iter().map(Field::leaves).sum::<usize>();
    let mut leaves = total(fields);
    for least in [BIG, 2] {
        while leaves > leaves_max {
            let mut best = None;
            for field in fields.iter_mut() {
                if let Some(values) = level.get(field.name.as_bytes()) {
                    rarest(&mut field.kind, values, least, &mut best);
                }
            }
            let Some(Rarest { kind, leaves: gone, .. }) = best else { break };
            *kind = Kind::Json;
            leaves = leaves + 1 - gone;
        }
    }
    let mut order: Vec<usize> = (1..fields.len()).collect();
    // Of equally rare fields the later ones go first.
    order.sort_by_key(|&index| {
        let count = level.get(fields[index].name.as_bytes()).map_or(0, Values::count);
        (count, std::cmp::Reverse(index))
    });
    let mut dropped = Vec::new();
    for index in order {
        if leaves <= leaves_max {
            break;
        }
        leaves -= fields[index].leaves();
        dropped.push(index);
    }
    let mut index = 0;
    fields.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
}

struct Rarest<'a> {
    kind: &'a mut Kind,
    count: u64,
    leaves: usize,
}

/// Finds the document that the fewest samples have, of these the one with the most columns.
fn rarest<'a>(kind: &'a mut Kind, values: &Values, least: usize, best: &mut Option<Rarest<'a>>) {
    match kind {
        Kind::Array(element) => {
            if let Some(elements) = values.elements.as_deref() {
                rarest(element, elements, least, best);
            }
        }
        Kind::Document(_) => {
            let leaves = kind.leaves();
            if leaves < least {
                return;
            }
            let better = |than: &Rarest<'_>| {
                (values.documents, std::cmp::Reverse(leaves)) < (than.count, std::cmp::Reverse(than.leaves))
            };
            // Either the document itself or one inside it: a rarer one inside is found by going in, and only
            // one of the two can be borrowed.
            let itself = best.as_ref().is_none_or(better);
            if itself && !holds_rarer(kind, values, least) {
                *best = Some(Rarest { kind, count: values.documents, leaves });
            } else if let (Kind::Document(fields), Some(level)) = (kind, values.inside.as_deref()) {
                for field in fields {
                    if let Some(values) = level.get(field.name.as_bytes()) {
                        rarest(&mut field.kind, values, least, best);
                    }
                }
            }
        }
        _ => {}
    }
}

/// Whether some document inside is in fewer samples than the document itself.
fn holds_rarer(kind: &Kind, values: &Values, least: usize) -> bool {
    let Kind::Document(fields) = kind else { return false };
    let Some(level) = values.inside.as_deref() else { return false };
    fields.iter().any(|field| {
        level
            .get(field.name.as_bytes())
            .is_some_and(|inner| has_rarer(&field.kind, inner, values.documents, least))
    })
}

fn has_rarer(kind: &Kind, values: &Values, than: u64, least: usize) -> bool {
    match kind {
        Kind::Array(element) => {
            values.elements.as_deref().is_some_and(|elements| has_rarer(element, elements, than, least))
        }
        Kind::Document(fields) if kind.leaves() >= least => {
            values.documents < than
                || values.inside.as_deref().is_some_and(|level| {
                    fields.iter().any(|field| {
                        level
                            .get(field.name.as_bytes())
                            .is_some_and(|inner| has_rarer(&field.kind, inner, than, least))
                    })
                })
        }
        _ => false,
    }
}
