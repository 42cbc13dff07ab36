//! What people say about documents that are read at all: a query of MongoDB, as JSON. MongoDB alone judges documents by it; here
//! it is only read, and refused where its answer for a document that stays as it is may change.
//!
//! A value of a type that JSON lacks is written as Extended JSON, `{"$date": "2024-01-01T00:00:00Z"}`; any other key with a
//! dollar is an operator.

use std::collections::HashSet;

use bson::{Bson, Document, RawDocumentBuf};
use zenith_arrow::extended_json::{Json, is_type_key, to_bson};
use zenith_extract::Source;

use crate::policies::Mode;
use crate::settings::PipelineSettings;
use crate::table_options::TableOptions;
use crate::{EngineError, Result};

/// Operators that a look-up cannot have, or whose answer may change while the document does not.
const REFUSED: [&str; 9] =
    ["$where", "$function", "$accumulator", "$text", "$near", "$nearSphere", "$rand", "$sampleRate", "$meta"];
/// Variables of the same kind, within `$expr`.
const VARIABLES: [&str; 4] = ["$$NOW", "$$CLUSTER_TIME", "$$USER_ROLES", "$$SEARCH_META"];

/// What is not allowed, with the name of the operator or variable.
const NOT_REPEATABLE: &str = "is not the same at any time, and a document could come or go without a change";

impl TableOptions {
    /// The query that documents have to match; `None` if all are read.
    pub(crate) fn query(&self) -> Result<Option<RawDocumentBuf>> {
        let Some(text) = &self.filter else { return Ok(None) };
        read(text).map_err(|reason| unusable(text, reason))
    }

    /// A source that has no other documents than the filter leaves; `None` without a filter.
    ///
    /// # Errors
    /// [`EngineError::Setting`] for a filter that cannot be used, the source's error if it cannot judge documents.
    pub fn filtered<S: Source>(&self, source: &S) -> Result<Option<S>> {
        Ok(self.query()?.map(|query| source.filtered(&query)).transpose()?)
    }

    /// Whether documents are read that match a query, and no others.
    pub(crate) fn is_filtered(&self) -> bool {
        !matches!(self.query(), Ok(None))
    }
}

impl PipelineSettings {
    /// Why the filter cannot be used, if there is one and it cannot.
    #[must_use]
    pub fn unusable_filter(&self) -> Option<String> {
        let text = self.options.filter.as_ref()?;
        match read(text) {
            Err(reason) => Some(reason),
            Ok(Some(_)) if self.mode == Mode::ChangeLog => Some(
                "a change log has every change: MongoDB judges documents as they are now, and not as they were at each change; \
                 take mode = \"changes\", or leave the filter out"
                    .to_owned(),
            ),
            Ok(_) => None,
        }
    }

    pub(crate) fn check_filter(&self) -> Result<()> {
        match (self.unusable_filter(), &self.options.filter) {
            (Some(reason), Some(text)) => Err(unusable(text, reason)),
            _ => Ok(()),
        }
    }
}

fn unusable(text: &str, reason: String) -> EngineError {
    EngineError::Setting { setting: "filter", value: text.to_owned(), reason }
}

/// Reads a query; `None` for one that every document matches.
fn read(text: &str) -> std::result::Result<Option<RawDocumentBuf>, String> {
    let json = Json::parse(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if !matches!(json, Json::Object(_)) {
        return Err("it is no query: write one as {\"state\": {\"$ne\": \"draft\"}}".to_owned());
    }
    let Bson::Document(query) = value(&json)? else {
        return Err("it is a value and no query: write one as {\"state\": {\"$ne\": \"draft\"}}".to_owned());
    };
    refuse(&query, Within::Query)?;
    if query.is_empty() {
        return Ok(None);
    }
    RawDocumentBuf::try_from(&query).map(Some).map_err(|error| format!("it is no BSON: {error}"))
}

/// The value that JSON stands for in a query.
fn value(json: &Json<'_>) -> std::result::Result<Bson, String> {
    Ok(match json {
        Json::Array(items) => Bson::Array(items.iter().map(value).collect::<std::result::Result<_, _>>()?),
        Json::Object(pairs) if pairs.first().is_some_and(|(key, _)| is_type_key(key)) => {
            to_bson(json).map_err(|error| error.to_string())?
        }
        Json::Object(pairs) => {
            let (mut document, mut seen) = (Document::new(), HashSet::new());
            for (key, inner) in pairs {
                if !seen.insert(key) {
                    // The server takes both or one of them, depending on where they are.
                    return Err(format!(
                        "{key:?} comes twice in one object: write both conditions into one, or into $and"
                    ));
                }
                document.insert(key.as_ref(), value(inner)?);
            }
            Bson::Document(document)
        }
        scalar => to_bson(scalar).map_err(|error| error.to_string())?,
    })
}

/// What a part of a query is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Query,
    /// An aggregation expression, in which texts with two dollars are variables.
    Expression,
}

