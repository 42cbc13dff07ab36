//! What the columns of a row show, held against what a person expects to see in them.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use bson::{Bson, Document};
use zenith_arrow::extended_json::parse_document;
use zenith_arrow::schema::Field;
use zenith_arrow::{Kind, equal};
use zenith_state::{Mismatches, NO_COLUMN};

use super::cell;
use super::expect::{self, Expected, Rules, Value};
use super::mismatch::{Mismatch, count, in_words};
use super::shown::{holds, is_blank, shows, shows_nothing};
use crate::layout::KEY;
use crate::promotion::LateFields;

/// Levels of a JSON column in which simple values have to be shown.
const JSON_LEVELS: usize = 8;

/// Whether a column shows a value, or why it need not.
pub(super) enum Shown {
    Yes,
    Elsewhere(String),
}

/// Whether it is a null, or a document or array without anything in it.
fn is_nothing(value: &Bson) -> bool {
    match value {
        Bson::Null => true,
        Bson::Document(document) => document.is_empty(),
        Bson::Array(values) => values.is_empty(),
        _ => false,
    }
}

fn holds_only_nulls(value: &Bson) -> bool {
    match value {
        Bson::Null => true,
        Bson::Document(document) => document.values().all(holds_only_nulls),
        Bson::Array(values) => values.iter().all(holds_only_nulls),
        _ => false,
    }
}

/// A step from a value into it.
pub(super) enum Step {
    Key(String),
    /// A key of a map, which is data.
    Entry(String),
    Position(usize),
}

impl Step {
    /// Whether a JSON column takes it as it is.
    fn is_plain_key(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        matches!(self, Step::Key(key) if !key.is_empty() && key.bytes().all(is_plain))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Key(key) | Step::Entry(key) => f.write_str(key),
            Step::Position(position) => write!(f, "{position}"),
        }
    }
}

/// The walk over a document and its columns.
pub(super) struct Walk<'r> {
    pub(super) rules: &'r Rules,
    late: &'r LateFields,
    /// Whether columns have come since the table was loaded.
    has_grown: bool,
    pub(super) path: Vec<Step>,
    mismatches: Mismatches,
    /// Whether any key of the document comes twice.
    pub(super) repeats: bool,
}

