//! What users say about a table, in one place: `zenith copy` flattens it into its arguments, `zenith.toml` and the state into
//! the settings of a pipeline, and programs fill it in. Names, defaults and meanings stand here alone; the first paragraph
//! of a comment is the short meaning, and what follows "; by default" says what is done where nothing was set.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize};
use zenith_arrow::infer::{DecimalAs, InferOptions, Integers, Mixed, ObjectIdAs};
use zenith_arrow::{DateRange, UuidOrder};

use crate::masks::MaskSetting;
use crate::policies::OnNewField;
use crate::row_shape::{FlatArrays, Said, Shape};

/// The table of dead letters, unless another one is named.
const DEAD_LETTERS: &str = "zenith_dead_letters";
/// What stands between the keys in the name of a flat column.
const SEPARATOR: &str = "_";
/// Rows of one insert: what costs ClickHouse no more than one huge insert (about 16 to 24 MB).
const BATCH_ROWS: usize = 131_072;
/// Inserts under way at the same time.
const INSERTERS: usize = 2;
/// Documents in the sample.
const SAMPLE: usize = 10_000;
/// Readers and inserters beyond this only get in each other's way.
const WORKERS_MAX: usize = 64;
/// The most columns that a table gets by itself.
const COLUMNS_MAX: usize = 1_000;

/// How the new rows take the place of the old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Into a shadow table that is exchanged with the old one in one step.
    #[default]
    Swap,
    /// Into the table itself, which is emptied first.
    Truncate,
}

/// What happens to documents that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OnBadDocument {
    /// Their bytes go to the table of dead letters, and the run continues.
    #[default]
    Keep,
    /// The run fails.
    Fail,
}

/// The driver that wrote the UUIDs of the old binary subtype 3. It decides the order of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum UuidLegacy {
    /// Python drivers: as those of subtype 4.
    #[default]
    Python,
    /// Java drivers: each half reversed.
    Java,
    /// C# drivers: the first three groups reversed.
    Csharp,
}

impl From<UuidLegacy> for UuidOrder {
    fn from(legacy: UuidLegacy) -> UuidOrder {
        match legacy {
            UuidLegacy::Python => UuidOrder::PythonLegacy,
            UuidLegacy::Java => UuidOrder::JavaLegacy,
            UuidLegacy::Csharp => UuidOrder::CSharpLegacy,
        }
    }
}

/// How a table is made and loaded. A missing option has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default)]
pub struct TableOptions {
    /// How the new rows of a load take the place of the old ones.
    ///
    /// In the mode `changes` of a pipeline it is always `swap`.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub strategy: Strategy,

    /// Most rows of one insert of a load.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = BATCH_ROWS, help_heading = "Tuning"))]
    pub batch_rows: usize,
    /// Concurrent scans of the collection; by default as many as suit the cores and the size of documents.
    ///
    /// That is a quarter of the cores, 1 to 8, and at least 2 for very small documents.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Tuning"))]
    pub readers: Option<usize>,
    /// Concurrent inserts of a load.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = INSERTERS, help_heading = "Tuning"))]
    pub inserters: usize,
    /// Documents looked at to infer the columns.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = SAMPLE, help_heading = "Tuning"))]
    pub sample: usize,
    /// Create the table so that an insert is acknowledged only when it is on disk.
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Tuning"))]
    pub fsync: bool,

