//! A document in a column of maps: each key in its place, and why a value is not there.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use bson::{Bson, Document};
use zenith_arrow::schema::Field;

use super::cell;
use super::expect::{self, Expected};
use super::mismatch::Mismatch;
use super::shown::holds;
use super::walk::{Shown, Step, Walk};

impl Walk<'_> {
    /// The keys and values of a document in a map whose values are of this field.
    pub(super) fn map(
        &mut self,
        field: &Field,
        array: &ArrayRef,
        row: usize,
        document: &Document,
    ) -> Result<Shown, Box<Mismatch>> {
        let there = cell::items(array, row);
        let Some([keys, values]) =
            there.as_ref().and_then(|pairs| pairs.as_struct_opt()).map(|pairs| pairs.columns())
        else {
            return Err(self.mismatch(Some(&document.clone().into()), &cell::text(array, row)));
        };
        let mut next = 0;
        for (key, value) in document {
            self.path.push(Step::Entry(key.clone()));
            let at = match self.repeats {
                // The driver has a repeated key where it came first, the map where it came last.
                true => (0..keys.len()).find(|at| cell::bytes(keys, *at) == Some(key.as_bytes())),
                false => {
                    Some(next).filter(|at| *at < keys.len() && cell::bytes(keys, *at) == Some(key.as_bytes()))
                }
            };
            match at {
                Some(at) if field.required && matches!(value, Bson::Null) => {
                    return Err(self.mismatch(Some(value), &cell::text(values, at)));
                }
                Some(at) => {
                    self.entry(field, values, at, value)?;
                    next += 1;
                }
                None => self.without_entry(field, value)?,
            }
            self.path.pop();
        }
        match next == keys.len() {
            true => Ok(Shown::Yes),
            false => Err(self.mismatch(Some(&document.clone().into()), &cell::text(array, row))),
        }
    }

    /// A value whose key is in the map.
    fn entry(
        &mut self,
        field: &Field,
        values: &ArrayRef,
        at: usize,
        value: &Bson,
    ) -> Result<(), Box<Mismatch>> {
        if field.required && matches!(self.fate(field, value), Fate::Elsewhere(_)) {
            return Err(self.mismatch(Some(value), &cell::text(values, at)));
        }
        self.field(Some(value), &Field { required: false, ..field.clone() }, values, None, at)
    }

    /// A value whose key is not in the map: its type has to be the reason.
    fn without_entry(&mut self, field: &Field, value: &Bson) -> Result<(), Box<Mismatch>> {
        match self.fate(field, value) {
            _ if matches!(value, Bson::Null) && field.required => Ok(()),
            Fate::Elsewhere(reason) | Fate::Either(reason) if field.required => {
                self.count(reason);
                Ok(())
            }
            _ => Err(self.mismatch(Some(value), "no such key")),
        }
    }

    fn fate(&self, field: &Field, value: &Bson) -> Fate {
        let text = if let Bson::String(text) = value { Some(text) } else { None };
        let said = text.filter(|_| field.cast().is_some()).and_then(|text| expect::said(&field.kind, text));
        let expected = self.rules.expected(&field.kind, said.as_ref().unwrap_or(value));
        let is_held = holds(field, said.as_ref().unwrap_or(value));
        match (expected, &said) {
            (Expected::Shown(_), _) if is_held => Fate::Shown,
            (Expected::Perhaps(_), None) if is_held => Fate::Either("out of range".to_owned()),
            (Expected::Perhaps(_), Some(_)) if is_held => Fate::Either(expect::is_other(value)),
            (_, Some(_)) => Fate::Elsewhere(expect::is_other(value)),
            (Expected::Elsewhere(reason), None) => Fate::Elsewhere(reason),
            _ => Fate::Elsewhere("out of range".to_owned()),
        }
    }
}

/// What becomes of a value that is not null.
enum Fate {
    Shown,
    /// Shown, or not for this reason.
    Either(String),
    Elsewhere(String),
}
