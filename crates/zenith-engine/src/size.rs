//! Sizes in settings: written with a unit, kept to the byte.

use std::fmt;

use bytesize::ByteSize;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

pub(crate) fn serialize<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    const UNITS: [(&str, u64); 4] =
        [("TiB", bytesize::TIB), ("GiB", bytesize::GIB), ("MiB", bytesize::MIB), ("KiB", bytesize::KIB)];
    let bytes = size.as_u64();
    let whole = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => serializer.collect_str(&format_args!("{}{name}", bytes / unit)),
        None => serializer.serialize_u64(bytes),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    struct Size;

    impl Visitor<'_> for Size {
        type Value = ByteSize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size, such as \"10GiB\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<ByteSize, E> {
            text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<ByteSize, E> {
            Ok(ByteSize(bytes))
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<ByteSize, E> {
            u64::try_from(bytes)
                .map(ByteSize)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(bytes), &self))
        }
    }

    deserializer.deserialize_any(Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Settings(#[serde(with = "super")] ByteSize);

    #[test]
    fn sizes_come_back_as_they_were() {
        for (size, text) in [
            (ByteSize::gib(10), "\"10GiB\""),
            (ByteSize::kib(1536), "\"1536KiB\""),
            (ByteSize(1_234_567), "1234567"),
            (ByteSize(0), "0"),
        ] {
            assert_eq!(serde_json::to_string(&Settings(size)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Settings>(text).unwrap(), Settings(size));
        }
        assert_eq!(serde_json::from_str::<Settings>("\"1MB\"").unwrap(), Settings(ByteSize::mb(1)));
        let error = serde_json::from_str::<Settings>("\"large\"").unwrap_err().to_string();
        assert!(error.contains("expected a size, such as \"10GiB\""), "{error}");
        assert!(serde_json::from_str::<Settings>("-1").is_err());
    }
}