    /// What documents become.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub shape: Shape,
    /// With `shape = "flat"`, what stands between the keys in the name of a column.
    ///
    /// One with a dot in it goes with `flat_arrays = "json"`.
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "TEXT",
        default_value = SEPARATOR,
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        help_heading = "Columns"
    ))]
    pub flat_separator: String,
    /// With `shape = "flat"`, how many levels of documents become columns of their parts; by default all.
    ///
    /// With 1 the documents inside of those of the top level are tuples.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", help_heading = "Columns"))]
    pub flat_depth: Option<usize>,
    /// With `shape = "flat"`, what arrays become.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub flat_arrays: FlatArrays,
    /// How ObjectIds are stored.
    #[serde(alias = "object_id_fixed", deserialize_with = "object_id")]
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub object_id: ObjectIdAs,
    /// How Decimal128 values are stored.
    #[serde(alias = "decimal_text", deserialize_with = "decimal")]
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub decimal: DecimalAs,
    /// How integers are stored.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub integers: Integers,
    /// What a field of several types becomes, where no type has 99 % of its values.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub mixed: Mixed,
    /// The same for single fields, by their dotted path.
    ///
    /// The path has a dot between the keys, and no mark for the elements of an array: `items.price`. In zenith.toml it is a
    /// table `[pipelines.NAME.mixed_fields]` below the other settings, with lines as `"items.price" = "text"`; an argument is
    /// written as `items.price=text`, and may be repeated.
    #[serde(with = "crate::pairs::values")]
    #[cfg_attr(feature = "clap", arg(
        long,
        alias = "mixed-field",
        value_name = "PATH=MIXED",
        value_parser = mixed_field,
        help_heading = "Columns"
    ))]
    pub mixed_fields: Vec<(String, Mixed)>,
    /// Names of columns for fields of the top level; by default those of the fields.
    ///
    /// In zenith.toml it is a table `[pipelines.NAME.rename]` below the other settings, with lines as `custID =
    /// "customer_id"`; an argument is written as `custID=customer_id`, and may be repeated. Other settings call the field by
    /// its own name, and so does `_zenith_extra`. With `shape = "flat"` a part of a document is called by its dotted path.
    #[serde(with = "crate::pairs::values")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "FIELD=COLUMN",
        value_parser = crate::renames::rename,
        help_heading = "Columns"
    ))]
    pub rename: Vec<(String, String)>,
    /// Byte order of UUIDs of the old binary subtype 3, by the driver that wrote them.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub uuid_legacy: UuidLegacy,
    /// Distinguish explicit nulls from missing fields, by noting them in `_zenith_extra`.
    #[cfg_attr(feature = "clap", arg(long, help_heading = "Columns"))]
    pub keep_nulls: bool,
    /// Fields that are left out of the table, by their dotted path; by default none.
    ///
    /// The path has a dot between the keys, `*` in the place of any one key, and no mark for the elements of an array:
    /// `customer.password`, `*.internal`. Nothing of their values is written or kept anywhere. An argument may be repeated.
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH", help_heading = "Transforms"))]
    pub exclude: Vec<String>,
    /// The only fields that come into the table besides `_id`, by their dotted path; by default all do.
    ///
    /// Of these, `exclude` leaves some out.
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH", help_heading = "Transforms"))]
    pub include: Vec<String>,
    /// A query of MongoDB, as JSON: only documents that it matches are in the table; by default all are.
    ///
    /// As in `{"state": {"$ne": "draft"}}`; other types are written as in `{"at": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}`.
    /// MongoDB judges documents by it, so that it names fields as they are there. In the mode `changes` a document that no longer
    /// matches leaves the table, and one that begins to match comes. What may change without the document, as `$$NOW`, is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "JSON", help_heading = "Transforms"))]
    pub filter: Option<String>,
    /// What stands in the place of the values of a field, by its dotted path; by default the values themselves.
    ///
    /// The path is written as in `exclude`; a document or an array may be masked as a whole. `redact`: `****`. `null`: null.
    /// `last4`: `****` and the last four characters of a text of at least eight. `sha256`: the hash of a salt and the value,
    /// as text. `hash64`: the first eight bytes of it as a number, with or without a salt, for joins. In zenith.toml it is a
    /// table `[pipelines.NAME.mask]` below the other settings, with lines as `card = "redact"` and `"customer.email" = { with =
    /// "sha256", salt = "${SALT}" }`; an argument is written as `card=redact` or `'customer.email=sha256:${SALT}'`, and may be
    /// repeated. The salt is always a reference, `${NAME}` or `${file:PATH}`; the secret itself is kept nowhere.
    #[serde(with = "crate::pairs::values")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "PATH=MASK",
        value_parser = crate::masks::mask,
        help_heading = "Transforms"
    ))]
    pub mask: Vec<(String, MaskSetting)>,
    /// An array of which each element has a row, by its dotted path; by default none.
    ///
    /// The path leads through documents, as in `items` or `order.items`, and names fields as `exclude` does, which is applied
    /// first. Each row has the other fields of the document, the element in the place of the array, and the number of the
    /// element, from 1, in a column that is named after the array: `items_index`. A document without elements has one row with
    /// the number 0. The key of the table ends with `_id` and that column. Not in the mode `change-log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH", help_heading = "Transforms"))]
    pub unwind: Option<String>,
    /// What happens to a field that the table has no column for.
    ///
    /// While changes are applied, a column is made of all values of the field that wait at that moment. A load adds columns for
    /// rare fields that its sample missed before its table is shown. Keys that look like data get none, nor do more than 50
    /// fields in a minute or a load; their values go to `_zenith_extra`.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub on_new_field: OnNewField,
    /// The most columns that a table gets by itself, the parts of documents counted one by one.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = COLUMNS_MAX, help_heading = "Columns"))]
    pub max_columns: usize,
    /// The largest column, in bytes on disk, that gains parts by itself for new keys of its documents, or gets a wider type.
    ///
    /// ClickHouse writes such a column again, in the background. Above it the values go to `_zenith_extra`; `zenith schema
    /// promote` adds new keys.
    #[serde(with = "crate::size")]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "SIZE", default_value = "10GiB", help_heading = "Columns")
    )]
    pub max_rewrite: ByteSize,
    /// What happens to documents that cannot be decoded.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Dead letters"))]
    pub on_bad_document: OnBadDocument,
    /// The table of the target database that keeps documents which have no row; pipelines may share it.
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "NAME",
        default_value = DEAD_LETTERS,
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        help_heading = "Dead letters"
    ))]
    pub dead_letters: String,
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions {
            strategy: Strategy::default(),
            batch_rows: BATCH_ROWS,
            readers: None,
            inserters: INSERTERS,
            sample: SAMPLE,
            fsync: false,
            shape: Shape::default(),
            flat_separator: SEPARATOR.to_owned(),
            flat_depth: None,
            flat_arrays: FlatArrays::default(),
            object_id: ObjectIdAs::default(),
            decimal: DecimalAs::default(),
            integers: Integers::default(),
            mixed: Mixed::default(),
            mixed_fields: Vec::new(),
            rename: Vec::new(),
            uuid_legacy: UuidLegacy::default(),
            keep_nulls: false,
            exclude: Vec::new(),
            include: Vec::new(),
            filter: None,
            mask: Vec::new(),
            unwind: None,
            on_new_field: OnNewField::default(),
            max_columns: COLUMNS_MAX,
            max_rewrite: ByteSize::gib(10),
            on_bad_document: OnBadDocument::default(),
            dead_letters: DEAD_LETTERS.to_owned(),
        }
    }
}