impl<'r> Walk<'r> {
    pub(super) fn new(rules: &'r Rules, late: &'r LateFields, has_grown: bool, repeats: bool) -> Walk<'r> {
        Walk { rules, late, has_grown, path: Vec::new(), mismatches: Mismatches::default(), repeats }
    }

    /// What the columns do not show.
    pub(super) fn into_mismatches(self) -> Mismatches {
        self.mismatches
    }

    /// The fields of a document and their columns.
    ///
    /// # Errors
    /// The first column that does not show what it has to.
    pub(super) fn fields<'b>(
        &mut self,
        document: &Document,
        fields: &[Field],
        column: &dyn Fn(&str) -> Option<&'b ArrayRef>,
        row: usize,
    ) -> Result<(), Box<Mismatch>> {
        for field in fields {
            self.path.push(Step::Key(field.name.clone()));
            let array = column(field.column_name()).ok_or_else(|| self.mismatch(None, "no such column"))?;
            let twin = field.twin.as_ref().and_then(|twin| column(&twin.name));
            let value = document.get(&field.name);
            if self.is_from_before(value, field, array, twin, row) {
                if value.is_some_and(|value| !is_nothing(value)) {
                    self.count(NO_COLUMN.to_owned());
                }
                self.path.pop();
                continue;
            }
            self.field(value, field, array, twin, row)?;
            self.path.pop();
        }
        for (key, value) in document {
            // A null or an empty document or array without a column is no value, and at most a note.
            if !is_nothing(value) && fields.iter().all(|field| field.name != *key) {
                self.path.push(Step::Key(key.clone()));
                self.count(if holds_only_nulls(value) { "only nulls" } else { NO_COLUMN }.to_owned());
                self.path.pop();
            }
        }
        Ok(())
    }

    /// The keys of the path, with dots between them.
    fn keys(&self) -> String {
        let keys = self.path.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Entry(_) | Step::Position(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    /// Whether the row is of a time when the field had no column.
    fn is_from_before(
        &self,
        value: Option<&Bson>,
        field: &Field,
        array: &ArrayRef,
        twin: Option<&ArrayRef>,
        row: usize,
    ) -> bool {
        // Of an empty document or array only a note was made, with which the row has been found to be equal.
        let is_of_before = match value {
            _ if !self.has_grown => false,
            Some(value) if is_nothing(value) => true,
            value => value.is_some() && self.came_late(),
        };
        is_of_before && is_blank(&field.kind, array, row) && twin.is_none_or(|twin| cell::is_null(twin, row))
    }

    pub(super) fn field(
        &mut self,
        value: Option<&Bson>,
        field: &Field,
        array: &ArrayRef,
        twin: Option<&ArrayRef>,
        row: usize,
    ) -> Result<(), Box<Mismatch>> {
        let is_key = self.path.len() == 1 && field.name == KEY;
        let twin = twin.filter(|twin| !cell::is_null(twin, row));
        let shown = match value {
            // A key that is missing has a text, which only the way back can tell from that of a document.
            None if is_key => return Ok(()),
            Some(value @ Bson::String(text)) if field.cast().is_some() => {
                self.said(field, array, row, (value, text))?
            }
            Some(value) if !matches!(value, Bson::Null) && !holds(field, value) => {
                if !shows_nothing(field, array, row) {
                    return Err(self.mismatch(Some(value), &cell::text(array, row)));
                }
                match self.rules.expected(&field.kind, value) {
                    Expected::Elsewhere(reason) => Shown::Elsewhere(reason),
                    _ => Shown::Elsewhere("out of range".to_owned()),
                }
            }
            Some(value) if field.required && !matches!(value, Bson::Null) => {
                self.leaf(&field.kind, array, row, value, shows_nothing(field, array, row))?
            }
            None | Some(Bson::Null) if field.required && shows_nothing(field, array, row) => Shown::Yes,
            Some(value) if is_key || !matches!(value, Bson::Null) => {
                self.value(&field.kind, array, row, value)?
            }
            _ if is_blank(&field.kind, array, row) => Shown::Yes,
            _ => return Err(self.mismatch(value, &cell::text(array, row))),
        };
        match (shown, twin) {
            (Shown::Yes, None) => Ok(()),
            (Shown::Yes, Some(twin)) => {
                Err(self.mismatch(value, &format!("{} in the twin", cell::text(twin, row))))
            }
            (Shown::Elsewhere(reason), None) if field.twin.is_none() => {
                self.count(reason);
                Ok(())
            }
            (Shown::Elsewhere(_), twin) => {
                let expected = value.and_then(expect::text);
                if twin.is_some_and(|twin| expected.is_some_and(|expected| shows(&expected, twin, row))) {
                    return Ok(());
                }
                let there = twin.map_or_else(|| "NULL".to_owned(), |twin| cell::text(twin, row));
                Err(self.mismatch(value, &format!("{there} in the twin")))
            }
        }
    }

    /// A text in a column of a given type shows what it says, if that is a value of the type.
    fn said(
        &mut self,
        field: &Field,
        array: &ArrayRef,
        row: usize,
        (value, text): (&Bson, &str),
    ) -> Result<Shown, Box<Mismatch>> {
        let said = expect::said(&field.kind, text).filter(|said| holds(field, said));
        let is_there = |expected: &Value<'_>| !cell::is_null(array, row) && shows(expected, array, row);
        match said.as_ref().map(|said| (said, self.rules.expected(&field.kind, said))) {
            Some((said, Expected::Shown(expected) | Expected::Perhaps(expected))) if is_there(&expected) => {
                if expect::text(said) != Some(Value::Bytes(text.as_bytes().into())) {
                    self.count("another form".to_owned());
                }
                Ok(Shown::Yes)
            }
            Some((_, Expected::Shown(_))) => Err(self.mismatch(Some(value), &cell::text(array, row))),
            _ if shows_nothing(field, array, row) => Ok(Shown::Elsewhere(expect::is_other(value))),
            _ => Err(self.mismatch(Some(value), &cell::text(array, row))),
        }
    }

    fn value(
        &mut self,
        kind: &Kind,
        array: &ArrayRef,
        row: usize,
        value: &Bson,
    ) -> Result<Shown, Box<Mismatch>> {
        match (kind, value) {
            (Kind::Document(fields), Bson::Document(document)) => {
                let Some(parts) = array.as_struct_opt() else {
                    return Err(self.mismatch(Some(value), &cell::text(array, row)));
                };
                self.fields(document, fields, &|name| parts.column_by_name(name), row)?;
                Ok(Shown::Yes)
            }
            (Kind::Array(element), Bson::Array(values)) => self.elements(element, array, row, values),
            (Kind::Array(element), value) => self.alone(element, array, row, value),
            (Kind::Map(value), Bson::Document(document)) => self.map(value, array, row, document),
            (Kind::Json, Bson::Document(document)) => self.json(array, row, document),
            (Kind::Document(_) | Kind::Map(_) | Kind::Json, value) if is_blank(kind, array, row) => {
                Ok(Shown::Elsewhere(expect::is_other(value)))
            }
            (Kind::Document(_) | Kind::Map(_) | Kind::Json, value) => {
                Err(self.mismatch(Some(value), &cell::text(array, row)))
            }
            (kind, value) => self.leaf(kind, array, row, value, cell::is_null(array, row)),
        }
    }

    /// A value of a column without parts, which shows nothing if it `is_blank`.
    fn leaf(
        &mut self,
        kind: &Kind,
        array: &ArrayRef,
        row: usize,
        value: &Bson,
        is_blank: bool,
    ) -> Result<Shown, Box<Mismatch>> {
        match self.rules.expected(kind, value) {
            Expected::Shown(expected) | Expected::Perhaps(expected)
                if !cell::is_null(array, row) && shows(&expected, array, row) =>
            {
                Ok(Shown::Yes)
            }
            Expected::Shown(_) | Expected::Perhaps(_) if is_blank && self.was_elsewhere(value).is_some() => {
                Ok(Shown::Elsewhere(self.was_elsewhere(value).unwrap_or_default()))
            }
            Expected::Perhaps(_) if is_blank => Ok(Shown::Elsewhere("out of range".to_owned())),
            Expected::Elsewhere(reason) if is_blank => Ok(Shown::Elsewhere(reason)),
            _ => Err(self.mismatch(Some(value), &cell::text(array, row))),
        }
    }

    /// Whether the field had no column when the table was loaded, or what it is in had none.
    fn came_late(&self) -> bool {
        let keys = self.keys();
        let ends = keys.match_indices('.').map(|(at, _)| at).chain([keys.len()]);
        let mut paths = ends.filter_map(|end| keys.get(..end));
        paths.any(|path| self.late.get(path).is_some_and(Option::is_none))
    }

    /// Why a value could not be shown before its column got a wider type.
    fn was_elsewhere(&self, value: &Bson) -> Option<String> {
        if self.late.is_empty() {
            return None;
        }
        let before = self.late.get(&self.keys())?.as_ref()?;
        match self.rules.expected(before, value) {
            Expected::Elsewhere(reason) => Some(reason),
            _ => None,
        }
    }

    /// Each element stands in its place.
    fn elements(
        &mut self,
        kind: &Kind,
        array: &ArrayRef,
        row: usize,
        values: &[Bson],
    ) -> Result<Shown, Box<Mismatch>> {
        let items = cell::items(array, row).filter(|items| items.len() == values.len());
        let Some(items) = items else {
            let value = Bson::Array(values.to_vec());
            return Err(self.mismatch(Some(&value), &cell::text(array, row)));
        };
        for (index, value) in values.iter().enumerate() {
            self.path.push(Step::Position(index));
            let shown = match value {
                Bson::Null if is_blank(kind, &items, index) => Shown::Yes,
                Bson::Null => return Err(self.mismatch(Some(value), &cell::text(&items, index))),
                value => self.value(kind, &items, index, value)?,
            };
            self.path.pop();
            if let Shown::Elsewhere(reason) = shown {
                self.count(reason);
            }
        }
        Ok(Shown::Yes)
    }

    /// A value that is no array is shown as an array of one, if it is of the elements' type.
    fn alone(
        &mut self,
        kind: &Kind,
        array: &ArrayRef,
        row: usize,
        value: &Bson,
    ) -> Result<Shown, Box<Mismatch>> {
        let items = cell::items(array, row);
        match items.as_ref().map_or(0, |items| items.len()) {
            0 if !self.fits_alone(kind, value) || self.was_not_alone(value) => {
                return Ok(Shown::Elsewhere(expect::is_other(value)));
            }
            1 => {
                if let Some(items) = &items
                    && let Shown::Yes = self.value(kind, items, 0, value)?
                {
                    self.count("is no array".to_owned());
                    return Ok(Shown::Yes);
                }
            }
            _ => {}
        }
        Err(self.mismatch(Some(value), &cell::text(array, row)))
    }

    /// Whether a value was not of the elements' type before that got wider.
    fn was_not_alone(&self, value: &Bson) -> bool {
        let before = self.late.get(&self.keys()).and_then(Option::as_ref);
        before.is_some_and(|before| !self.fits_alone(before, value))
    }

    fn fits_alone(&self, kind: &Kind, value: &Bson) -> bool {
        match (kind, value) {
            (Kind::Document(_) | Kind::Map(_) | Kind::Json, value) => matches!(value, Bson::Document(_)),
            (Kind::Array(_), _) => false,
            (kind, value) => matches!(self.rules.expected(kind, value), Expected::Shown(_)),
        }
    }

    /// A column of JSON shows nothing that the document has not, and all of it that JSON has a form for.
    fn json(&mut self, array: &ArrayRef, row: usize, document: &Document) -> Result<Shown, Box<Mismatch>> {
        let text =
            cell::bytes(array, row).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let there = match text {
            "" => Document::new(),
            text => parse_document(text)
                .map_err(|_| self.mismatch(Some(&document.clone().into()), &cell::text(array, row)))?,
        };
        if !self.json_level(document, &there, 0)? {
            self.count("not plain JSON".to_owned());
        }
        Ok(Shown::Yes)
    }

    /// Whether everything is shown.
    fn json_level(
        &mut self,
        document: &Document,
        there: &Document,
        level: usize,
    ) -> Result<bool, Box<Mismatch>> {
        if let Some((key, value)) = there.iter().find(|(key, _)| !document.contains_key(*key)) {
            self.path.push(Step::Key(key.clone()));
            return Err(self.mismatch(None, &in_words(Some(value))));
        }
        let mut is_whole = true;
        for (key, value) in document {
            self.path.push(Step::Key(key.clone()));
            match (value, there.get(key)) {
                (Bson::Null, None) => {}
                (Bson::Document(inside), Some(Bson::Document(there))) => {
                    is_whole &= self.json_level(inside, there, level + 1)?;
                }
                // A document of which nothing can be shown is not there at all.
                (Bson::Document(inside), None) => {
                    self.json_level(inside, &Document::new(), level + 1)?;
                    is_whole = false;
                }
                (value, Some(there)) => {
                    let pair = |value: &Bson| bson::doc! { "v": value.clone() };
                    if equal(&pair(value), &pair(there), false).is_err() {
                        return Err(self.mismatch(Some(value), &in_words(Some(there))));
                    }
                }
                (value, None) => {
                    let is_simple =
                        matches!(value, Bson::Boolean(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::String(_));
                    let is_plain = self.path.iter().rev().take(level + 1).all(Step::is_plain_key);
                    if is_simple && is_plain && level < JSON_LEVELS && !self.repeats {
                        return Err(self.mismatch(Some(value), "nothing"));
                    }
                    is_whole = false;
                }
            }
            self.path.pop();
        }
        Ok(is_whole)
    }

    pub(super) fn count(&mut self, reason: String) {
        // As they are counted when they are written: elements under their array.
        let field = self.keys();
        count(&mut self.mismatches, field, reason);
    }

    pub(super) fn mismatch(&self, value: Option<&Bson>, target: &str) -> Box<Mismatch> {
        let path: Vec<String> = self.path.iter().map(Step::to_string).collect();
        Mismatch::new(path.join("."), in_words(value), format!("the column shows {target}"))
    }
}