/// Refuses operators and variables whose answer may change.
fn refuse(part: &Document, within: Within) -> std::result::Result<(), String> {
    for (key, value) in part {
        if REFUSED.contains(&key.as_str()) {
            return Err(match key.as_str() {
                "$text" | "$near" | "$nearSphere" => format!(
                    "{key} finds documents by an index of its own, and cannot be asked of a single one that has changed"
                ),
                "$where" | "$function" | "$accumulator" => {
                    format!("{key} runs a program, which may answer differently each time")
                }
                _ => format!("{key} {NOT_REPEATABLE}"),
            });
        }
        match key.as_str() {
            "$literal" if within == Within::Expression => {}
            "$expr" => refuse_in(value, Within::Expression)?,
            _ => refuse_in(value, within)?,
        }
    }
    Ok(())
}

fn refuse_in(value: &Bson, within: Within) -> std::result::Result<(), String> {
    match value {
        Bson::Document(part) => refuse(part, within),
        Bson::Array(items) => items.iter().try_for_each(|item| refuse_in(item, within)),
        Bson::String(text) if within == Within::Expression => {
            let name = text.split('.').next().unwrap_or_default();
            match VARIABLES.contains(&name) {
                true => Err(format!("{name} {NOT_REPEATABLE}")),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, oid::ObjectId};

    use super::*;

    fn query(text: &str) -> Document {
        Document::try_from(&*read(text).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn queries_are_read_with_their_operators_and_types() {
        assert_eq!(query(r#"{"state": {"$ne": "draft"}}"#), doc! { "state": { "$ne": "draft" } });
        let text = r#"{"b": {"y": 1, "x": 2.0}, "a": {"$in": [null, true, {"$numberLong": "3"}]}, "r": {"$regex": "^a", "$options": "i"}}"#;
        let expected = doc! {
            "b": { "y": 1, "x": 2.0 }, "a": { "$in": [Bson::Null, true, 3_i64] }, "r": { "$regex": "^a", "$options": "i" },
        };
        assert_eq!(query(text).to_string(), expected.to_string());
        let id = "0123456789abcdef01234567";
        assert_eq!(
            query(&format!(
                r#"{{"_id": {{"$gt": {{"$oid": "{id}"}}}}, "at": {{"$date": "1970-01-01T00:00:01Z"}}}}"#
            )),
            doc! { "_id": { "$gt": ObjectId::parse_str(id).unwrap() }, "at": bson::DateTime::from_millis(1_000) }
        );
        assert_eq!(query(r#"{"a": {"$type": "string"}}"#), doc! { "a": { "$type": "string" } });
        assert_eq!(read("{}"), Ok(None));
    }

    #[test]
    fn what_is_no_query_is_told() {
        for (text, part) in [
            ("", "expected a JSON value at byte 0"),
            ("{'a': 1}", "expected a key at byte 1"),
            ("{\"a\": 1", "expected"),
            ("[1]", "no query"),
            (r#"{"$oid": "0123456789abcdef01234567"}"#, "no query"),
            (r#"{"a": {"$oid": "x"}}"#, "`$oid`"),
            (r#"{"a": {"$gt": 1, "$gt": 2}}"#, "\"$gt\" comes twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_may_change_without_the_document_is_refused() {
        for (text, part) in [
            (r#"{"$where": "this.a > 1"}"#, "$where"),
            (r#"{"$and": [{"a": 1}, {"$text": {"$search": "x"}}]}"#, "$text"),
            (r#"{"at": {"$near": [0, 0]}}"#, "$near"),
            (r#"{"at": {"$not": {"$nearSphere": [0, 0]}}}"#, "$nearSphere"),
            (r#"{"$expr": {"$lt": ["$at", "$$NOW"]}}"#, "$$NOW"),
            (
                r#"{"$nor": [{"$expr": {"$lt": [{"$dateTrunc": {"date": "$$CLUSTER_TIME.x"}}, 1]}}]}"#,
                "$$CLUSTER_TIME",
            ),
            (r#"{"$expr": {"$lt": [{"$rand": {}}, 0.5]}}"#, "$rand"),
            (r#"{"$sampleRate": 0.5}"#, "$sampleRate"),
            (r#"{"$expr": {"$function": {"body": "x"}}}"#, "$function"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in [
            r#"{"a": "$$NOW"}"#,
            r#"{"$expr": {"$eq": ["$a", {"$literal": "$$NOW"}]}}"#,
            r#"{"$expr": {"$eq": ["$$ROOT.a", "$$NOWHERE"]}}"#,
        ] {
            assert!(read(text).unwrap().is_some(), "{text}");
        }
    }

    #[test]
    fn a_change_log_has_every_change() {
        let settings = |mode, filter: &str| {
            let mut settings = PipelineSettings { mode, ..PipelineSettings::default() };
            settings.options.filter = Some(filter.to_owned());
            settings
        };
        let refused = settings(Mode::ChangeLog, r#"{"a": 1}"#).unusable_filter();
        assert!(refused.is_some_and(|reason| reason.contains("change log")));
        assert_eq!(settings(Mode::ChangeLog, "{}").unusable_filter(), None);
        assert_eq!(settings(Mode::Changes, r#"{"a": 1}"#).unusable_filter(), None);
        assert!(settings(Mode::Changes, "{").check_filter().is_err());
    }
}
