//! Arrow schemas as ClickHouse tables.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`identifier`], [`literal`] | quoting; nothing is ever interpolated without it |
//! | [`column_type`] | the ClickHouse type of an Arrow field |
//! | [`same_type`] | whether two spellings mean one type |
//! | [`parts`] | what a type is made of |
//! | [`TableDefinition`] | a table to be created, and its `CREATE TABLE` |
//! | [`Additions`] | the user's additions to a table |
//! | [`View`] | the view of the current rows of a table of versions, or of a log as it was at a time |
//!
//! What a column is *for* is decided where the Arrow schema is made; here it is only translated.

mod additions;
mod parts;
mod pieces;
mod quote;
mod same;
mod table;
mod types;
mod view;

pub use additions::{Additions, ColumnAdditions, Element, expressions, names_in};
pub use parts::{TypeParts, parts};
pub(crate) use quote::unquoted;
pub use quote::{identifier, literal, text_of};
pub use same::{same_type, same_values};
pub(crate) use table::column_sql;
pub(crate) use table::marked;
pub use table::{Engine, LOADING_MARK, LOADING_SETTINGS, TableDefinition, setting_value};
pub use types::{Dialect, NESTING_DEPTH_MAX, column_type, element_name_refusal};
pub(crate) use types::{EXTENSION_NAME, is_given, wire_type};
pub use view::{AtView, CurrentView, LogColumns, View};
