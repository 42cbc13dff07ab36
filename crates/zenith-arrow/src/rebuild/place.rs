//! One place of a document: the value that its column shows, and the notes and extra values of it.

use std::collections::HashSet;

use arrow_array::{Array, ArrayRef};
use bson::{Bson, Document};
use zenith_bson::Elements;

use super::RebuildError;
use super::column::{self, Fault, Reason};
use crate::extended_json::{Container, Json, JsonError, MISSING_KEY, plain_text, to_bson};
use crate::schema::{Blank, ELEMENTS_KEY, EMPTY_ARRAY, EMPTY_DOCUMENT, Field, Kind, TextType};

/// Why a place could not be rebuilt.
pub(super) enum Failure {
    Column(Fault),
    Text(JsonError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Column(fault)
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Failure {
        Failure::Text(error)
    }
}

impl Failure {
    fn within(self, name: &str) -> Failure {
        match self {
            Failure::Column(fault) => Failure::Column(fault.within(name)),
            text @ Failure::Text(_) => text,
        }
    }

    /// The error of a row; the names of the columns have been collected on the way.
    pub(super) fn at_top(self) -> RebuildError {
        match self {
            Failure::Column(fault) => fault.at_top(),
            Failure::Text(error) => error.into(),
        }
    }
}

/// What the two texts say inside a document or array.
#[derive(Clone, Copy, Default)]
pub(super) struct Said<'j, 'a> {
    pub(super) extra: Option<Container<'j, 'a>>,
    pub(super) notes: Option<Container<'j, 'a>>,
}

/// What they say of one place.
#[derive(Clone, Copy, Default)]
struct Told<'j, 'a> {
    extra: Option<&'j Json<'a>>,
    note: Option<&'j Json<'a>>,
}

impl<'j, 'a> Said<'j, 'a> {
    fn of(self, key: &str) -> Told<'j, 'a> {
        Told { extra: find(self.extra, key), note: find(self.notes, key) }
    }
}

impl<'j, 'a> Told<'j, 'a> {
    /// The word of the note.
    fn word(self) -> Option<&'j str> {
        self.note.and_then(Json::as_str)
    }

    /// What is said inside a document here.
    fn inside(self) -> Result<Said<'j, 'a>, JsonError> {
        let container = |json: Option<&'j Json<'a>>| json.map_or(Ok(None), Container::of);
        Ok(Said { extra: container(self.extra)?, notes: container(self.note)? })
    }

    /// What is said of the elements of an array here.
    fn elements(self) -> Result<Said<'j, 'a>, JsonError> {
        let container = |json: Option<&'j Json<'a>>| {
            json.and_then(|json| json.get(ELEMENTS_KEY)).map_or(Ok(None), Container::of)
        };
        Ok(Said { extra: container(self.extra)?, notes: container(self.note)? })
    }

    /// Whether anything is said of what is inside.
    fn is_open(self) -> bool {
        self.extra.is_some() || matches!(self.note, Some(Json::Object(_)))
    }
}