impl TableOptions {
    /// How columns are chosen from values, for a target that holds these dates.
    pub(crate) fn infer_options(&self, dates: DateRange) -> InferOptions {
        InferOptions {
            object_id: self.object_id,
            decimal: self.decimal,
            integers: self.integers,
            mixed: self.mixed,
            mixed_fields: self.mixed_fields.iter().cloned().collect(),
            uuid_legacy: self.uuid_legacy.into(),
            keep_nulls: self.keep_nulls,
            columns: self.rename.iter().cloned().collect(),
            flat: self.row_shape().flat(),
            dates,
            ..InferOptions::default()
        }
    }

    /// Whether keys that no column is for are left out.
    #[must_use]
    pub fn ignores_new_fields(&self) -> bool {
        self.on_new_field == OnNewField::Ignore
    }

    /// What is said about the shape of rows.
    pub(crate) fn row_shape(&self) -> Said<'_> {
        Said {
            shape: self.shape,
            separator: &self.flat_separator,
            depth: self.flat_depth,
            arrays: self.flat_arrays,
        }
    }

    /// Names that options had in version 0.1, when `object_id = "fixed"` was `object_id_fixed = true`, and
    /// `decimal = "string"` was `decimal_text = true`. Both are still understood where options are deserialised.
    pub const EARLIER_NAMES: [&str; 2] = ["object_id_fixed", "decimal_text"];

    /// The numbers that cannot be used, by the names of the options, and what is wrong with them.
    pub fn unusable_numbers(&self) -> impl Iterator<Item = (&'static str, usize, &'static str)> {
        let workers = [("readers", self.readers), ("inserters", Some(self.inserters))]
            .map(|(option, number)| (option, number, WORKERS_MAX));
        let others = [("batch_rows", self.batch_rows), ("sample", self.sample)]
            .map(|(option, number)| (option, Some(number), usize::MAX));
        others.into_iter().chain(workers).filter_map(|(option, number, most)| match number? {
            0 => Some((option, 0, "at least 1 is needed")),
            number if number > most => {
                Some((option, number, "more than 64 at once only get in each other's way"))
            }
            _ => None,
        })
    }
}

