//! What people say about values that are masked, and the salts of their hashes, which are secrets.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zenith_arrow::{Mask, Salt};

/// How a value is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskKind {
    /// `****` stands in its place.
    Redact,
    /// Null does.
    Null,
    /// `****` and the last four characters of a text of at least eight.
    Last4,
    /// The SHA-256 of a salt and the text, as hex digits.
    Sha256,
    /// The first eight bytes of that as a number, with which tables can be joined.
    Hash64,
}

#[cfg(feature = "clap")]
impl MaskKind {
    const ALL: [(MaskKind, &str); 5] = [
        (MaskKind::Redact, "redact"),
        (MaskKind::Null, "null"),
        (MaskKind::Last4, "last4"),
        (MaskKind::Sha256, "sha256"),
        (MaskKind::Hash64, "hash64"),
    ];
}

/// How the values of one field are masked: `"redact"`, or `{ with = "sha256", salt = "${SALT}" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskSetting {
    /// By what.
    pub with: MaskKind,
    /// What is hashed before each text.
    pub salt: Option<MaskSalt>,
}

/// The salt of a hash: a reference to a secret, as `${SALT}` or `${file:/run/secrets/salt}`, and the secret once it has been
/// looked up. Only the reference is shown and written.
#[derive(Clone)]
pub struct MaskSalt {
    /// Empty where somebody wrote a secret in the place of a reference.
    reference: String,
    secret: Option<Salt>,
}

impl MaskSalt {
    /// A salt that is at hand.
    #[must_use]
    pub fn of_secret(secret: &[u8]) -> MaskSalt {
        MaskSalt { reference: "(given)".to_owned(), secret: Some(Salt::new(secret)) }
    }

    /// A salt that is to be looked up. What is no reference is not kept, and refused later.
    fn of_reference(text: &str) -> MaskSalt {
        let reference = if is_reference(text) { text.to_owned() } else { String::new() };
        MaskSalt { reference, secret: None }
    }
}

/// Whether a text has references in it and nothing else.
fn is_reference(text: &str) -> bool {
    let mut rest = text;
    while let Some((name, after)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        if name.is_empty() {
            return false;
        }
        rest = after;
    }
    rest.is_empty() && !text.is_empty()
}

impl PartialEq for MaskSalt {
    fn eq(&self, other: &MaskSalt) -> bool {
        self.reference == other.reference
    }
}

impl Eq for MaskSalt {}

impl fmt::Debug for MaskSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MaskSalt").field(&self.reference).finish()
    }
}

impl MaskSetting {
    /// The mask; nothing is hashed before the text while its salt has not been looked up.
    pub(crate) fn mask(&self) -> Mask {
        let salt = || self.salt.as_ref().and_then(|salt| salt.secret.clone()).unwrap_or_default();
        match self.with {
            MaskKind::Redact => Mask::Redact,
            MaskKind::Null => Mask::Null,
            MaskKind::Last4 => Mask::Last4,
            MaskKind::Sha256 => Mask::Sha256(salt()),
            MaskKind::Hash64 => Mask::Hash64(salt()),
        }
    }

    /// What is wrong with it, in words that follow a path.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        match (self.with, &self.salt) {
            (MaskKind::Sha256, None) => Some(
                "is masked by sha256 without a salt, so that everybody could try out values: write { with = \"sha256\", \
                 salt = \"${SALT}\" }, as an argument sha256:${SALT}",
            ),
            (MaskKind::Sha256 | MaskKind::Hash64, Some(salt)) if salt.reference.is_empty() => Some(
                "has a salt that is written as it is, where others may read it: write where it is, as in ${SALT} for an \
                 environment variable, or ${file:PATH}",
            ),
            (MaskKind::Redact | MaskKind::Null | MaskKind::Last4, Some(_)) => {
                Some("has a salt, of which only sha256 and hash64 make use")
            }
            _ => None,
        }
    }

    /// Whether its salt is still to be looked up.
    pub(crate) fn lacks_secret(&self) -> bool {
        self.salt.as_ref().is_some_and(|salt| salt.secret.is_none())
    }

    /// Puts another reference in the place of its salt's, as one to a file by its whole path.
    pub fn map_reference(&mut self, map: impl FnOnce(&str) -> String) {
        if let Some(salt) = self.salt.as_mut().filter(|salt| !salt.reference.is_empty()) {
            salt.reference = map(&salt.reference);
        }
    }

    /// Takes the secret that the reference of its salt stands for, if it has one.
    ///
    /// # Errors
    /// That of the look-up.
    pub fn look_up<E>(&mut self, look_up: impl FnOnce(&str) -> Result<String, E>) -> Result<(), E> {
        if let Some(salt) =
            self.salt.as_mut().filter(|salt| !salt.reference.is_empty() && salt.secret.is_none())
        {
            salt.secret = Some(Salt::new(look_up(&salt.reference)?.as_bytes()));
        }
        Ok(())
    }
}

