//! What people say about fields that are left out or masked, and what that means for the documents of a pipeline.

use std::collections::BTreeSet;
use std::sync::Arc;

use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use zenith_arrow::{
    Decoder, DecoderOptions, PathError, PlainTransform, Schema, Transform, TransformOptions, Unwind,
};
use zenith_bson::Elements;
use zenith_memory::Pool;

use crate::layout::KEY;
use crate::masks::MaskSetting;
use crate::row_shape::Shape;
use crate::suggest;
use crate::table_options::TableOptions;
use crate::{EngineError, Result, renames};

/// The key that stands for any one key of a path.
const ANY: &str = "*";
/// The most fields that a query leaves out.
const PROJECTION_MAX: usize = 500;
/// The bytes in a document that MongoDB has to leave out for it to pay on the same machine: for that it makes another document.
const LARGE: usize = 1_024;
/// About the most bytes of a sample whose arrays are unwound.
const UNWOUND_BYTES: usize = 32 * 1024 * 1024;

impl TableOptions {
    /// What becomes of documents before anything else is done with them.
    fn transforms(&self) -> TransformOptions {
        TransformOptions {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            mask: self.mask.iter().map(|(path, setting)| (path.clone(), setting.mask())).collect(),
            whole: false,
        }
    }

    /// The first path, name or shape that cannot be used, by the name of the option, and what is wrong with it.
    #[must_use]
    pub fn unusable_path(&self) -> Option<(&'static str, String, &'static str)> {
        let TransformOptions { include, exclude, mask, .. } = self.transforms();
        let alone = [
            ("include", TransformOptions { include, ..TransformOptions::default() }),
            ("exclude", TransformOptions { exclude, ..TransformOptions::default() }),
            ("mask", TransformOptions { mask, ..TransformOptions::default() }),
        ];
        let by_path = alone.into_iter().find_map(|(option, paths)| {
            let PathError { path, reason } = paths.of_rows().err()?;
            Some((option, path, reason))
        });
        let mistake =
            |(path, setting): &(String, MaskSetting)| Some(("mask", path.clone(), setting.mistake()?));
        let are_flat = self.shape == Shape::Flat;
        let by_name =
            || renames::mistake(&self.rename, are_flat).map(|(pair, reason)| ("rename", pair, reason));
        by_path
            .or_else(|| self.unusable_unwind())
            .or_else(|| self.mask.iter().find_map(mistake))
            .or_else(|| self.row_shape().mistake(&self.rename))
            .or_else(by_name)
    }

    /// What is wrong with the path of the array that is unwound, or with what else is said of it.
    fn unusable_unwind(&self) -> Option<(&'static str, String, &'static str)> {
        let path = self.unwind.as_ref()?;
        let wrong = |reason| Some(("unwind", path.clone(), reason));
        if let Err(PathError { reason, .. }) = Unwind::new(path) {
            return wrong(reason);
        }
        let is_in =
            |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        let takes = |said: &String| said == path || is_in(said, path);
        if self.exclude.iter().any(takes) {
            return wrong("is excluded: an array that is left out has no elements");
        }
        if self.mask.iter().any(|(masked, _)| takes(masked)) {
            return wrong("is masked as a whole: mask the fields of its elements, as in items.price");
        }
        if self.shape == Shape::Document {
            return wrong(
                "is a part of one column with shape = \"document\": take shape = \"columns\" or \"flat\"",
            );
        }
        let leads_to = |included: &String| takes(included) || included.contains(ANY) || is_in(path, included);
        if !self.include.is_empty() && !self.include.iter().any(leads_to) {
            return wrong("is not included: an array that is left out has no elements");
        }
        None
    }

    /// Whether values of documents are changed, or documents made into several rows. Their bytes are then kept nowhere.
    pub(crate) fn changes_documents(&self) -> bool {
        !self.transforms().keeps_values() || self.unwind.is_some()
    }

    /// What becomes of the documents of a table of this schema.
    pub(crate) fn transform(&self, schema: &Schema) -> Result<Option<Arc<Transform>>> {
        self.has_all_secrets()?;
        let transforms = TransformOptions { whole: schema.whole, ..self.transforms() };
        Ok(transforms.of_rows().map_err(unusable)?.map(Arc::new))
    }

    /// The same by a way of its own, to compare with.
    pub(crate) fn plain_transform(&self, schema: &Schema) -> Result<Option<PlainTransform>> {
        self.has_all_secrets()?;
        TransformOptions { whole: schema.whole, ..self.transforms() }.plain().map_err(unusable)
    }

    /// Without its salt a hash would be that of the value alone.
    fn has_all_secrets(&self) -> Result<()> {
        match self.mask.iter().find(|(_, setting)| setting.lacks_secret()) {
            None => Ok(()),
            Some((path, _)) => Err(EngineError::Setting {
                setting: "mask",
                value: format!("{path:?}"),
                reason: "its salt has not been looked up".to_owned(),
            }),
        }
    }

