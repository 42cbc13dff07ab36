//! Types that columns are given, where they are not those of their kinds.

use serde::{Deserialize, Serialize};

/// The type that a column is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenType {
    /// As the target spells it, without what says that it may be NULL.
    pub name: String,
    /// Which of the values of the kind it holds; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// Which values of its kind a column holds. Any other one goes to the extra column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Integers from the one to the other.
    Integers {
        /// The least.
        first: i64,
        /// The greatest.
        last: i64,
    },
    /// Decimals of so many digits.
    Digits {
        /// In all.
        precision: u8,
        /// Behind the point.
        scale: u8,
    },
    /// Dates that are whole multiples of a step.
    Dates {
        /// The step, in milliseconds.
        step_ms: i64,
        /// The first date, in milliseconds since 1970-01-01 UTC.
        first_ms: i64,
        /// The last one.
        last_ms: i64,
    },
    /// Texts of UUIDs in their usual form.
    Uuid,
    /// Texts of addresses of version 4, as they are usually written.
    Ipv4,
    /// Texts of addresses of version 6, as they are usually written.
    Ipv6,
    /// One of these texts.
    OneOf(Vec<String>),
}

impl Limit {
    /// Whether the column holds texts in a form of its own, of which the target makes texts again when it is asked for them.
    #[must_use]
    pub fn is_of_texts(&self) -> bool {
        matches!(self, Limit::Uuid | Limit::Ipv4 | Limit::Ipv6 | Limit::OneOf(_))
    }

    /// The text that a column which is never NULL shows where there is no value.
    #[must_use]
    pub fn blank(&self) -> &str {
        match self {
            Limit::Uuid => "00000000-0000-0000-0000-000000000000",
            Limit::Ipv4 => "0.0.0.0",
            Limit::Ipv6 => "::",
            Limit::OneOf(texts) => texts.first().map_or("", String::as_str),
            Limit::Integers { .. } | Limit::Digits { .. } | Limit::Dates { .. } => "",
        }
    }

    /// Whether it holds a text.
    pub(crate) fn holds_text(&self, text: &str) -> bool {
        match self {
            Limit::Uuid => is_uuid(text.as_bytes()),
            Limit::Ipv4 => {
                text.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.to_string() == text)
            }
            Limit::Ipv6 => is_ipv6(text),
            Limit::OneOf(texts) => texts.iter().any(|one| one == text),
            Limit::Integers { .. } | Limit::Digits { .. } | Limit::Dates { .. } => false,
        }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
}

/// Whether it is spelled as ClickHouse spells it, which writes the last 32 bits behind 96 that are zero as an address of version
/// 4, unless the first 16 of them are zero as well.
fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok_and(|address| {
        let segments = address.segments();
        let is_compatible = segments[..6].iter().all(|segment| *segment == 0) && segments[6] != 0;
        let [.., a, b, c, d] = address.octets();
        let spelled = match is_compatible {
            true => format!("::{a}.{b}.{c}.{d}"),
            false => address.to_string(),
        };
        spelled == text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_come_back_as_they_were_are_held() {
        let one_of = Limit::OneOf(vec!["a".to_owned(), "b c".to_owned()]);
        for (limit, text, holds) in [
            (&Limit::Uuid, "0190163d-8694-739b-aea5-966c26f8ad91", true),
            (&Limit::Uuid, "0190163D-8694-739b-aea5-966c26f8ad91", false),
            (&Limit::Uuid, "0190163d8694739baea5966c26f8ad91", false),
            (&Limit::Ipv4, "10.0.0.1", true),
            (&Limit::Ipv4, "10.0.0.01", false),
            (&Limit::Ipv4, "::1", false),
            (&Limit::Ipv6, "2001:db8::1", true),
            (&Limit::Ipv6, "2001:DB8::1", false),
            (&Limit::Ipv6, "2001:db8:0:0:0:0:0:1", false),
            (&Limit::Ipv6, "::ffff:10.0.0.1", true),
            (&Limit::Ipv6, "::ffff:a00:1", false),
            (&Limit::Ipv6, "::", true),
            (&Limit::Ipv6, "::2", true),
            (&Limit::Ipv6, "::ffff", true),
            (&Limit::Ipv6, "::0.0.0.2", false),
            (&Limit::Ipv6, "::10.0.0.1", true),
            (&Limit::Ipv6, "::a00:1", false),
            (&Limit::Ipv6, "::1:0:0:2", true),
            (&one_of, "b c", true),
            (&one_of, "b", false),
        ] {
            assert_eq!(limit.holds_text(text), holds, "{limit:?} {text}");
        }
        for limit in [Limit::Uuid, Limit::Ipv4, Limit::Ipv6, one_of] {
            assert!(limit.holds_text(limit.blank()) && limit.is_of_texts());
        }
    }
}
