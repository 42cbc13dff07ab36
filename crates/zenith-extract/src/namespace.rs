//! The name of a collection: database and collection, as in `shop.orders`.

use std::fmt;
use std::str::FromStr;

use crate::ExtractError;

/// A database and a collection in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    /// The database.
    pub database: String,
    /// The collection; it may contain dots, a database may not.
    pub collection: String,
}

impl Namespace {
    /// The namespace `database.collection`.
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Namespace {
        Namespace { database: database.into(), collection: collection.into() }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

impl FromStr for Namespace {
    type Err = ExtractError;

    /// Splits at the first dot.
    fn from_str(text: &str) -> Result<Namespace, ExtractError> {
        match text.split_once('.') {
            Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
                Ok(Namespace::new(database, collection))
            }
            _ => Err(ExtractError::InvalidNamespace { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Namespace;

    #[test]
    fn only_the_first_dot_separates() {
        assert_eq!("shop.orders.2024".parse::<Namespace>().unwrap(), Namespace::new("shop", "orders.2024"));
        assert_eq!(Namespace::new("shop", "orders.2024").to_string(), "shop.orders.2024");
        for wrong in ["shop", ".orders", "shop.", ""] {
            assert!(wrong.parse::<Namespace>().unwrap_err().is_input(), "{wrong}");
        }
    }
}
