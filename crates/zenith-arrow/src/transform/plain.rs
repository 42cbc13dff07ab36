//! The same transform by a way of its own: each value is held against each path. Slow and obvious, so that a defect of the
//! other one is seen where a table is compared with its collection, and in tests.

use zenith_bson::{DEPTH_MAX, Elements, RawError, RawValue, tag};

use super::path::{Part, Path, Said};
use super::{Mask, WHOLE_KEY};
use crate::schema::ID_KEY;

/// Changes documents as a [`Transform`](super::Transform) does.
#[derive(Clone, Debug)]
pub struct PlainTransform {
    said: Vec<(Path, Said)>,
    /// Whether everything is wanted that is not excluded.
    is_all: bool,
    /// Whether the document becomes one value.
    is_whole: bool,
}

/// Where a value is.
struct Place<'a> {
    /// The keys that lead to it, without positions in arrays.
    path: &'a [Vec<u8>],
    /// How many of them lead to the document or array it is in; as many, if it is an element of an array.
    above: usize,
}

impl PlainTransform {
    pub(super) fn new(said: Vec<(Path, Said)>, is_all: bool, is_whole: bool) -> PlainTransform {
        PlainTransform { said, is_all, is_whole }
    }

    /// The document as it is to be.
    ///
    /// # Errors
    /// [`RawError`] for a document that is not valid BSON.
    pub fn apply(&self, document: &[u8]) -> Result<Vec<u8>, RawError> {
        let left = self.level(document, false, &mut Vec::new(), 1)?;
        if !self.is_whole {
            return Ok(left);
        }
        let elements = Elements::new(&left)?.collect::<Result<Vec<_>, _>>()?;
        let id = elements.iter().rfind(|element| element.key == ID_KEY.as_bytes());
        let id = id.map(|id| (ID_KEY.as_bytes().to_vec(), id.value.tag, id.value.bytes.to_vec()));
        let whole = (WHOLE_KEY.as_bytes().to_vec(), tag::DOCUMENT, left.clone());
        written(id.into_iter().chain([whole]))
    }

    fn level(
        &self,
        bytes: &[u8],
        is_array: bool,
        path: &mut Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<Vec<u8>, RawError> {
        if depth > DEPTH_MAX {
            return Err(RawError::TooDeep);
        }
        let mut kept: Vec<(Vec<u8>, u8, Vec<u8>)> = Vec::new();
        for element in Elements::new(bytes)? {
            let element = element?;
            let above = path.len();
            let mut key = kept.len().to_string().into_bytes();
            if !is_array {
                key = element.key.to_vec();
                path.extend(element.key.split(|byte| *byte == b'.').map(<[u8]>::to_vec));
            }
            if let Some((tag, bytes)) = self.value(element.value, above, path, depth)? {
                kept.push((key, tag, bytes));
            }
            path.truncate(above);
        }
        written(kept)
    }

    /// What a value becomes; `None` where it goes.
    fn value(
        &self,
        value: RawValue<'_>,
        above: usize,
        path: &mut Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<Option<(u8, Vec<u8>)>, RawError> {
        let place = Place { path, above };
        let is_key = place.path.first().is_some_and(|first| first == ID_KEY.as_bytes());
        if is_key && (self.is_all || path.len() == 1) {
            return Ok(Some((value.tag, value.bytes.to_vec())));
        }
        let has_parts = matches!(value.tag, tag::DOCUMENT | tag::ARRAY);
        if self.goes(&place) || !has_parts && !self.is_included(path) {
            return Ok(None);
        }
        let mask = if path.len() > above { self.mask(path).cloned() } else { None };
        let bytes = match has_parts {
            true => self.level(value.bytes, value.tag == tag::ARRAY, path, depth + 1)?,
            false => value.bytes.to_vec(),
        };
        match mask.filter(|_| !matches!(value.tag, tag::NULL | tag::UNDEFINED)) {
            Some(mask) => mask.of(RawValue { tag: value.tag, bytes: &bytes }).map(Some),
            None => Ok(Some((value.tag, bytes))),
        }
    }

    fn goes(&self, place: &Place<'_>) -> bool {
        let Place { path, above } = place;
        let is_excluded =
            self.said.iter().any(|(of, said)| matches!(said, Said::Exclude) && begins(path, of));
        let leads_on = self.said.iter().any(|(of, said)| {
            matches!(said, Said::Include) && of.parts.len() > path.len() && leads_into(path, of)
        });
        let has_dots = path.len() > above + 1;
        let is_through_mask = self.said.iter().any(|(of, said)| {
            let length = of.parts.len();
            matches!(said, Said::Mask(_)) && length > *above && length < path.len() && begins(path, of)
        });
        let above = path.get(..*above).unwrap_or_default();
        is_excluded
            || !(self.is_included(path) || leads_on)
            || has_dots && (is_through_mask || !self.is_included(above))
    }

    fn is_included(&self, path: &[Vec<u8>]) -> bool {
        self.is_all || self.said.iter().any(|(of, said)| matches!(said, Said::Include) && begins(path, of))
    }

    fn mask(&self, path: &[Vec<u8>]) -> Option<&Mask> {
        self.said.iter().find_map(|(of, said)| match said {
            Said::Mask(mask) if of.parts.len() == path.len() && begins(path, of) => Some(mask),
            _ => None,
        })
    }
}

/// A document of these keys, types and bytes of values.
fn written(elements: impl IntoIterator<Item = (Vec<u8>, u8, Vec<u8>)>) -> Result<Vec<u8>, RawError> {
    let mut document = vec![0; 4];
    for (key, tag, bytes) in elements {
        document.push(tag);
        document.extend([&key[..], &[0], &bytes].concat());
    }
    document.push(0);
    let length = i32::try_from(document.len()).map_err(|_| RawError::Truncated)?;
    document.splice(..4, length.to_le_bytes());
    Ok(document)
}

/// Whether keys begin with a path.
fn begins(path: &[Vec<u8>], of: &Path) -> bool {
    of.parts.len() <= path.len() && leads_into(path, of)
}

/// Whether keys and a path are the same as far as both go.
fn leads_into(path: &[Vec<u8>], of: &Path) -> bool {
    path.iter().zip(&of.parts).all(|(key, part)| match part {
        Part::Name(name) => **name == **key,
        Part::Any => true,
    })
}
