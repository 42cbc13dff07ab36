//! Published data sets: real values, with the missing and mixed ones that generators forget.
//!
//! The files come from the npm packages `vega-datasets` and `world-countries`, see
//! [`packages`]. JSON becomes BSON as `mongoimport` does it: whole numbers are int32 if they
//! fit, else int64; the order of fields stays.

use std::fs;

use bson::{Bson, Document, RawDocumentBuf};
use mongodb::Database;

use super::load::{self, Loaded};
use crate::error::{Error, Result};
use crate::services::packages;

/// A published data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// 200,000 flights: three numbers each.
    Flights,
    /// 3,201 movies: flat, with nulls, and one column that is now a text and now a number.
    Movies,
    /// 1,707 earthquakes: GeoJSON features, nested.
    Earthquakes,
    /// 250 countries: deep, with keys that differ from document to document.
    Countries,
}

impl Published {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Flights, Self::Movies, Self::Earthquakes, Self::Countries];

    /// The name, also of the collection it is loaded into.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flights => "flights",
            Self::Movies => "movies",
            Self::Earthquakes => "earthquakes",
            Self::Countries => "countries",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Flights => "flights-200k.json",
            Self::Movies => "movies.json",
            Self::Earthquakes => "earthquakes.json",
            Self::Countries => "countries.json",
        }
    }

    /// Its documents, without `_id`; downloaded on first use. Blocks.
    pub fn documents(self) -> Result<Vec<Document>> {
        let path = packages::data_sets()?.join(self.file());
        let text = fs::read(&path).map_err(Error::path("read", &path))?;
        let malformed =
            |why: String| Error::Malformed(format!("{} is not a list of documents: {why}", path.display()));
        let entries = match serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))? {
            Bson::Document(mut collection) => collection.remove("features"),
            list => Some(list),
        };
        let Some(Bson::Array(entries)) = entries else { return Err(malformed("no array".to_owned())) };
        entries
            .into_iter()
            .map(|entry| match with_small_numbers(entry) {
                Bson::Document(document) => Ok(document),
                other => Err(malformed(format!("it holds {other}"))),
            })
            .collect()
    }

    /// Loads it into the collection of its name, with `_id` 1, 2, 3, …
    pub async fn load(self, database: &Database) -> Result<Loaded> {
        let documents = tokio::task::spawn_blocking(move || self.numbered_documents())
            .await
            .map_err(|error| Error::Server(format!("reading {} panicked: {error}", self.name())))??;
        load::insert_documents(database, self.name(), documents).await
    }

    fn numbered_documents(self) -> Result<Vec<RawDocumentBuf>> {
        (1_i32..)
            .zip(self.documents()?)
            .map(|(number, document)| {
                let mut numbered = Document::new();
                numbered.insert("_id", number);
                numbered.extend(document);
                RawDocumentBuf::try_from(&numbered).map_err(|error| {
                    Error::Malformed(format!("{} {number} is not BSON: {error}", self.name()))
                })
            })
            .collect()
    }
}

/// The same value with the whole numbers that fit in 32 bits as such.
fn with_small_numbers(value: Bson) -> Bson {
    match value {
        Bson::Int64(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
        Bson::Array(values) => Bson::Array(values.into_iter().map(with_small_numbers).collect()),
        Bson::Document(fields) => Bson::Document(
            fields.into_iter().map(|(name, value)| (name, with_small_numbers(value))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_kind_and_fields_their_order() {
        let value: Bson = serde_json::from_str(r#"{"z": 1, "a": [0.0, 4294967296, -2], "m": null}"#).unwrap();
        let expected = bson::doc! { "z": 1, "a": [0.0, 4_294_967_296_i64, -2], "m": null };
        assert_eq!(with_small_numbers(value), Bson::Document(expected));
    }
}
