//! Codes of errors. A code is never given to another error, and one that is gone is not used again.
//!
//! The first digit says where: 1 what was asked for, 2 MongoDB, 3 ClickHouse, 4 and 5 the API, 6 the state, 7 pipelines, 8 the
//! server and its clients, 9 what alerts tell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The code of an error, as in `ZEN-2004`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(u16);

impl Code {
    /// The code of a number.
    pub const fn new(number: u16) -> Code {
        Code(number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZEN-{:04}", self.0)
    }
}

impl Code {
    /// That at the end of a sentence, and the sentence without it.
    pub fn behind(sentence: &str) -> (&str, Option<Code>) {
        let found = sentence.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
        match found.filter(|(_, code)| code.starts_with("ZEN-")).map(|(before, code)| (before, code.parse()))
        {
            Some((before, Ok(code))) => (before, Some(code)),
            _ => (sentence, None),
        }
    }
}

impl FromStr for Code {
    type Err = String;

    /// Also without `ZEN-`, and in small letters.
    fn from_str(text: &str) -> Result<Code, String> {
        let upper = text.trim().to_uppercase();
        let number = upper.strip_prefix("ZEN-").unwrap_or(&upper);
        let is_one = number.len() == 4 && number.bytes().all(|digit| digit.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_one);
        number.map(Code).ok_or_else(|| "write a code as in ZEN-2004".to_owned())
    }
}

/// Arguments of the command that cannot be understood.
pub const USAGE: Code = Code(1001);
/// A command that cannot be carried out by a server.
pub const NOT_REMOTE: Code = Code(1002);
/// Something has to be agreed to, and nobody can be asked, or it is not that any more.
pub const NOT_AGREED: Code = Code(1003);
/// Mistakes in `zenith.toml`.
pub const CONFIGURATION: Code = Code(1101);
/// Names that several would have, or that are taken.
pub const NAMES: Code = Code(1102);
/// A reference to a secret that leads nowhere.
pub const REFERENCE: Code = Code(1103);
/// Patterns of collections that cannot be used.
pub const PATTERNS: Code = Code(1104);
/// No pipeline of this name.
pub const NO_PIPELINE: Code = Code(1201);
/// A pipeline of several collections, where one is needed.
pub const SEVERAL: Code = Code(1202);
/// No connector of this name.
pub const NO_CONNECTOR: Code = Code(1203);
/// No dead letter of this name.
pub const NO_LETTER: Code = Code(1204);
/// Nothing is applied.
pub const NOTHING_APPLIED: Code = Code(1205);
/// Something has to be corrected first.
pub const REFUSED: Code = Code(4221);
/// It failed on the way.
pub const FAILED: Code = Code(5001);
/// The file of tokens cannot be used.
pub const TOKENS: Code = Code(8001);
/// The address to listen on, or the files of TLS, cannot be used.
pub const LISTEN: Code = Code(8002);
/// Other machines could change everything.
pub const OPEN_TO_ALL: Code = Code(8003);
/// The address of a server cannot be understood.
pub const SERVER_ADDRESS: Code = Code(8101);
/// A server does not answer.
pub const SERVER_AWAY: Code = Code(8102);
/// The certificate of a server is not accepted.
pub const SERVER_TLS: Code = Code(8103);
/// A server is no Zenith, or one of another version.
pub const OTHER_VERSION: Code = Code(8104);
/// The token for a server cannot be read.
pub const TOKEN_FILE: Code = Code(8105);

/// A sample of an alert.
pub const SAMPLE: Code = Code(9000);
/// An alert: a pipeline has failed.
pub const ALERT_FAILED: Code = Code(9001);
/// An alert: a table is behind.
pub const ALERT_LAGGING: Code = Code(9002);
/// An alert: MongoDB is about to forget changes.
pub const ALERT_OPLOG: Code = Code(9003);
/// An alert: values do not fit.
pub const ALERT_EXTRA: Code = Code(9004);
/// An alert: documents have no row.
pub const ALERT_LETTERS: Code = Code(9005);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        assert_eq!(NO_PIPELINE.to_string(), "ZEN-1201");
        for text in ["ZEN-1201", "zen-1201", "1201"] {
            assert_eq!(text.parse(), Ok(NO_PIPELINE), "{text}");
        }
        assert_eq!(Code::behind("gone [ZEN-1201]"), ("gone", Some(NO_PIPELINE)));
        assert_eq!(Code::behind("gone [1, 2]"), ("gone [1, 2]", None));
        for text in ["", "ZEN-", "ZEN-12011", "ZEN-+120", "E1201"] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
    }
}
