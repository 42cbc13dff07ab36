//! What `<collection>.metadata.json` says: the options of the collection, as `mongodump` writes them beside its documents.

use std::fs;
use std::io::Read;
use std::path::Path;

use bson::Uuid;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::input::unreadable;
use crate::ExtractError;

/// What is known of a collection apart from its documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Its name, which the name of a file may be too short for.
    pub(super) name: Option<String>,
    /// What it is a view of.
    pub(super) view_on: Option<String>,
    pub(super) is_time_series: bool,
    pub(super) capped: bool,
    pub(super) pre_and_post_images: bool,
    pub(super) uuid: Option<Uuid>,
}

impl Metadata {
    /// Reads a file, which may be compressed.
    pub(super) fn read(path: &Path) -> Result<Metadata, ExtractError> {
        let mut bytes = fs::read(path).map_err(unreadable(path))?;
        if path.extension().is_some_and(|it| it == "gz") {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).map_err(unreadable(path))?;
            bytes = unpacked;
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| ExtractError::Dump {
            path: path.display().to_string(),
            reason: format!(
                "is not what mongodump writes about a collection: {error}; take it away to load the documents without it"
            ),
        })?;
        Ok(Metadata::of(&value))
    }

    fn of(value: &Value) -> Metadata {
        let options = &value["options"];
        let kind = value["type"].as_str();
        Metadata {
            name: value["collectionName"].as_str().map(str::to_owned),
            view_on: options["viewOn"].as_str().map(str::to_owned),
            is_time_series: options["timeseries"].is_object() || kind == Some("timeseries"),
            capped: is_true(&options["capped"]),
            pre_and_post_images: is_true(&options["changeStreamPreAndPostImages"]["enabled"]),
            uuid: value["uuid"].as_str().and_then(|text| Uuid::parse_str(text).ok()),
        }
    }
}

/// Old servers and tools write numbers for booleans.
fn is_true(value: &Value) -> bool {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    value.as_bool().unwrap_or_else(|| {
        let number = number(value).or_else(|| number(value.as_object()?.values().next()?));
        number.is_some_and(|number| number != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_whatever_form() {
        let of = |text: &str| Metadata::of(&serde_json::from_str(text).unwrap());
        let found = of(
            r#"{"indexes":[],"uuid":"6c1d2a5f4b0e4ba18d4a1d0b8f9f0a11","collectionName":"orders","type":"collection",
                "options":{"capped":true,"size":{"$numberInt":"4096"},"changeStreamPreAndPostImages":{"enabled":true}}}"#,
        );
        assert_eq!(
            (found.name.as_deref(), found.capped, found.pre_and_post_images),
            (Some("orders"), true, true)
        );
        assert_eq!(found.uuid.unwrap().to_string(), "6c1d2a5f-4b0e-4ba1-8d4a-1d0b8f9f0a11");
        assert!(of(r#"{"options":{"capped":{"$numberInt":"1"}}}"#).capped);
        assert!(!of(r#"{"options":{"capped":{"$numberInt":"0"}}}"#).capped);
        assert!(of(r#"{"options":{"timeseries":{"timeField":"at"}}}"#).is_time_series);
        let view = of(r#"{"options":{"viewOn":"orders","pipeline":[]},"indexes":[]}"#);
        assert_eq!(view.view_on.as_deref(), Some("orders"));
        assert_eq!(of("{}"), Metadata::default());
        assert_eq!(of("[1]"), Metadata::default());
    }
}
