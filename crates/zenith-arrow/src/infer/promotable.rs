//! Columns for what gathered in the extra column: fields that a table has no column for, at any level.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, RawDocumentBuf};

use super::InferOptions;
use super::census::{Counting, Level};
use super::choose;
use super::flat;
use super::forms::Forms;
use super::keys::KeyPosition;
use crate::decode::{FIELDS_MAX, OTHERS};
use crate::extended_json::{Container, Json, JsonError, to_bson};
use crate::schema::{Blank, ELEMENTS_KEY, Field, Kind, Schema};

/// What the extra column of some rows holds beyond the columns of their table. Memory is bounded by the number of distinct
/// paths.
#[derive(Debug)]
pub struct Promotable {
    level: Level,
    counting: Counting,
    /// How many values there are of each path, without positions; those of further paths together.
    values: BTreeMap<String, u64>,
    /// Columns of which there are values, that may be beyond their parts.
    columns: BTreeSet<String>,
    /// Paths of fields that are looked for even if their keys look like data.
    named: Vec<String>,
    options: InferOptions,
}

/// A field that can have a column, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Its keys with dots between them; positions in arrays are left out.
    pub path: String,
    /// What holds its values.
    pub kind: Kind,
    /// The name of the twin column beside it.
    pub twin: Option<String>,
    /// How many values were seen.
    pub values: u64,
}

/// Which fields are to get columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// All whose keys do not look like data.
    All,
    /// Those of these paths.
    Only(&'a [String]),
}

impl Wanted<'_> {
    fn has(self, path: &str, key: &str) -> bool {
        match self {
            Wanted::All => !is_data(key),
            Wanted::Only(paths) => paths.iter().any(|wanted| wanted == path),
        }
    }
}

impl Promotable {
    /// Of no rows yet. Fields whose keys look like data are only counted, but for those of the paths in `named`.
    #[must_use]
    pub fn new(options: InferOptions, named: &[String]) -> Promotable {
        Promotable {
            level: Level::default(),
            counting: Counting::new(&options),
            values: BTreeMap::new(),
            columns: BTreeSet::new(),
            named: named.to_vec(),
            options,
        }
    }

    /// Counts what the extra column of one row has that `schema` has no column for.
    ///
    /// # Errors
    ///
    /// [`JsonError`] where the text is not an overlay.
    pub fn add(&mut self, schema: &Schema, extra: &str) -> Result<(), JsonError> {
        let json = Json::parse(extra)?;
        let Some(container) = Container::of(&json)? else { return Ok(()) };
        for (key, _) in container.pairs() {
            if !self.columns.contains(key) && schema.fields.iter().any(|field| field.name == key) {
                self.columns.insert(key.to_owned());
            }
        }
        let beyond = self.beyond(&schema.fields, container, "")?;
        if let Ok(document) = RawDocumentBuf::try_from(&beyond)
            && !beyond.is_empty()
        {
            // What has just been written can be walked.
            let _ = self.level.add(document.as_bytes(), 1, &mut self.counting);
        }
        Ok(())
    }

    /// Whether the extra column has values of the field of this column.
    #[must_use]
    pub fn has_values_of(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// The paths of all values seen that no column is for, and how many there are of each. After 1,000 paths the values of
    /// others are counted together, as `(other fields)`.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, u64> {
        &self.values
    }

    /// The schema with the fields that are wanted and can have a column, and these fields. All columns together have no more
    /// than `leaves_max` leaves.
    ///
    /// The rules are those of [`infer`](super::infer()), and four more: keys that look like data are left out one by one, unless
    /// they are asked for by name; a name with dots is left out beside any part of it; what shows nothing is missing, as it is in
    /// all earlier rows; and a document for whose parts there is no room becomes JSON.
    #[must_use]
    pub fn promote(&self, schema: &Schema, wanted: Wanted<'_>, leaves_max: usize) -> (Schema, Vec<Promoted>) {
        let leaves: usize = schema.fields.iter().map(Field::leaves).sum();
        let mut growth = Growth {
            wanted,
            values: &self.values,
            names: &self.options.columns,
            taken: schema.columns().flat_map(names).collect(),
            room: leaves_max.saturating_sub(leaves),
            promoted: Vec::new(),
        };
        let mut grown = schema.clone();
        let mut fields = choose::fields_of(&self.level, KeyPosition::Top, "", &self.options);
        if let Some(flat) = &self.options.flat {
            flat.mark_all(&mut fields);
        }
        growth.fields(&mut grown.fields, fields, "", Some(""));
        (grown, growth.promoted)
    }

