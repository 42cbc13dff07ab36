//! An exception of ClickHouse, and what its code means to a writer.
//!
//! The codes are those of `ErrorCodes.cpp`; `errorCodeToName` has their names.

use std::fmt;

/// What ClickHouse answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// What was being done, as in "inserting 10 rows into `db`.`t`".
    pub doing: String,
    /// Host and port.
    pub address: String,
    /// The user, as far as the message needs it.
    pub user: String,
    /// The code of the exception, 0 if the answer has none.
    pub code: u32,
    /// The name of the code, as in `UNKNOWN_TABLE`; may be empty.
    pub name: String,
    /// The text of the exception, without code and name.
    pub text: String,
}

/// What a code means to someone who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The server cannot now, and may later.
    Transient,
    /// As transient, and the request may have taken effect.
    Unknown,
    /// The rows are not what the columns take.
    Data,
    /// The columns are not those of the batch.
    Schema,
    Authentication,
    AccessDenied,
    NoDatabase,
    NoTable,
    Other,
}

/// The codes that mean something to a writer, and some that writers meet, by number.
///
/// ClickHouse gives the names with its exceptions over HTTP, and not in the native protocol.
#[rustfmt::skip]
const CODES: &[(u32, &str, Class)] = &[
    (3, "UNEXPECTED_END_OF_FILE", Class::Data),
    (6, "CANNOT_PARSE_TEXT", Class::Data),
    (7, "INCORRECT_NUMBER_OF_COLUMNS", Class::Schema),
    (8, "THERE_IS_NO_COLUMN", Class::Schema),
    (10, "NOT_FOUND_COLUMN_IN_BLOCK", Class::Schema),
    (13, "SIZES_OF_COLUMNS_IN_TUPLE_DOESNT_MATCH", Class::Schema),
    (15, "DUPLICATE_COLUMN", Class::Schema),
    (16, "NO_SUCH_COLUMN_IN_TABLE", Class::Schema),
    (20, "NUMBER_OF_COLUMNS_DOESNT_MATCH", Class::Schema),
    (25, "CANNOT_PARSE_ESCAPE_SEQUENCE", Class::Data),
    (26, "CANNOT_PARSE_QUOTED_STRING", Class::Data),
    (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", Class::Data),
    (32, "ATTEMPT_TO_READ_AFTER_EOF", Class::Data),
    (33, "CANNOT_READ_ALL_DATA", Class::Data),
    (36, "BAD_ARGUMENTS", Class::Other),
    (38, "CANNOT_PARSE_DATE", Class::Data),
    (41, "CANNOT_PARSE_DATETIME", Class::Data),
    (43, "ILLEGAL_TYPE_OF_ARGUMENT", Class::Other),
    (44, "ILLEGAL_COLUMN", Class::Schema),
    (46, "UNKNOWN_FUNCTION", Class::Other),
    (47, "UNKNOWN_IDENTIFIER", Class::Schema),
    (48, "NOT_IMPLEMENTED", Class::Other),
    (50, "UNKNOWN_TYPE", Class::Schema),
    (53, "TYPE_MISMATCH", Class::Schema),
    (57, "TABLE_ALREADY_EXISTS", Class::Other),
    (60, "UNKNOWN_TABLE", Class::NoTable),
    (62, "SYNTAX_ERROR", Class::Other),
    (69, "ARGUMENT_OUT_OF_BOUND", Class::Data),
    (70, "CANNOT_CONVERT_TYPE", Class::Data),
    (72, "CANNOT_PARSE_NUMBER", Class::Data),
    (81, "UNKNOWN_DATABASE", Class::NoDatabase),
    (115, "UNKNOWN_SETTING", Class::Other),
    (117, "INCORRECT_DATA", Class::Data),
    (128, "TOO_LARGE_ARRAY_SIZE", Class::Data),
    (131, "TOO_LARGE_STRING_SIZE", Class::Data),
    (158, "TOO_MANY_ROWS", Class::Other),
    (159, "TIMEOUT_EXCEEDED", Class::Unknown),
    (160, "TOO_SLOW", Class::Other),
    (164, "READONLY", Class::AccessDenied),
    (173, "CANNOT_ALLOCATE_MEMORY", Class::Transient),
    (190, "SIZES_OF_ARRAYS_DONT_MATCH", Class::Data),
    (192, "UNKNOWN_USER", Class::Authentication),
    (193, "WRONG_PASSWORD", Class::Authentication),
    (194, "REQUIRED_PASSWORD", Class::Authentication),
    (195, "IP_ADDRESS_NOT_ALLOWED", Class::Authentication),
    (198, "DNS_ERROR", Class::Transient),
    (201, "QUOTA_EXCEEDED", Class::Transient),
    (202, "TOO_MANY_SIMULTANEOUS_QUERIES", Class::Transient),
    (203, "NO_FREE_CONNECTION", Class::Transient),
    (204, "CANNOT_FSYNC", Class::Transient),
    (209, "SOCKET_TIMEOUT", Class::Unknown),
    (210, "NETWORK_ERROR", Class::Unknown),
    (216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", Class::Transient),
    (218, "TABLE_IS_DROPPED", Class::NoTable),
    (225, "NO_ZOOKEEPER", Class::Transient),
    (236, "ABORTED", Class::Unknown),
    (241, "MEMORY_LIMIT_EXCEEDED", Class::Transient),
    (242, "TABLE_IS_READ_ONLY", Class::Transient),
    (243, "NOT_ENOUGH_SPACE", Class::Transient),
    (244, "UNEXPECTED_ZOOKEEPER_ERROR", Class::Transient),
    (252, "TOO_MANY_PARTS", Class::Transient),
    (254, "NO_ACTIVE_REPLICAS", Class::Transient),
    (279, "ALL_CONNECTION_TRIES_FAILED", Class::Transient),
    (285, "TOO_FEW_LIVE_REPLICAS", Class::Transient),
    (286, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", Class::Transient),
    (289, "REPLICA_IS_NOT_IN_QUORUM", Class::Transient),
    (291, "DATABASE_ACCESS_DENIED", Class::AccessDenied),
    (306, "TOO_DEEP_RECURSION", Class::Data),
    (307, "TOO_MANY_BYTES", Class::Other),
    (319, "UNKNOWN_STATUS_OF_INSERT", Class::Unknown),
    (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", Class::Data),
    (344, "SUPPORT_IS_DISABLED", Class::Other),
    (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", Class::Data),
    (364, "RECEIVED_ERROR_TOO_MANY_REQUESTS", Class::Transient),
    (371, "INCONSISTENT_CLUSTER_DEFINITION", Class::Other),
    (376, "CANNOT_PARSE_UUID", Class::Data),
    (394, "QUERY_WAS_CANCELLED", Class::Unknown),
    (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", Class::Other),
    (396, "TOO_MANY_ROWS_OR_BYTES", Class::Other),
    (407, "DECIMAL_OVERFLOW", Class::Data),
    (416, "REPLICA_STATUS_CHANGED", Class::Transient),
    (439, "CANNOT_SCHEDULE_TASK", Class::Transient),
    (467, "CANNOT_PARSE_BOOL", Class::Data),
    (469, "VIOLATED_CONSTRAINT", Class::Data),
    (472, "READONLY_SETTING", Class::AccessDenied),
    (473, "DEADLOCK_AVOIDED", Class::Transient),
    (497, "ACCESS_DENIED", Class::AccessDenied),
    (499, "S3_ERROR", Class::Transient),
    (500, "AZURE_BLOB_STORAGE_ERROR", Class::Transient),
    (516, "AUTHENTICATION_FAILED", Class::Authentication),
    (565, "TOO_MANY_PARTITIONS", Class::Data),
    (659, "UNKNOWN_STATUS_OF_TRANSACTION", Class::Unknown),
    (677, "THREAD_WAS_CANCELED", Class::Transient),
    (691, "UNKNOWN_ELEMENT_OF_ENUM", Class::Data),
    (692, "TOO_MANY_MUTATIONS", Class::Transient),
    (696, "ASYNC_LOAD_CANCELED", Class::Transient),
    (735, "QUERY_WAS_CANCELLED_BY_CLIENT", Class::Unknown),
    (745, "SERVER_OVERLOADED", Class::Transient),
    (777, "MEMORY_RESERVATION_KILLED", Class::Transient),
    (778, "MEMORY_RESERVATION_FAILED", Class::Transient),
    (999, "KEEPER_EXCEPTION", Class::Unknown),
];

/// A `CHECK` of the table refused a row: all rows are checked before any is written.
const VIOLATED_CONSTRAINT: u32 = 469;

fn known(code: u32) -> Option<&'static (u32, &'static str, Class)> {
    CODES.binary_search_by_key(&code, |(code, ..)| *code).ok().map(|index| &CODES[index])
}

fn classify(code: u32) -> Class {
    known(code).map_or(Class::Other, |(_, _, class)| *class)
}

/// What ClickHouse calls a code, as in `UNKNOWN_TABLE`; empty for those that are rarely met.
pub(crate) fn code_name(code: u32) -> &'static str {
    known(code).map_or("", |(_, name, _)| name)
}

impl ServerError {
    pub(super) fn is_transient(&self) -> bool {
        matches!(classify(self.code), Class::Transient | Class::Unknown)
    }

    pub(super) fn is_outcome_unknown(&self) -> bool {
        classify(self.code) == Class::Unknown
    }

    pub(super) fn is_data_rejected(&self) -> bool {
        classify(self.code) == Class::Data
    }

    pub(super) fn is_constraint_violated(&self) -> bool {
        self.code == VIOLATED_CONSTRAINT
    }

    /// The materialized view that failed while it was given the rows of an insert, as in `shop.totals`.
    pub(super) fn view(&self) -> Option<&str> {
        // Of views that hang on one another the first named is the one that failed.
        let (_, rest) = self.text.split_once("while pushing to view ")?;
        let end = rest.find(": ").or_else(|| rest.find(" (")).unwrap_or(rest.len());
        rest.get(..end).map(|name| name.trim_end().trim_end_matches('.'))
    }

    pub(super) fn is_schema_mismatch(&self) -> bool {
        classify(self.code) == Class::Schema
    }

    pub(super) fn is_authentication(&self) -> bool {
        classify(self.code) == Class::Authentication
    }

    pub(super) fn is_access_denied(&self) -> bool {
        classify(self.code) == Class::AccessDenied
    }

    pub(super) fn is_unknown_database(&self) -> bool {
        classify(self.code) == Class::NoDatabase
    }

    pub(super) fn is_unknown_table(&self) -> bool {
        classify(self.code) == Class::NoTable
    }

    /// What to do about it, where that is known.
    fn advice(&self) -> &'static str {
        match self.code {
            252 => "; merges lag behind: write larger batches or wait",
            241 | 173 | 777 | 778 => "; give ClickHouse more memory or write smaller batches",
            243 => "; free disk space on the ClickHouse server",
            242 => "; the replica is read-only until it reaches Keeper again",
            497 => "; grant it to the user",
            164 | 472 => "; the user's profile is read-only: use a user that may write",
            62 => "; this is a bug in the statement",
            _ => "",
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, address, user, code, name, text } = self;
        match classify(self.code) {
            Class::Authentication => write!(
                f,
                "ClickHouse at {address} refused user {user:?}: check user and password (code {code}, {name})"
            ),
            Class::NoDatabase => write!(
                f,
                "ClickHouse at {address} refused {doing}, the database does not exist: create it, or let it be \
                 created (code {code}, {name}: {text})"
            ),
            _ => {
                write!(f, "ClickHouse at {address} refused {doing}: {text} (code {code}")?;
                if !name.is_empty() {
                    write!(f, ", {name}")?;
                }
                write!(f, "){}", self.advice())
            }
        }
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u32, name: &str, text: &str) -> ServerError {
        ServerError {
            doing: "inserting 1 row into `d`.`t`".into(),
            address: "h:8123".into(),
            user: "zenith".into(),
            code,
            name: name.into(),
            text: text.into(),
        }
    }

    #[test]
    fn codes_are_in_order() {
        assert!(CODES.is_sorted_by(|(a, ..), (b, ..)| a < b));
        assert_eq!(
            (code_name(60), code_name(516), code_name(12345)),
            ("UNKNOWN_TABLE", "AUTHENTICATION_FAILED", "")
        );
    }

    #[test]
    fn codes_tell_what_to_do() {
        assert!(error(252, "TOO_MANY_PARTS", "").is_transient());
        assert!(error(319, "UNKNOWN_STATUS_OF_INSERT", "").is_outcome_unknown());
        assert!(error(349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", "").is_data_rejected());
        assert!(error(60, "UNKNOWN_TABLE", "").is_unknown_table());
        assert!(!error(0, "", "").is_transient());
    }

    #[test]
    fn views_that_fail_are_named() {
        let text = "Cannot parse string 'x' as UInt64: while executing 'FUNCTION f': while pushing to view d.b: while \
                    pushing to view d.a.";
        assert_eq!(error(6, "CANNOT_PARSE_TEXT", text).view(), Some("d.b"));
        assert_eq!(error(6, "CANNOT_PARSE_TEXT", "x: while pushing to view d.a.").view(), Some("d.a"));
        let own =
            error(469, "VIOLATED_CONSTRAINT", "Constraint `c` for table d.t (3e) is violated at row 51.");
        assert_eq!((own.view(), own.is_constraint_violated()), (None, true));
    }

    #[test]
    fn messages_are_one_sentence() {
        assert_eq!(
            error(516, "AUTHENTICATION_FAILED", "long text").to_string(),
            "ClickHouse at h:8123 refused user \"zenith\": check user and password (code 516, AUTHENTICATION_FAILED)"
        );
        assert_eq!(
            error(241, "MEMORY_LIMIT_EXCEEDED", "memory limit exceeded").to_string(),
            "ClickHouse at h:8123 refused inserting 1 row into `d`.`t`: memory limit exceeded (code 241, \
             MEMORY_LIMIT_EXCEEDED); give ClickHouse more memory or write smaller batches"
        );
    }
}