    /// A decoder of documents as they are in the source.
    pub(crate) fn decoder(&self, schema: &Schema, pool: &Pool, options: DecoderOptions) -> Result<Decoder> {
        let decoder = Decoder::new(schema, pool, options).ignoring(self.ignores_new_fields());
        Ok(decoder.transformed(self.transform(schema)?).unwound(self.unwinding()?))
    }

    /// A sample as columns are to be inferred from it. Documents that cannot be read are left out: nobody could tell what of
    /// them is to go.
    pub(crate) fn transform_sample(&self, sample: Vec<RawDocumentBuf>) -> Result<TransformedSample> {
        self.has_all_secrets()?;
        let mut sample = self.changed_sample(sample)?;
        let Some(unwind) = self.unwinding()? else { return Ok(sample) };
        if !sample.documents.is_empty()
            && !sample.documents.iter().any(|document| unwind.finds_array(document.as_bytes()))
        {
            let other = sample.documents.iter().find_map(|document| unwind.finds_other(document.as_bytes()));
            if let (Some(other), Some(path)) = (other, &self.unwind) {
                return Err(no_array(path, other, &sample.documents));
            }
            sample.without.extend(self.unwind.clone());
        }
        sample.documents = unwound_sample(&unwind, &sample.documents);
        Ok(sample)
    }

    fn changed_sample(&self, sample: Vec<RawDocumentBuf>) -> Result<TransformedSample> {
        let transforms = TransformOptions { whole: self.shape == Shape::Document, ..self.transforms() };
        let Some(transform) = transforms.of_sample().map_err(unusable)? else {
            return Ok(TransformedSample { documents: sample, ..TransformedSample::default() });
        };
        let without = transforms.without_values(sample.iter().map(|document| document.as_bytes()));
        let without = without.map_err(unusable)?.into_iter().map(str::to_owned).collect();
        let elements = sample.iter().filter_map(|document| Elements::new(document.as_bytes()).ok()).flatten();
        let elements = elements.filter_map(|element| {
            let element = element.ok()?;
            Some((std::str::from_utf8(element.key).ok()?, element.value.bytes.len()))
        });
        let (mut keys, mut bytes) = (BTreeSet::new(), 0);
        for (key, length) in elements.filter(|(key, _)| transform.drops(key.as_bytes())) {
            keys.insert(key.to_owned());
            bytes += length;
        }
        let left_out = LeftOut { keys: keys.into_iter().collect(), bytes: bytes / sample.len().max(1) };
        let changed = sample.iter().filter_map(|document| {
            RawDocumentBuf::from_bytes(transform.applied(document.as_bytes()).ok()?).ok()
        });
        Ok(TransformedSample { documents: changed.collect(), without, left_out })
    }

    /// What the queries of a load leave out. On this machine that is nothing, unless it is large.
    pub(crate) fn projection_of_load(&self, left_out: &LeftOut, is_local: bool) -> Option<RawDocumentBuf> {
        let pays = !is_local || left_out.bytes >= LARGE;
        pays.then(|| self.projection(&left_out.keys)).flatten()
    }

    /// What queries leave out of documents: fields of the top level that are excluded, and those that are known to be left
    /// out as a whole.
    ///
    /// It need not be all: what comes of a query is changed like any other document. MongoDB leaves out fields of the top
    /// level exactly. With dotted paths, and where it is told what to take, it mixes up keys that come twice, and takes
    /// other fields along.
    pub(crate) fn projection(&self, left_out: &[String]) -> Option<RawDocumentBuf> {
        let is_plain = |key: &&String| {
            !key.is_empty() && *key != ANY && !key.starts_with('$') && !key.contains(['.', '\0'])
        };
        let keys: BTreeSet<&String> = self.exclude.iter().chain(left_out).filter(is_plain).collect();
        let mut projection = Document::new();
        for key in keys.into_iter().filter(|key| *key != KEY).take(PROJECTION_MAX) {
            projection.insert(key, Bson::Int32(0));
        }
        if projection.is_empty() { None } else { RawDocumentBuf::try_from(&projection).ok() }
    }
}

/// What becomes of a sample.
#[derive(Debug, Default)]
pub(crate) struct TransformedSample {
    pub(crate) documents: Vec<RawDocumentBuf>,
    /// Paths of settings at which nothing of it is.
    pub(crate) without: Vec<String>,
    pub(crate) left_out: LeftOut,
}