    fn count(&mut self, path: String) {
        let is_known = self.values.len() < FIELDS_MAX || self.values.contains_key(&path);
        let path = if is_known { path } else { OTHERS.to_owned() };
        *self.values.entry(path).or_default() += 1;
    }

    /// The part of a document that no column is for.
    fn beyond(
        &mut self,
        fields: &[Field],
        container: Container<'_, '_>,
        parent: &str,
    ) -> Result<Document, JsonError> {
        let mut beyond = Document::new();
        for (key, json) in container.pairs() {
            let path = joined(parent, key);
            let part = match fields.iter().find(|field| field.name == key) {
                Some(field) => self.beyond_kind(&field.kind, json, &path)?,
                None => {
                    let is_data = is_data(key) && !self.named.contains(&path);
                    self.count(path);
                    if is_data { None } else { Some(to_bson(json)?) }
                }
            };
            if let Some(part) = part {
                beyond.insert(key, part);
            }
        }
        Ok(beyond)
    }

    /// The part of a value that lies beyond the parts of its column; `None` if it is another one that does not fit.
    fn beyond_kind(&mut self, kind: &Kind, json: &Json<'_>, path: &str) -> Result<Option<Bson>, JsonError> {
        Ok(match kind {
            Kind::Document(fields) => match Container::of(json)? {
                Some(container) => Some(self.beyond(fields, container, path)?)
                    .filter(|part| !part.is_empty())
                    .map(Bson::Document),
                None => None,
            },
            Kind::Array(element) => {
                let Some(Json::Object(elements)) = json.get(ELEMENTS_KEY) else { return Ok(None) };
                let mut parts = Vec::new();
                for (_, json) in elements {
                    parts.extend(self.beyond_kind(element, json, path)?);
                }
                Some(parts).filter(|parts| !parts.is_empty()).map(Bson::Array)
            }
            _ => None,
        })
    }
}

/// The growth of a schema.
struct Growth<'a> {
    wanted: Wanted<'a>,
    values: &'a BTreeMap<String, u64>,
    /// The names of columns that are asked for, by paths.
    names: &'a BTreeMap<String, String>,
    /// The names of the columns of the table.
    taken: Vec<String>,
    /// For so many further leaves.
    room: usize,
    promoted: Vec<Promoted>,
}

impl Growth<'_> {
    /// `prefix` is what the names of the columns begin with; without one they are parts of a column.
    fn fields(&mut self, there: &mut Vec<Field>, found: Vec<Field>, parent: &str, prefix: Option<&str>) {
        for field in found {
            let path = joined(parent, &field.name);
            match there.iter_mut().find(|known| known.name == field.name) {
                Some(known) => {
                    let prefix = known.prefix();
                    self.kind(&mut known.kind, field.kind, &path, prefix.as_deref());
                }
                None => self.field(there, field, parent, prefix),
            }
        }
    }

    fn kind(&mut self, there: &mut Kind, found: Kind, path: &str, prefix: Option<&str>) {
        match (there, found) {
            (Kind::Document(there), Kind::Document(found)) => self.fields(there, found, path, prefix),
            (Kind::Array(there), Kind::Array(found)) => self.kind(there, *found, path, None),
            _ => {}
        }
    }

    fn field(&mut self, there: &mut Vec<Field>, mut field: Field, parent: &str, prefix: Option<&str>) {
        let path = joined(parent, &field.name);
        if !self.wanted.has(&path, &field.name) {
            return;
        }
        set_missing(&mut field);
        let mut taken = match prefix {
            Some(prefix) => {
                flat::name(&mut field, prefix, parent, self.names);
                self.taken.clone()
            }
            None => {
                flat::as_tuple(&mut field);
                there.iter().flat_map(names).collect()
            }
        };
        let is_free = |name: &str| !taken.iter().any(|other| other == name) && !is_ambiguous(name, &taken);
        let is_left_out =
            !field.retain_columns(&mut |column| flat::can_be_named(column) && is_free(column.column_name()));
        flat::free_twins(&mut field, &mut taken);
        if field.leaves() > self.room && matches!(field.kind, Kind::Document(_)) {
            field.kind = Kind::Json;
            field.flat = None;
        }
        let leaves = field.leaves();
        if is_left_out || leaves > self.room {
            return;
        }
        self.room -= leaves;
        if prefix.is_some() {
            flat::names_of(&field, &mut taken);
            self.taken = taken;
        }
        let values = self.values.get(&path).copied().unwrap_or_default();
        let twin = field.twin.as_ref().map(|twin| twin.name.clone());
        self.promoted.push(Promoted { path, kind: field.kind.clone(), twin, values });
        there.push(field);
    }
}