fn find<'j, 'a>(container: Option<Container<'j, 'a>>, key: &str) -> Option<&'j Json<'a>> {
    container?.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The text that a value is written as.
fn text_of(value: &Bson) -> Option<Bson> {
    let document = bson::doc! { "v": value.clone() }.to_vec().ok()?;
    let element = Elements::new(&document).ok()?.next()?.ok()?;
    let mut text = Vec::new();
    plain_text(element.value, &mut text).ok()?;
    String::from_utf8(text).ok().map(Bson::String)
}

/// Whether the elements of an array are addressed, and not an object given.
fn is_elements(json: &Json<'_>) -> bool {
    matches!(json, Json::Object(pairs) if matches!(pairs.as_slice(), [(key, _)] if key == ELEMENTS_KEY))
}

/// A column, and what it means where it shows nothing.
#[derive(Clone, Copy)]
struct Column<'s, 'b> {
    kind: &'s Kind,
    blank: Blank,
    array: &'b ArrayRef,
    twin: Option<(TextType, &'b ArrayRef)>,
}

/// Rebuilds places.
pub(super) struct Places {
    pub(super) keep_nulls: bool,
}

impl Places {
    /// A document whose columns are found by their names.
    pub(super) fn document<'b>(
        &self,
        fields: &[Field],
        column: &dyn Fn(&str) -> Option<&'b ArrayRef>,
        row: usize,
        said: Said<'_, '_>,
    ) -> Result<Document, Failure> {
        let mut document = Document::new();
        for field in fields {
            let missing = || Fault::new(&field.kind, Reason::Missing).within(&field.name);
            let array = column(field.column_name()).ok_or_else(missing)?;
            let twin = match &field.twin {
                Some(twin) => {
                    let missing = || Fault::new("string", Reason::Missing).within(&twin.name);
                    Some((twin.usual, column(&twin.name).ok_or_else(missing)?))
                }
                None => None,
            };
            let column = Column { kind: &field.kind, blank: field.blank, array, twin };
            let value = self.value(column, row, said.of(&field.name));
            if let Some(value) = value.map_err(|failure| failure.within(&field.name))? {
                document.insert(field.name.clone(), value);
            }
        }
        self.others(&mut document, said, &|key| fields.iter().any(|field| field.name == key))?;
        Ok(document)
    }

    /// Puts what is said of keys that have no column into a document.
    fn others(
        &self,
        document: &mut Document,
        said: Said<'_, '_>,
        has_column: &dyn Fn(&str) -> bool,
    ) -> Result<(), JsonError> {
        for (key, json) in said.extra.iter().flat_map(|said| said.pairs()).filter(|(key, _)| !has_column(key))
        {
            if !matches!(json, Json::Null) || self.keep_nulls {
                document.insert(key, to_bson(json)?);
            }
        }
        for (key, note) in said.notes.iter().flat_map(|said| said.pairs()).filter(|(key, _)| !has_column(key))
        {
            match note.as_str() {
                Some(word) if word == Blank::Null.word() => drop(document.insert(key, Bson::Null)),
                Some(EMPTY_ARRAY) => drop(document.insert(key, Bson::Array(Vec::new()))),
                Some(EMPTY_DOCUMENT) => drop(document.insert(key, Document::new())),
                _ => {}
            }
        }
        Ok(())
    }

    fn value(&self, column: Column<'_, '_>, row: usize, told: Told<'_, '_>) -> Result<Option<Bson>, Failure> {
        if let Some(json) = told.extra
            && !self.goes_on(column.kind, json)?
        {
            return Ok(match json {
                Json::Null if !self.keep_nulls => None,
                Json::Object(pairs) if matches!(pairs.as_slice(), [(key, _)] if key == MISSING_KEY) => None,
                json => Some(to_bson(json)?),
            });
        }
        match told.word() {
            Some(word) if word == Blank::Missing.word() => return Ok(None),
            Some(word) if word == Blank::Null.word() => return Ok(Some(Bson::Null)),
            Some(word) if word == Blank::Empty.word() => return self.empty(column, row, told),
            // Rows from before the field had a column.
            Some(EMPTY_ARRAY) => return Ok(Some(Bson::Array(Vec::new()))),
            Some(EMPTY_DOCUMENT) => return Ok(Some(Bson::Document(Document::new()))),
            _ => {}
        }
        if let Some((usual, twin)) = column.twin
            && !twin.is_null(row)
        {
            let text_type = told.word().and_then(TextType::of_word).unwrap_or(usual);
            return Ok(column::plain(text_type, twin, row)?);
        }
        if !told.is_open() && !column::shows(column.kind, column.array, row)? {
            return match column.blank {
                Blank::Missing => Ok(None),
                Blank::Null => Ok(Some(Bson::Null)),
                Blank::Empty => self.empty(column, row, told),
            };
        }
        self.shown(column, row, told)
    }

    /// Whether what the extra column has is to be laid over what the column shows, key by key.
    fn goes_on(&self, kind: &Kind, json: &Json<'_>) -> Result<bool, JsonError> {
        Ok(match kind {
            Kind::Document(_) | Kind::Map(_) | Kind::Json => Container::of(json)?.is_some(),
            Kind::Array(_) => is_elements(json),
            _ => false,
        })
    }

    /// An array or document that is there, though the column may show nothing of it.
    fn empty(&self, column: Column<'_, '_>, row: usize, told: Told<'_, '_>) -> Result<Option<Bson>, Failure> {
        match column.kind {
            Kind::Array(_) => Ok(Some(Bson::Array(Vec::new()))),
            Kind::Map(_) | Kind::Json => Ok(Some(Bson::Document(Document::new()))),
            Kind::Document(_) => self.shown(column, row, told),
            _ => Ok(None),
        }
    }

    fn shown(&self, column: Column<'_, '_>, row: usize, told: Told<'_, '_>) -> Result<Option<Bson>, Failure> {
        Ok(Some(match column.kind {
            Kind::Document(fields) => {
                let columns = column::structure(column.array)?;
                let part = |name: &str| columns.column_by_name(name);
                Bson::Document(self.document(fields, &part, row, told.inside()?)?)
            }
            Kind::Array(element) => {
                let (array, said) = (column::items(element, column.array, row)?, told.elements()?);
                let blank = if element.is_never_null() { Blank::Empty } else { Blank::Null };
                let mut items = Vec::with_capacity(array.len());
                for index in 0..array.len() {
                    let item = Column { kind: element, blank, array: &array, twin: None };
                    let told = said.of(&index.to_string());
                    let value = self.value(item, index, told).map_err(|failure| failure.within("[]"))?;
                    items.push(value.unwrap_or(Bson::Null));
                }
                Bson::Array(items)
            }
            Kind::Map(value) => Bson::Document(self.map(value, column, row, told.inside()?)?),
            Kind::Json => {
                let mut document = column::json(column.array, row)?.unwrap_or_default();
                if let Some(over) = told.inside()?.extra {
                    self.lay_over(&mut document, over)?;
                }
                Bson::Document(document)
            }
            Kind::Text { usual } => {
                let text_type = told.word().and_then(TextType::of_word).unwrap_or(*usual);
                return Ok(column::plain(text_type, column.array, row)?);
            }
            kind => {
                let value = column::scalar_value(kind, column.array, row)?;
                // A text that says the value.
                let is_text = told.word() == Some(TextType::String.word());
                return Ok(if is_text { value.as_ref().and_then(text_of).or(value) } else { value });
            }
        }))
    }

    /// The document whose keys are those of a map, and keys whose values the map does not hold.
    fn map(
        &self,
        value: &Field,
        column: Column<'_, '_>,
        row: usize,
        said: Said<'_, '_>,
    ) -> Result<Document, Failure> {
        let (keys, values) = column::entries(column.kind, column.array, row)?;
        let mut document = Document::new();
        for index in 0..keys.len() {
            let key = column::text(&keys, index)?.unwrap_or_default();
            let entry = Column { kind: &value.kind, blank: Blank::Null, array: &values, twin: None };
            let value = self.value(entry, index, said.of(key)).map_err(|failure| failure.within(key))?;
            document.insert(key, value.unwrap_or(Bson::Null));
        }
        let held: HashSet<String> = document.keys().cloned().collect();
        self.others(&mut document, said, &|key| held.contains(key))?;
        Ok(document)
    }

    /// Lays what a JSON column would not have given back over what it shows.
    fn lay_over(&self, document: &mut Document, over: Container<'_, '_>) -> Result<(), JsonError> {
        for (key, json) in over.pairs() {
            match (json, Container::of(json)?) {
                (Json::Null, _) if !self.keep_nulls => {
                    document.remove(key);
                }
                (_, Some(over)) => {
                    if !matches!(document.get(key), Some(Bson::Document(_))) {
                        document.insert(key, Document::new());
                    }
                    if let Some(Bson::Document(inside)) = document.get_mut(key) {
                        self.lay_over(inside, over)?;
                    }
                }
                _ => {
                    document.insert(key, to_bson(json)?);
                }
            }
        }
        Ok(())
    }
}
