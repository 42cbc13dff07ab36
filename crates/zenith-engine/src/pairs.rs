//! Settings of names and values: tables in zenith.toml and the state, `NAME=VALUE` as arguments.

#[cfg(feature = "clap")]
use crate::column_shape::ColumnShape;

/// `NAME=VALUE`.
#[cfg(feature = "clap")]
pub(crate) fn argument(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    match (name.trim(), value.trim()) {
        ("", _) | (_, "") => Err("write it as NAME=VALUE, neither of them empty".to_owned()),
        (name, value) => Ok((name.to_owned(), value.to_owned())),
    }
}

/// `NAME=COLUMN`.
#[cfg(feature = "clap")]
pub(crate) fn column(text: &str) -> Result<(String, ColumnShape), String> {
    let (name, column) = argument(text)?;
    Ok((name, column.parse()?))
}

/// Pairs of texts; a number or a truth value is taken for its text.
pub(crate) mod texts {
    use std::collections::BTreeMap;
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    pub(crate) use super::values::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, String)>, D::Error> {
        let pairs = BTreeMap::<String, Text>::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(name, Text(value))| (name, value)).collect())
    }

    struct Text(String);

    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
            struct OfAny;

            impl Visitor<'_> for OfAny {
                type Value = Text;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a text or a number")
                }

                fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                    Ok(Text(text.to_owned()))
                }

                fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                    Ok(Text(number.to_string()))
                }

                fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                    Ok(Text(number.to_string()))
                }

                fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
                    Ok(Text(number.to_string()))
                }

                fn visit_bool<E: Error>(self, is_set: bool) -> Result<Text, E> {
                    Ok(Text(u8::from(is_set).to_string()))
                }
            }

            deserializer.deserialize_any(OfAny)
        }
    }
}

/// Pairs of names and values of any type.
pub(crate) mod values {
    use std::collections::BTreeMap;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    pub(crate) fn serialize<V: Serialize, S: Serializer>(
        pairs: &[(String, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub(crate) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, V)>, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}
