//! Where a pipeline goes on after it was reset, as people write it.

use zenith_engine::ResetTo;

/// Where a pipeline goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// After what has happened up to now.
    Now,
    /// At the beginning: the collection is read again.
    Beginning,
    /// At a time of the source.
    Time(std::time::SystemTime),
    /// After a resume token.
    Token(String),
}

impl std::convert::From<&From> for ResetTo {
    fn from(from: &From) -> ResetTo {
        match from {
            From::Now => ResetTo::Now,
            From::Beginning => ResetTo::Beginning,
            From::Time(at) => ResetTo::Time(*at),
            From::Token(token) => ResetTo::Token(token.clone()),
        }
    }
}

impl std::fmt::Display for From {
    /// As it was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            From::Now => f.write_str("now"),
            From::Beginning => f.write_str("beginning"),
            From::Time(at) => f.write_str(&crate::time::rfc3339(*at)),
            From::Token(token) => f.write_str(token),
        }
    }
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        let text = text.trim();
        match text {
            "now" => return Ok(From::Now),
            "beginning" => return Ok(From::Beginning),
            _ => {}
        }
        if let Some(time) = crate::time::parse(text) {
            return Ok(From::Time(time));
        }
        let is_hex = text.len() >= 16 && text.chars().all(|digit| digit.is_ascii_hexdigit());
        if is_hex || text.starts_with('{') {
            return Ok(From::Token(text.to_owned()));
        }
        Err("write now, beginning, a time such as 2026-01-31T12:00:00Z, or a resume token".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::From;

    #[test]
    fn places_to_go_on_from() {
        assert_eq!("now".parse(), Ok(From::Now));
        assert!(matches!("2026-01-31T12:00:00+01:00".parse(), Ok(From::Time(_))));
        assert!(matches!("8265A0B1C2000000012B".parse(), Ok(From::Token(_))));
        assert!(matches!("{\"_data\":\"82\"}".parse(), Ok(From::Token(_))));
        for wrong in ["", "yesterday", "2026-01-31", "12"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