impl Serialize for MaskSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(salt) = &self.salt else { return self.with.serialize(serializer) };
        let mut table = serializer.serialize_map(Some(2))?;
        table.serialize_entry("with", &self.with)?;
        table.serialize_entry("salt", &salt.reference)?;
        table.end()
    }
}

impl<'de> Deserialize<'de> for MaskSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MaskSetting, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            with: MaskKind,
            salt: Option<String>,
        }

        struct WordOrTable;

        impl<'de> Visitor<'de> for WordOrTable {
            type Value = MaskSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text as \"redact\", or { with = \"sha256\", salt = \"${SALT}\" }")
            }

            fn visit_str<E: serde::de::Error>(self, with: &str) -> Result<MaskSetting, E> {
                let with = MaskKind::deserialize(StrDeserializer::new(with))?;
                Ok(MaskSetting { with, salt: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MaskSetting, A::Error> {
                let Table { with, salt } = Table::deserialize(MapAccessDeserializer::new(map))?;
                let salt = salt.map(|salt| MaskSalt::of_reference(&salt));
                Ok(MaskSetting { with, salt })
            }
        }

        let setting = deserializer.deserialize_any(WordOrTable)?;
        match setting.mistake() {
            Some(mistake) => Err(D::Error::custom(format!("the field {mistake}"))),
            None => Ok(setting),
        }
    }
}

/// `PATH=MASK`, with the reference of a salt behind it as in `PATH=sha256:${SALT}`; keys may have `=` in them.
#[cfg(feature = "clap")]
pub(crate) fn mask(text: &str) -> Result<(String, MaskSetting), String> {
    let read = |(at, _): (usize, &str)| {
        let (path, mask) = (text.get(..at)?, text.get(at + 1..)?);
        let (with, salt) = match mask.split_once(':') {
            Some((with, salt)) => (with, Some(MaskSalt::of_reference(salt))),
            None => (mask, None),
        };
        let (with, _) = MaskKind::ALL.into_iter().find(|(_, name)| *name == with)?;
        (!path.is_empty()).then(|| (path.to_owned(), MaskSetting { with, salt }))
    };
    // A salt would be a part of what is said here, so that nothing of it is repeated.
    text.match_indices('=').find_map(read).ok_or_else(|| {
        "write it as PATH=redact, PATH=null, PATH=last4, PATH=hash64, or PATH=sha256:${SALT}, in quotation marks".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<MaskSetting, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn masks_are_read_as_they_are_written() {
        for value in [
            json!("redact"),
            json!("last4"),
            json!("hash64"),
            json!({"with": "sha256", "salt": "${SALT}"}),
            json!({"with": "hash64", "salt": "${file:/run/a b}${B}"}),
        ] {
            let mut setting = read(value.clone()).unwrap();
            setting.look_up(|_| Ok::<_, ()>("pepper".to_owned())).unwrap();
            assert!(!setting.lacks_secret());
            assert_eq!(serde_json::to_value(&setting).unwrap(), value);
            assert!(!format!("{setting:?}").contains("pepper"), "{setting:?}");
        }
        for (value, part) in [
            (json!("redacted"), "unknown variant `redacted`"),
            (json!({"with": "sha256"}), "without a salt"),
            (json!("sha256"), "without a salt"),
            (json!({"with": "null", "salt": "${S}"}), "only sha256 and hash64"),
            (json!({"with": "sha256", "salt": "pepper"}), "written as it is"),
            (json!({"with": "sha256", "salt": "x${S}"}), "written as it is"),
            (json!({"with": "redact", "sald": "x"}), "unknown field"),
            (json!(5), "expected a text as"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(part) && !error.contains("pepper"), "{error}");
        }
    }

    #[cfg(feature = "clap")]
    #[test]
    fn an_argument_has_a_path_a_mask_and_where_the_salt_is() {
        let (path, setting) = mask("a=b.c=sha256:${file:/x=y:z}").unwrap();
        assert_eq!((&path[..], setting.with), ("a=b.c", MaskKind::Sha256));
        assert_eq!(setting.salt, Some(MaskSalt::of_reference("${file:/x=y:z}")));
        assert_eq!(setting.mistake(), None);
        assert_eq!(mask("a=last4").unwrap().1, MaskSetting { with: MaskKind::Last4, salt: None });
        assert!(mask("a=sha256:pepper").unwrap().1.mistake().unwrap().contains("written as it is"));
        for wrong in ["a", "=redact", "a=hide", "a="] {
            assert!(mask(wrong).unwrap_err().contains("PATH=redact"), "{wrong}");
        }
    }
}