fn object_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectIdAs, D::Error> {
    named_or_set(deserializer, ObjectIdAs::Fixed)
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DecimalAs, D::Error> {
    named_or_set(deserializer, DecimalAs::Text)
}

/// A value by its name or, as version 0.1 wrote it, whether it is `set` instead of the default.
fn named_or_set<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
    set: T,
) -> Result<T, D::Error> {
    struct NamedOrSet<T>(T);

    impl<'de, T: Default + Deserialize<'de>> serde::de::Visitor<'de> for NamedOrSet<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }

        fn visit_bool<E: serde::de::Error>(self, is_set: bool) -> Result<T, E> {
            Ok(if is_set { self.0 } else { T::default() })
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
            T::deserialize(serde::de::value::StrDeserializer::new(name))
        }
    }

    deserializer.deserialize_any(NamedOrSet(set))
}

/// `PATH=MIXED`; keys may have `=` in them.
#[cfg(feature = "clap")]
fn mixed_field(text: &str) -> Result<(String, Mixed), String> {
    let (path, mixed) = text
        .rsplit_once('=')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| "write it as PATH=text, as in items.price=text".to_owned())?;
    let mixed = <Mixed as clap::ValueEnum>::from_str(mixed, false)
        .map_err(|_| format!("{mixed:?} is none of twin, text and majority"))?;
    Ok((path.to_owned(), mixed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: serde_json::Value) -> Result<TableOptions, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_as_they_are_written() {
        let options = TableOptions {
            decimal: DecimalAs::Text,
            mixed_fields: vec![("a.b".to_owned(), Mixed::Text), ("c".to_owned(), Mixed::Majority)],
            uuid_legacy: UuidLegacy::Csharp,
            readers: Some(3),
            ..TableOptions::default()
        };
        let written = serde_json::to_value(&options).unwrap();
        assert_eq!((&written["decimal"], &written["uuid_legacy"]), (&json!("string"), &json!("csharp")));
        assert_eq!(written["mixed_fields"], json!({"a.b": "text", "c": "majority"}));
        assert_eq!(read(written), Ok(options));
        assert_eq!(read(json!({})), Ok(TableOptions::default()));
    }

    #[test]
    fn names_of_version_0_1_are_understood() {
        let options = read(json!({"object_id_fixed": true, "decimal_text": true})).unwrap();
        assert_eq!((options.object_id, options.decimal), (ObjectIdAs::Fixed, DecimalAs::Text));
        let options = read(json!({"object_id_fixed": false, "decimal_text": false})).unwrap();
        assert_eq!(options, TableOptions::default());
        for (options, part) in [
            (json!({"object_id": "hex", "object_id_fixed": true}), "duplicate field"),
            (json!({"object_id": "bytes"}), "`hex` or `fixed`"),
            (json!({"decimal": 5}), "expected a text"),
        ] {
            let error = read(options).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_used_are_named() {
        let options =
            TableOptions { batch_rows: 0, readers: Some(65), inserters: 64, ..TableOptions::default() };
        let unusable: Vec<_> =
            options.unusable_numbers().map(|(option, number, _)| (option, number)).collect();
        assert_eq!(unusable, [("batch_rows", 0), ("readers", 65)]);
        assert_eq!(TableOptions::default().unusable_numbers().count(), 0);
    }

    #[cfg(feature = "clap")]
    #[test]
    fn a_field_has_a_path_and_what_it_becomes() {
        assert_eq!(mixed_field("items.price=text"), Ok(("items.price".to_owned(), Mixed::Text)));
        assert_eq!(mixed_field("a=b=majority"), Ok(("a=b".to_owned(), Mixed::Majority)));
        assert!(mixed_field("items.price").unwrap_err().contains("PATH=text"));
        assert!(mixed_field("=text").is_err());
        assert!(mixed_field("price=texts").unwrap_err().contains("twin, text and majority"));
    }
}