/// The names of the column of a field, and of its twin.
fn names(field: &Field) -> impl Iterator<Item = String> + use<> {
    let twin = field.twin.as_ref().map(|twin| twin.name.clone());
    std::iter::once(field.column_name().to_owned()).chain(twin)
}

/// What shows nothing is missing: earlier rows have the whole value in the extra column, with no note of what it lacks.
fn set_missing(field: &mut Field) {
    field.blank = Blank::Missing;
    if let Kind::Document(fields) = &mut field.kind {
        fields.iter_mut().for_each(set_missing);
    }
}

/// Whether a key alone looks like data.
fn is_data(name: &str) -> bool {
    let forms = Forms::of([name]);
    forms.data + forms.numbers > 0
}

/// Whether a name with dots spells a path through another one.
fn is_ambiguous(name: &str, others: &[String]) -> bool {
    let spells = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    others.iter().any(|other| spells(name, other) || spells(other, name))
}

fn joined(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;
    use crate::infer::infer;

    fn schema(documents: &[RawDocumentBuf]) -> Schema {
        infer(documents.iter().map(|document| document.as_bytes()), &InferOptions::default()).schema
    }

    fn orders() -> Schema {
        schema(&[rawdoc! { "_id": 1, "customer": { "name": "n" }, "items": [{ "sku": "a" }], "n": 1 }])
    }

    fn gathered(schema: &Schema, texts: &[&str]) -> Promotable {
        let mut found = Promotable::new(InferOptions::default(), &[]);
        texts.iter().for_each(|text| found.add(schema, text).unwrap());
        found
    }

    fn paths(promoted: &[Promoted]) -> Vec<(&str, &Kind, u64)> {
        promoted.iter().map(|field| (field.path.as_str(), &field.kind, field.values)).collect()
    }

    #[test]
    fn fields_of_every_level_are_found() {
        let schema = orders();
        let found = gathered(
            &schema,
            &[
                r#"{"price":{"$numberInt":"3"},"n":"x"}"#,
                r#"{"price":{"$numberDouble":"2.5"},"customer":{"vip":true}}"#,
                r#"{"items":{"$elements":{"0":{"serial":"A"},"4":{"serial":"B"},"5":"no item"}}}"#,
            ],
        );
        let (grown, promoted) = found.promote(&schema, Wanted::All, 100);
        let expected = [
            ("price", &Kind::Double, 2),
            ("customer.vip", &Kind::Bool, 1),
            ("items.serial", &Kind::String, 2),
        ];
        assert_eq!(paths(&promoted), expected);
        let whole = [rawdoc! {
            "_id": 1,
            "customer": { "name": "n", "vip": true },
            "items": [{ "sku": "a", "serial": "A" }],
            "n": 1,
            "price": 2.5,
        }];
        assert_eq!(grown, self::schema(&whole));
    }

    #[test]
    fn only_what_is_wanted_is_taken_even_if_it_looks_like_data() {
        let schema = orders();
        let found = gathered(&schema, &[r#"{"2024-05-06":true,"a":true,"customer":{"b":true}}"#]);
        let named = |wanted| {
            let (_, promoted) = found.promote(&schema, wanted, 100);
            promoted.into_iter().map(|field| field.path).collect::<Vec<_>>()
        };
        assert_eq!(named(Wanted::All), ["a", "customer.b"]);
        let only = ["2024-05-06".to_owned(), "customer.b".to_owned(), "absent".to_owned()];
        // Values that look like data are only counted where nobody asks for them.
        assert_eq!(named(Wanted::Only(&only)), ["customer.b"]);
        let mut found = Promotable::new(InferOptions::default(), &only);
        found.add(&schema, r#"{"2024-05-06":true,"customer":{"b":true}}"#).unwrap();
        let (_, promoted) = found.promote(&schema, Wanted::Only(&only), 100);
        let named: Vec<&str> = promoted.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(named, ["2024-05-06", "customer.b"]);
        assert!(found.has_values_of("customer") && !found.has_values_of("items"));
    }

    #[test]
    fn columns_of_other_names_are_taken_under_these() {
        let columns = [("cust", "customer"), ("late", "later")];
        let columns = columns.map(|(key, column)| (key.to_owned(), column.to_owned())).into();
        let options = InferOptions { columns, ..InferOptions::default() };
        let known = rawdoc! { "_id": 1, "cust": 1 };
        let schema = infer([known.as_bytes()], &options).schema;
        assert_eq!(schema.fields[1].column_name(), "customer");
        let mut found = Promotable::new(options, &[]);
        found.add(&schema, r#"{"cust":"x","customer":true,"late":true,"later":true,"new":true}"#).unwrap();
        let (grown, promoted) = found.promote(&schema, Wanted::All, 100);
        assert_eq!(paths(&promoted), [("late", &Kind::Bool, 1), ("new", &Kind::Bool, 1)]);
        assert_eq!(grown.fields[2].column_name(), "later");
    }

    #[test]
    fn there_is_a_bound() {
        let schema = orders();
        let found = gathered(&schema, &[r#"{"a":{"x":true,"y":true},"b":["s"],"c":true}"#]);
        // `_id`, customer.name, items.sku and n are four.
        let (grown, promoted) = found.promote(&schema, Wanted::All, 5);
        assert_eq!((paths(&promoted), grown.fields.len()), (vec![("a", &Kind::Json, 1)], 5));
        let (_, promoted) = found.promote(&schema, Wanted::All, 7);
        let names: Vec<&str> = promoted.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found.promote(&schema, Wanted::All, 4), (schema, Vec::new()));
    }

    #[test]
    fn keys_that_are_data_or_would_name_two_things_get_none() {
        let schema = schema(&[rawdoc! { "_id": 1, "a": { "b": 1 } }]);
        let extra = r#"{"507f1f77bcf86cd799439011":true,"2024-05-06":true,"12":true,"a.b":true,"_zenith_x":true,
            "fine":true}"#;
        let found = gathered(&schema, &[extra]);
        let (_, promoted) = found.promote(&schema, Wanted::All, 100);
        assert_eq!(paths(&promoted), [("fine", &Kind::Bool, 1)]);
    }

    #[test]
    fn twins_take_names_that_are_free() {
        let schema = schema(&[rawdoc! { "_id": 1, "x_text": 1 }]);
        let number = r#"{"x":{"$numberInt":"1"}}"#;
        let found = gathered(&schema, &[number, number, r#"{"x":"n"}"#]);
        let (_, promoted) = found.promote(&schema, Wanted::All, 100);
        assert_eq!(promoted[0].twin.as_deref(), Some("x_text_text"));
    }

    #[test]
    fn whole_values_are_no_parts_of_columns() {
        let schema = orders();
        // Neither is the document or array that its column is for.
        let found = gathered(&schema, &[r#"{"customer":"none","items":[{"x":true}],"n":{"y":true}}"#]);
        assert_eq!(found.promote(&schema, Wanted::All, 100), (schema, Vec::new()));
        assert!(found.values().is_empty());
    }
}
