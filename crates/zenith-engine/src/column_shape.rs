//! What a single column is like: that of a field, or one that ClickHouse computes.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zenith_arrow::schema::ID_KEY as KEY;
use zenith_transport::ddl::{ColumnAdditions, expressions, literal, text_of};

/// What the names of Zenith's own columns begin with.
const OWN: &str = "_zenith_";

/// What a column is like. What is not said is chosen from the sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ColumnShape {
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// Whether it may be NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// Whether ClickHouse keeps a dictionary of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_cardinality: Option<bool>,
    /// How it is compressed, as in `ZSTD(1)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The comment on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The expression of a column that is computed when a row is inserted, and can be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The expression of a column that is computed when a row is inserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub materialized: Option<String>,
    /// The expression of a column that is computed when a row is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

impl ColumnShape {
    /// Whether ClickHouse computes it, and no field goes to it.
    pub(crate) fn is_computed(&self) -> bool {
        self.default.is_some() || self.materialized.is_some() || self.alias.is_some()
    }

    /// Whether it is said that it may be NULL.
    pub(crate) fn may_be_null(&self) -> bool {
        let has_type = self.data_type.as_ref().is_some_and(|data_type| data_type.contains("Nullable("));
        self.nullable.unwrap_or(has_type)
    }

    /// As the clauses of a column.
    pub(crate) fn additions(&self) -> ColumnAdditions {
        let computed =
            [("DEFAULT", &self.default), ("MATERIALIZED", &self.materialized), ("ALIAS", &self.alias)];
        let default = computed.into_iter().find_map(|(kind, sql)| Some(format!("{kind} {}", sql.as_ref()?)));
        ColumnAdditions {
            data_type: self.data_type.clone().filter(|_| self.is_computed()).unwrap_or_default(),
            default,
            comment: self.comment.as_ref().map(|comment| format!("COMMENT {}", literal(comment))),
            codec: self.codec.as_ref().map(|codec| format!("CODEC({codec})")),
            ..ColumnAdditions::default()
        }
    }

    /// Why a column of this name cannot be like this.
    pub(crate) fn refusal(&self, name: &str) -> Option<String> {
        let computed = [&self.default, &self.materialized, &self.alias].into_iter().flatten();
        let texts = computed.clone().chain(&self.codec).chain(&self.data_type);
        let of_field = self.nullable.is_some() || self.low_cardinality.is_some();
        let reason = if name.is_empty() || name.starts_with(OWN) {
            "Zenith names its own columns so, and there is nothing to say of them"
        } else if name == KEY && (self.is_computed() || self.data_type.is_some() || of_field) {
            "_id has the type that holds every key of the collection: only its codec and comment can be chosen"
        } else if computed.count() > 1 {
            "a column has one of default, materialized and alias"
        } else if self.is_computed() && of_field {
            "the type of a computed column says whether it may be NULL: write it as type = \"Nullable(…)\""
        } else if self.alias.is_some() && self.codec.is_some() {
            "an alias is not stored, and has no codec"
        } else if texts.into_iter().any(|sql| expressions(sql).is_none()) {
            "a bracket or a quotation mark in it is open, or a part of it is empty"
        } else {
            return None;
        };
        Some(reason.to_owned())
    }
}

/// As ClickHouse has a column behind its name: `Decimal(18, 4) NOT NULL CODEC(ZSTD(1))`, or only some of that.
impl FromStr for ColumnShape {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnShape, String> {
        const CLAUSES: [&str; 5] = ["CODEC", "DEFAULT", "MATERIALIZED", "ALIAS", "COMMENT"];
        let unknown = || {
            format!(
                "{text:?} is no column: write it as ClickHouse has it, as in Decimal(18, 4) CODEC(ZSTD(1)) or Date \
                 MATERIALIZED toDate(created_at)"
            )
        };
        let first = text.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        let has_type = !CLAUSES.contains(&first);
        let (nullable, text) = match text.split_once(" NOT NULL") {
            // Elsewhere these words are part of an expression.
            Some((data_type, rest)) if is_type(data_type) => (Some(false), format!("{data_type}{rest}")),
            _ => (None, text.to_owned()),
        };
        let whole = if has_type { text } else { format!("String {text}") };
        let column = ColumnAdditions::parse(&whole).ok_or_else(unknown)?;
        if column.ttl.is_some() || column.statistics.is_some() || column.settings.is_some() {
            return Err(unknown());
        }
        let of = |kind: &str| {
            let sql = column.default.as_ref()?.strip_prefix(kind)?;
            Some(sql.trim().to_owned())
        };
        let inside = |sql: &String| {
            let group = sql.split_once('(')?.1.trim_end().strip_suffix(')')?;
            Some(group.trim().to_owned())
        };
        let comment = column.comment.as_ref().and_then(|sql| text_of(sql.strip_prefix("COMMENT")?));
        let shape = ColumnShape {
            data_type: has_type.then_some(column.data_type.clone()),
            nullable,
            codec: column.codec.as_ref().and_then(inside),
            comment,
            default: of("DEFAULT "),
            materialized: of("MATERIALIZED "),
            alias: of("ALIAS "),
            ..ColumnShape::default()
        };
        let is_lost = |there: &Option<String>, read: bool| there.is_some() && !read;
        if is_lost(&column.default, shape.is_computed())
            || is_lost(&column.codec, shape.codec.is_some())
            || is_lost(&column.comment, shape.comment.is_some())
        {
            return Err(unknown());
        }
        Ok(shape)
    }
}

