//! Which rows of a table are meant, apart from the language of a sink.

use super::Scalar;

/// Rows of a table, and the columns of them that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The table.
    pub table: String,
    /// The columns; those that the table lacks are left out.
    pub columns: Vec<String>,
    /// Those of the columns that are read as texts, whatever they are made of, and parts of columns by their names with dots
    /// between them.
    pub texts: Vec<String>,
    /// A further column with the hash of another one, as 64 bits.
    pub hash: Option<HashColumn>,
    /// Which rows of one key count.
    pub rows: RowSet,
    /// What is true of the rows.
    pub filter: Filter,
    /// Whether equal rows come once.
    pub distinct: bool,
    /// Columns by which the rows are sorted.
    pub order_by: Vec<String>,
    /// The most rows that are read.
    pub limit: Option<u64>,
}

/// Rows of a table of versions whose sorting key is made of more than the identity of a document, so that rows of one
/// document may stand at several places of it.
///
/// The columns of the selection say which rows stand at one place: those that are equal in all of them. Of a place comes one
/// row, if none that stands for a deletion is newer than the newest other one, and none otherwise. Behind the columns comes
/// its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveRows {
    /// The table, the columns, and what is true of the rows. Nothing else of it counts.
    pub selection: Selection,
    /// The column with the version of a row.
    pub version: String,
    /// The column that is 1 in rows that stand for a deletion.
    pub deleted: String,
}

/// A column with the hash of another one: the same for equal values, evenly spread over 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashColumn {
    /// Its name.
    pub name: String,
    /// The column whose values are hashed.
    pub of: String,
}

/// Which rows of a table count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RowSet {
    /// Every row.
    #[default]
    All,
    /// Of the rows of one key the one with the highest version, unless the engine of the table hides it.
    Merged,
    /// Of the rows of one key the one with the highest version, if it does not stand for a deletion.
    Current {
        /// The column that is 1 in rows that stand for a deletion.
        deleted: String,
    },
    /// Of the rows of one key the last one, if it does not stand for a deletion. What is true of the rows is true of keys.
    Newest {
        /// The column of the key.
        key: String,
        /// The columns by which the rows of a key follow one another.
        order: Vec<String>,
        /// The column that says what a row stands for.
        operation: String,
        /// What it has in rows that stand for a deletion.
        deletion: String,
    },
}

/// What is true of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these; of every row if there is none.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
    /// A column has one of these values.
    In(String, Vec<Scalar>),
    /// A column comes after this value in the order of the sink.
    After(String, Scalar),
    /// A column is at least this number.
    AtLeast(String, u64),
    /// A column is at most this number.
    AtMost(String, u64),
    /// A column of text is a JSON object with at least one of these keys at its top, or at the top of the object that is its
    /// `$literal`.
    HasKey(String, Vec<String>),
    /// A column, or what these parts lead to in it, has a number that is not plain: not finite, ±2^53 or beyond, or not 0 and
    /// below 0.00001.
    HasOddNumber(String, Vec<Part>),
    /// The hash of a column (see [`HashColumn`]) leaves one of these remainders.
    HashIn {
        /// The column.
        column: String,
        /// What the hash is divided by.
        modulus: u32,
        /// The remainders.
        remainders: Vec<u32>,
    },
}

/// A step into a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// To what a tuple has under this name.
    Key(String),
    /// To each element of an array.
    Elements,
}

/// True of every row.
impl Default for Filter {
    fn default() -> Filter {
        Filter::All(Vec::new())
    }
}
