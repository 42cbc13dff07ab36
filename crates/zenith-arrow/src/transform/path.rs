//! Paths of fields, and what is said of the values at them.

use super::Mask;

/// The key that stands for any one key.
const ANY: &str = "*";

/// One key of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Name(Box<[u8]>),
    Any,
}

/// A path of dotted keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) parts: Vec<Part>,
}

impl Path {
    /// Why it is none, in words that follow it.
    pub(super) fn parse(text: &str) -> Result<Path, &'static str> {
        let parts: Vec<Part> = text
            .split('.')
            .map(|key| if key == ANY { Part::Any } else { Part::Name(key.as_bytes().into()) })
            .collect();
        match parts.first() {
            _ if parts.contains(&Part::Name([].into())) => {
                Err("has an empty key: write keys with a dot between them, as in customer.password")
            }
            _ if text.contains('\0') => Err("has a zero byte, which no key has"),
            Some(Part::Name(first)) if &**first == crate::schema::ID_KEY.as_bytes() => {
                Err("begins with _id, which is the key of the table and always copied as it is")
            }
            _ => Ok(Path { parts }),
        }
    }

    /// Whether any key of it may be of any name.
    pub(super) fn wildcards(&self) -> usize {
        self.parts.iter().filter(|part| **part == Part::Any).count()
    }
}

/// What is said of the values at a path.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Include,
    Exclude,
    Mask(Mask),
}