/// What is at the path is no array in any document.
fn no_array(path: &str, other: &str, sample: &[RawDocumentBuf]) -> EngineError {
    let mut arrays = BTreeSet::new();
    sample.iter().for_each(|document| arrays_in(document, "", &mut arrays));
    EngineError::Setting {
        setting: "unwind",
        value: path.to_owned(),
        reason: format!(
            "no document of the sample has an array there, and some have a value of the type {other}{}",
            suggest::hint(path, arrays.iter().map(String::as_str))
        ),
    }
}

/// The paths of the arrays of a document, through documents.
fn arrays_in(document: &RawDocument, parent: &str, arrays: &mut BTreeSet<String>) {
    for (key, value) in document.iter().map_while(|element| element.ok()) {
        let path = if parent.is_empty() { key.to_string() } else { format!("{parent}.{key}") };
        match value {
            RawBsonRef::Array(_) => drop(arrays.insert(path)),
            RawBsonRef::Document(inside) => arrays_in(inside, &path, arrays),
            _ => {}
        }
    }
}

/// Keys of the top level that the documents of a sample had, and have no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) keys: Vec<String>,
    /// The bytes of their values in a document, on average.
    pub(crate) bytes: usize,
}

/// The documents that those of a sample are unwound into; of very many only some, but one of each at least.
fn unwound_sample(unwind: &Unwind, sample: &[RawDocumentBuf]) -> Vec<RawDocumentBuf> {
    let all = || sample.iter().filter_map(|document| unwind.applied(document.as_bytes()).ok());
    let bytes: usize = all().map(|rows| rows.iter().map(Vec::len).sum::<usize>()).sum();
    let every = bytes.div_ceil(UNWOUND_BYTES).max(1);
    let mut number = 0_usize;
    let mut kept = Vec::new();
    for rows in all() {
        for (place, row) in rows.into_iter().enumerate() {
            number += 1;
            if place == 0 || number.is_multiple_of(every) {
                kept.extend(RawDocumentBuf::from_bytes(row));
            }
        }
    }
    kept
}

pub(crate) fn unusable(PathError { path, reason }: PathError) -> EngineError {
    EngineError::Setting {
        setting: "the path of a field",
        value: format!("{path:?}"),
        reason: format!("it {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn options(include: &[&str], exclude: &[&str]) -> TableOptions {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        TableOptions { include: owned(include), exclude: owned(exclude), ..TableOptions::default() }
    }

    #[test]
    fn queries_leave_out_fields_of_the_top_level() {
        for (include, exclude, left_out, projection) in [
            (&[][..], &[][..], &[][..], None),
            (&[], &["a", "c.d", "*.b", "$a", "*"], &[], Some(doc! { "a": 0 })),
            (&["a.b"], &["z"], &["b", "a.b", "", "$c", "_id"], Some(doc! { "b": 0, "z": 0 })),
            (&["a"], &[], &[], None),
        ] {
            let expected = projection.map(|projection| RawDocumentBuf::try_from(&projection).unwrap());
            let left_out: Vec<String> = left_out.iter().map(|key: &&str| (*key).to_owned()).collect();
            assert_eq!(options(include, exclude).projection(&left_out), expected, "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn a_server_beside_us_leaves_out_only_what_is_large() {
        let options = options(&[], &["a"]);
        let projected = |bytes, is_local| {
            options.projection_of_load(&LeftOut { keys: vec!["a".to_owned()], bytes }, is_local).is_some()
        };
        assert_eq!([projected(10, false), projected(10, true), projected(2_000, true)], [true, false, true]);
    }

    #[test]
    fn paths_that_cannot_be_used_are_named_with_their_option() {
        let unusable = options(&["a"], &["a.", "b"]).unusable_path();
        assert!(matches!(unusable, Some(("exclude", path, _)) if path == "a."));
        assert!(options(&["_id.a"], &[]).unusable_path().is_some_and(|(option, ..)| option == "include"));
        assert_eq!(options(&["_id"], &["*.x"]).unusable_path(), None);
        let error = options(&[], &["_id"]).transform(&Schema::default()).unwrap_err().to_string();
        assert!(error.contains("\"_id\"") && error.contains("copied as it is"), "{error}");
    }

    #[test]
    fn samples_lose_what_is_excluded_and_tell_what_they_do_not_have() {
        let sample = || vec![RawDocumentBuf::try_from(&doc! { "_id": 1, "a": { "b": 1 }, "p": 2 }).unwrap()];
        let sampled = options(&[], &["p", "q.r", "a.b"]).transform_sample(sample()).unwrap();
        assert_eq!(sampled.documents, [RawDocumentBuf::try_from(&doc! { "_id": 1, "a": {} }).unwrap()]);
        assert_eq!(sampled.left_out, LeftOut { keys: vec!["p".to_owned()], bytes: 4 });
        assert_eq!(sampled.without, ["q.r"]);
        let sampled = options(&["a.c"], &[]).transform_sample(sample()).unwrap();
        assert_eq!(sampled.left_out.keys, ["p"]);
    }
}
