//! The documents that one is unwound into by a way of its own, each written from its elements: for comparisons, as
//! [`PlainTransform`](super::PlainTransform) is.

use zenith_bson::{Elements, RawError, tag};

use super::unwind::{ALL_BYTES_MAX, Unwind};

/// A tag and the bytes of a value.
type Value = (u8, Vec<u8>);

impl Unwind {
    /// As [`Unwind::applied`]; `None` where they would be larger than they may be.
    ///
    /// # Errors
    /// [`RawError`] for a document that is not valid BSON.
    pub fn plain(&self, document: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RawError> {
        let elements = match at(document, &self.path)? {
            Some((tag::ARRAY, array)) => {
                let values = Elements::new(&array)?.map(|element| {
                    let value = element?.value;
                    Ok(Some((value.tag, value.bytes.to_vec())))
                });
                values.collect::<Result<Vec<Option<Value>>, RawError>>()?
            }
            Some(other) => return self.alone(document, Some(&other)).map(|only| Some(vec![only])),
            None => return self.alone(document, None).map(|only| Some(vec![only])),
        };
        if elements.is_empty() {
            return self.alone(document, None).map(|only| Some(vec![only]));
        }
        let (mut all, mut bytes) = (Vec::new(), 0);
        for (number, value) in (1_i64..).zip(&elements) {
            let with_element = with(document, &self.path, value.as_ref())?;
            let whole = appended(&with_element, &self.index, number)?;
            bytes += whole.len();
            if bytes > ALL_BYTES_MAX {
                return Ok(None);
            }
            all.push(whole);
        }
        Ok(Some(all))
    }

    fn alone(&self, document: &[u8], value: Option<&Value>) -> Result<Vec<u8>, RawError> {
        appended(&with(document, &self.path, value)?, &self.index, 0)
    }
}

/// The value at a path through documents.
fn at(document: &[u8], path: &[Box<[u8]>]) -> Result<Option<Value>, RawError> {
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    let elements = Elements::new(document)?.collect::<Result<Vec<_>, _>>()?;
    let Some(found) = elements.iter().rfind(|element| *element.key == **first) else { return Ok(None) };
    match found.value.tag {
        tag::DOCUMENT if !rest.is_empty() => at(found.value.bytes, rest),
        tag if rest.is_empty() => Ok(Some((tag, found.value.bytes.to_vec()))),
        _ => Ok(None),
    }
}

/// A document with another value at a path through documents, if anything is there.
fn with(document: &[u8], path: &[Box<[u8]>], value: Option<&Value>) -> Result<Vec<u8>, RawError> {
    let Some((first, rest)) = path.split_first() else { return Ok(document.to_vec()) };
    let elements = Elements::new(document)?.collect::<Result<Vec<_>, _>>()?;
    let found = elements.iter().rposition(|element| *element.key == **first);
    let mut fields = Vec::new();
    for (position, element) in elements.iter().enumerate() {
        let is_it = Some(position) == found;
        let (tag, bytes) = match element.value.tag {
            _ if is_it && rest.is_empty() => match value {
                Some(value) => value.clone(),
                None => continue,
            },
            tag::DOCUMENT if is_it => (tag::DOCUMENT, with(element.value.bytes, rest, value)?),
            tag => (tag, element.value.bytes.to_vec()),
        };
        fields.extend([&[tag], element.key, &[0], &bytes].concat());
    }
    framed(&fields)
}

fn appended(document: &[u8], name: &[u8], number: i64) -> Result<Vec<u8>, RawError> {
    let fields = document.get(4..document.len().saturating_sub(1)).unwrap_or_default();
    framed(&[fields, &[tag::INT64], name, &[0], &number.to_le_bytes()].concat())
}

fn framed(fields: &[u8]) -> Result<Vec<u8>, RawError> {
    let length = i32::try_from(fields.len() + 5).map_err(|_| RawError::Truncated)?;
    Ok([&length.to_le_bytes(), fields, &[0]].concat())
}