/// Whether a text is a type and nothing else.
fn is_type(text: &str) -> bool {
    ColumnAdditions::parse(text).is_some_and(|column| {
        column == ColumnAdditions { data_type: text.trim().to_owned(), ..ColumnAdditions::default() }
    })
}

/// A table of its settings, or one text.
impl<'de> Deserialize<'de> for ColumnShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ColumnShape, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = ColumnShape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of settings, or a column as ClickHouse has it")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ColumnShape, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ColumnShape, A::Error> {
                Settings::deserialize(MapAccessDeserializer::new(map)).map(ColumnShape::from)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

/// The table.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(rename = "type")]
    data_type: Option<String>,
    nullable: Option<bool>,
    low_cardinality: Option<bool>,
    codec: Option<String>,
    comment: Option<String>,
    default: Option<String>,
    materialized: Option<String>,
    alias: Option<String>,
}

impl From<Settings> for ColumnShape {
    fn from(settings: Settings) -> ColumnShape {
        let Settings { data_type, nullable, low_cardinality, codec, comment, default, materialized, alias } =
            settings;
        ColumnShape { data_type, nullable, low_cardinality, codec, comment, default, materialized, alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ColumnShape {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn columns_are_written_as_in_clickhouse() {
        let text = |text: &str| Some(text.to_owned());
        let price = parsed("Decimal(18, 4) NOT NULL COMMENT 'it\\'s' CODEC(Delta(4), ZSTD(1))");
        let expected = ColumnShape {
            data_type: text("Decimal(18, 4)"),
            nullable: Some(false),
            comment: text("it's"),
            codec: text("Delta(4), ZSTD(1)"),
            ..ColumnShape::default()
        };
        assert_eq!(price, expected);
        assert_eq!(price.additions().codec.as_deref(), Some("CODEC(Delta(4), ZSTD(1))"));
        assert_eq!(price.additions().comment.as_deref(), Some("COMMENT 'it\\'s'"));
        assert_eq!(
            parsed("CODEC(ZSTD(3))"),
            ColumnShape { codec: text("ZSTD(3)"), ..ColumnShape::default() }
        );
        let day = parsed("Date MATERIALIZED toDate(at) CODEC(ZSTD)");
        assert_eq!((day.materialized.as_deref(), day.codec.as_deref()), (Some("toDate(at)"), Some("ZSTD")));
        assert_eq!(day.additions().default.as_deref(), Some("MATERIALIZED toDate(at)"));
        assert_eq!(day.additions().data_type, "Date");
        for wrong in
            ["", "Int64 TTL at", "Int64 EPHEMERAL", "Decimal(18", "Int64 Int64", "CODEC(ZSTD) COMMENT 'x'"]
        {
            assert!(wrong.parse::<ColumnShape>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_of_settings_says_the_same() {
        let of_table = r#"{"type": "Date", "materialized": "toDate(at)", "codec": "ZSTD"}"#;
        let of_table: ColumnShape = serde_json::from_str(of_table).unwrap();
        assert_eq!(of_table, parsed("Date MATERIALIZED toDate(at) CODEC(ZSTD)"));
        let written = serde_json::to_string(&of_table).unwrap();
        assert_eq!(serde_json::from_str::<ColumnShape>(&written).unwrap(), of_table);
        assert_eq!(serde_json::from_str::<ColumnShape>("\"Int8\"").unwrap(), parsed("Int8"));
        let error = serde_json::from_str::<ColumnShape>(r#"{"kind": "Date"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `kind`"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (name, column) in
            [("_id", "Int64"), ("_zenith_extra", "CODEC(ZSTD)"), ("day", "Date ALIAS toDate(at) CODEC(ZSTD)")]
        {
            assert!(parsed(column).refusal(name).is_some(), "{name} {column}");
        }
        assert_eq!(parsed("CODEC(ZSTD(3)) ").refusal("_id"), None);
        let both = ColumnShape {
            default: Some("1".to_owned()),
            alias: Some("2".to_owned()),
            ..ColumnShape::default()
        };
        assert!(both.refusal("x").is_some());
    }
}
