//! What documents lose before anything else sees them: fields that are excluded, or not included, and values that are
//! masked.
//!
//! ```text
//! document ──▶ transformed document ──▶ decoder, inference, dead letters, …
//! ```
//!
//! A document is changed as BSON, so that nothing behind it can show, keep or count what has gone: no column, neither text
//! of what columns do not show, no earlier value of a repeated key, no witness of a surprise. A document without anything
//! to change is passed on as it is.
//!
//! | path | values |
//! | --- | --- |
//! | `customer.password` | of this key in the document `customer`, or in the documents of the array `customer` |
//! | `*.internal` | of this key in any document or array of the top level |
//!
//! - What is excluded inside of what is included is excluded. Of what is masked, what is excluded goes first.
//! - A path that is written out counts more than one with `*`.
//! - A key that has dots itself counts as the path that it spells. It goes where that leads through a masked value, and
//!   where only some paths are included: nobody could name it.
//! - `_id` stays as it is.
//!
//! What is left may be made into one document for each element of an array ([`Unwind`]).
//!
//! The document that is left may then become one value of a document of `_id` and [`WHOLE_KEY`], for a table that has it in
//! one column.

mod mask;
mod path;
mod plain;
mod plain_unwind;
mod rules;
#[cfg(test)]
mod tests;
mod unwind;
#[cfg(test)]
mod unwind_tests;
mod whole;

use zenith_bson::RawError;

pub use mask::{Mask, Salt};
use path::{Path, Said};
pub use plain::PlainTransform;
use rules::Rules;
pub use unwind::Unwind;
pub(crate) use unwind::{ALL_BYTES_MAX, Extent};
pub use whole::WHOLE_KEY;

/// What is said of the fields of documents, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransformOptions {
    /// These and nothing else, but for `_id`; everything, where there are none.
    pub include: Vec<String>,
    /// Without these.
    pub exclude: Vec<String>,
    /// With something else in the place of these.
    pub mask: Vec<(String, Mask)>,
    /// The whole document as the value of [`WHOLE_KEY`], beside its `_id`.
    pub whole: bool,
}

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} {reason}")]
pub struct PathError {
    /// The path as it was written.
    pub path: String,
    /// What is wrong with it, in words that follow it.
    pub reason: &'static str,
}

/// Changes documents.
#[derive(Clone, Debug)]
pub struct Transform {
    /// None where every field stays as it is.
    rules: Option<Rules>,
    is_whole: bool,
}

impl TransformOptions {
    /// Whether every document stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.whole && self.keeps_values()
    }

    /// Whether every value stays as it is, wherever it then stands.
    #[must_use]
    pub fn keeps_values(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty() && self.mask.is_empty()
    }

    /// The transform of rows; `None` where every document stays as it is.
    ///
    /// # Errors
    /// [`PathError`] for the first path that cannot be used.
    pub fn of_rows(&self) -> Result<Option<Transform>, PathError> {
        self.transform(Mask::clone)
    }

    /// The transform of a sample, in which a value that becomes null is a text: the column is to be one of text.
    ///
    /// # Errors
    /// As [`TransformOptions::of_rows`].
    pub fn of_sample(&self) -> Result<Option<Transform>, PathError> {
        self.transform(Mask::of_sample)
    }

    /// The paths at which none of these documents has anything: misspelled, or of fields that come later.
    ///
    /// # Errors
    /// As [`TransformOptions::of_rows`].
    pub fn without_values<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d [u8]> + Clone,
    ) -> Result<Vec<&str>, PathError> {
        let masked = self.mask.iter().map(|(path, _)| path);
        let paths = self.include.iter().chain(&self.exclude).chain(masked);
        let (mut without, mut buffer) = (Vec::new(), Vec::new());
        for path in paths.filter(|path| *path != crate::schema::ID_KEY) {
            let rules = Rules::new(&[(parse(path)?, Said::Exclude)], true);
            let is_there = |document| {
                buffer.clear();
                rules.apply(document, 1, &mut buffer).unwrap_or(false)
            };
            if !documents.clone().into_iter().any(is_there) {
                without.push(path.as_str());
            }
        }
        Ok(without)
    }

    /// The transform of rows by a way of its own, for comparisons; `None` where every document stays as it is.
    ///
    /// # Errors
    /// As [`TransformOptions::of_rows`].
    pub fn plain(&self) -> Result<Option<PlainTransform>, PathError> {
        if self.is_empty() {
            return Ok(None);
        }
        Ok(Some(PlainTransform::new(self.said(Mask::clone)?, self.include.is_empty(), self.whole)))
    }

    fn transform(&self, mask_of: impl Fn(&Mask) -> Mask) -> Result<Option<Transform>, PathError> {
        if self.is_empty() {
            return Ok(None);
        }
        let said = self.said(mask_of)?;
        let rules = (!self.keeps_values()).then(|| Rules::new(&said, self.include.is_empty()));
        Ok(Some(Transform { rules, is_whole: self.whole }))
    }

    /// What is said, the masks of paths that are written out first.
    fn said(&self, mask_of: impl Fn(&Mask) -> Mask) -> Result<Vec<(Path, Said)>, PathError> {
        let mut said = Vec::new();
        for path in &self.include {
            // It is there in any case.
            if path != crate::schema::ID_KEY {
                said.push((parse(path)?, Said::Include));
            }
        }
        for path in &self.exclude {
            said.push((parse(path)?, Said::Exclude));
        }
        let mut masks: Vec<(Path, Said)> = Vec::new();
        for (path, mask) in &self.mask {
            let parsed = parse(path)?;
            if masks.iter().any(|(other, _)| *other == parsed) {
                return Err(PathError { path: path.clone(), reason: "is masked twice" });
            }
            masks.push((parsed, Said::Mask(mask_of(mask))));
        }
        masks.sort_by_key(|(path, _)| path.wildcards());
        said.extend(masks);
        Ok(said)
    }
}

fn parse(path: &str) -> Result<Path, PathError> {
    Path::parse(path).map_err(|reason| PathError { path: path.to_owned(), reason })
}

impl Transform {
    /// The document as it is to be; `None` where that is as it was. `buffer` is what it may be written to.
    ///
    /// # Errors
    /// [`RawError`] for a document that is not valid BSON where that had to be known.
    pub fn apply<'b>(&self, document: &[u8], buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, RawError> {
        buffer.clear();
        let changes = match &self.rules {
            Some(rules) => rules.apply(document, 1, buffer)?,
            None => false,
        };
        if self.is_whole {
            let left = changes.then(|| std::mem::take(buffer));
            whole::write(left.as_deref().unwrap_or(document), buffer)?;
        }
        Ok((changes || self.is_whole).then_some(buffer.as_slice()))
    }

    /// Whether every value of a key of the top level goes.
    #[must_use]
    pub fn drops(&self, key: &[u8]) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.drops(key))
    }

    /// The document as it is to be, in memory of its own.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    pub fn applied(&self, document: &[u8]) -> Result<Vec<u8>, RawError> {
        let mut buffer = Vec::new();
        match self.apply(document, &mut buffer)? {
            Some(_) => Ok(buffer),
            None => Ok(document.to_vec()),
        }
    }
}
