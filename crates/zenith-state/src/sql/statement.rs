//! Statements, their values and the rows they give, the same for each database.

use std::borrow::Cow;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Sqlite};
#[cfg(feature = "postgres")]
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
};

/// A statement with its values. Places of values are `?`, or `?1`, `?2`, … throughout.
pub(crate) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A value that a statement is given.
pub(crate) enum Value {
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Number(Option<i64>),
}

/// A statement without values yet.
pub(crate) fn query(text: impl Into<Cow<'static, str>>) -> Statement {
    Statement { text: text.into(), values: Vec::new() }
}

impl Statement {
    /// Gives it the next value.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.values.push(value.into());
        self
    }

    pub(crate) fn for_sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let query = match self.text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Number(number) => query.bind(number),
        })
    }

    /// `PgBouncer` gives the next transaction another connection, so no statement has a name there.
    #[cfg(feature = "postgres")]
    pub(crate) fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(numbered(&self.text))).persistent(false);
        self.values.into_iter().fold(query, |query, value| match value {
            // PostgreSQL has no text with this character, which names and sentences do not have either.
            Value::Text(text) => query.bind(text.map(|text| text.replace('\0', "\u{fffd}"))),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Number(number) => query.bind(number),
        })
    }
}

/// The statement with the places of its values as PostgreSQL writes them: `$1`, `$2`, …
#[cfg(feature = "postgres")]
fn numbered(text: &str) -> String {
    let mut pieces = text.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1..).zip(pieces) {
        numbered.push('$');
        if !piece.starts_with(|first: char| first.is_ascii_digit()) {
            numbered.push_str(&i32::to_string(&number));
        }
        numbered.push_str(piece);
    }
    numbered
}

macro_rules! values {
    ($($kind:ident: $($type:ty as $convert:expr),+;)+) => {
        $($(impl From<$type> for Value {
            fn from(value: $type) -> Value {
                Value::$kind(($convert)(value))
            }
        })+)+
    };
}

values! {
    Text: &str as |text: &str| Some(text.to_owned()), &String as |text: &String| Some(text.clone()),
        String as Some, Option<&str> as |text: Option<&str>| text.map(str::to_owned), Option<String> as |text| text;
    Bytes: &[u8] as |bytes: &[u8]| Some(bytes.to_vec()), &Vec<u8> as |bytes: &Vec<u8>| Some(bytes.clone()),
        Option<&[u8]> as |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    Number: i64 as Some, Option<i64> as |number| number, u32 as |number| Some(i64::from(number)),
        &u32 as |number: &u32| Some(i64::from(*number)), bool as |flag| Some(i64::from(flag));
}

/// A row of a result.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

/// What a column of either database may hold.
#[cfg(feature = "postgres")]
pub(crate) trait Cell:
    for<'r> sqlx::Decode<'r, Sqlite>
    + sqlx::Type<Sqlite>
    + for<'r> sqlx::Decode<'r, Postgres>
    + sqlx::Type<Postgres>
{
}

#[cfg(feature = "postgres")]
impl<T> Cell for T where
    T: for<'r> sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + for<'r> sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
{
}

/// What a column may hold.
#[cfg(not(feature = "postgres"))]
pub(crate) trait Cell: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> {}

#[cfg(not(feature = "postgres"))]
impl<T> Cell for T where T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> {}

impl Row {
    /// The value in a column.
    pub(crate) fn try_get<T: Cell>(&self, column: usize) -> sqlx::Result<T> {
        match self {
            Row::Sqlite(row) => sqlx::Row::try_get(row, column),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => sqlx::Row::try_get(row, column),
        }
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::numbered;

    #[test]
    fn places_of_values_are_numbered() {
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
        assert_eq!(numbered("VALUES (?, ?) - ?"), "VALUES ($1, $2) - $3");
        assert_eq!(numbered("a = ?1 OR b = ?1 OFFSET ?2"), "a = $1 OR b = $1 OFFSET $2");
    }
}
