//! An exception of ClickHouse, and what its code means to a writer.
//!
//! The codes are those of `ErrorCodes.cpp`; ClickHouse gives names to them with `errorCodeToName`.

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

fn classify(code: u32) -> Class {
    match code {
        // TIMEOUT_EXCEEDED, SOCKET_TIMEOUT, NETWORK_ERROR, UNKNOWN_STATUS_OF_INSERT, QUERY_WAS_CANCELLED,
        // KEEPER_EXCEPTION, QUERY_WAS_CANCELLED_BY_CLIENT, UNKNOWN_STATUS_OF_TRANSACTION, ABORTED
        159 | 209 | 210 | 236 | 319 | 394 | 659 | 735 | 999 => Class::Unknown,
        // CANNOT_ALLOCATE_MEMORY, DNS_ERROR, QUOTA_EXPIRED, TOO_MANY_SIMULTANEOUS_QUERIES,
        // NO_FREE_CONNECTION, CANNOT_FSYNC, QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, NO_ZOOKEEPER,
        // MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE, UNEXPECTED_ZOOKEEPER_ERROR,
        // TOO_MANY_PARTS, NO_ACTIVE_REPLICAS, ALL_CONNECTION_TRIES_FAILED, TOO_FEW_LIVE_REPLICAS,
        // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, REPLICA_IS_NOT_IN_QUORUM, RECEIVED_ERROR_TOO_MANY_REQUESTS,
        // REPLICA_STATUS_CHANGED, CANNOT_SCHEDULE_TASK, DEADLOCK_AVOIDED, S3_ERROR,
        // AZURE_BLOB_STORAGE_ERROR, THREAD_WAS_CANCELED, TOO_MANY_MUTATIONS, ASYNC_LOAD_CANCELED,
        // SERVER_OVERLOADED, MEMORY_RESERVATION_KILLED, MEMORY_RESERVATION_FAILED
        173 | 198 | 201 | 202 | 203 | 204 | 216 | 225 | 241 | 242 | 243 | 244 | 252 | 254 | 279 | 285
        | 286 | 289 | 364 | 416 | 439 | 473 | 499 | 500 | 677 | 692 | 696 | 745 | 777 | 778 => {
            Class::Transient
        }
        // CANNOT_PARSE_TEXT … CANNOT_PARSE_INPUT_ASSERTION_FAILED, ATTEMPT_TO_READ_AFTER_EOF,
        // CANNOT_READ_ALL_DATA, CANNOT_PARSE_DATE, CANNOT_PARSE_DATETIME, ARGUMENT_OUT_OF_BOUND,
        // CANNOT_CONVERT_TYPE, CANNOT_PARSE_NUMBER, INCORRECT_DATA, TOO_LARGE_ARRAY_SIZE,
        // TOO_LARGE_STRING_SIZE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, SIZES_OF_ARRAYS_DONT_MATCH,
        // TOO_DEEP_RECURSION, UNKNOWN_ELEMENT_OF_ENUM, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN,
        // CANNOT_PARSE_UUID, DECIMAL_OVERFLOW, CANNOT_PARSE_BOOL, VIOLATED_CONSTRAINT,
        // TOO_MANY_PARTITIONS, UNEXPECTED_END_OF_FILE (a batch cut short)
        3
        | 6
        | 25..=27
        | 32
        | 33
        | 38
        | 41
        | 69
        | 70
        | 72
        | 117
        | 128
        | 131
        | 190
        | 306
        | 321
        | 349
        | 376
        | 407
        | 467
        | 469
        | 565
        | 691 => Class::Data,
        // INCORRECT_NUMBER_OF_COLUMNS, THERE_IS_NO_COLUMN, NOT_FOUND_COLUMN_IN_BLOCK,
        // SIZES_OF_COLUMNS_IN_TUPLE_DOESNT_MATCH, DUPLICATE_COLUMN, NO_SUCH_COLUMN_IN_TABLE,
        // NUMBER_OF_COLUMNS_DOESNT_MATCH, ILLEGAL_COLUMN, UNKNOWN_IDENTIFIER, UNKNOWN_TYPE, TYPE_MISMATCH
        7 | 8 | 10 | 13 | 15 | 16 | 20 | 44 | 47 | 50 | 53 => Class::Schema,
        // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, AUTHENTICATION_FAILED
        192..=195 | 516 => Class::Authentication,
        // READONLY, DATABASE_ACCESS_DENIED, READONLY_SETTING, ACCESS_DENIED
        164 | 291 | 472 | 497 => Class::AccessDenied,
        81 => Class::NoDatabase,
        // UNKNOWN_TABLE, TABLE_IS_DROPPED
        60 | 218 => Class::NoTable,
        _ => Class::Other,
    }
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
    fn codes_tell_what_to_do() {
        assert!(error(252, "TOO_MANY_PARTS", "").is_transient());
        assert!(error(319, "UNKNOWN_STATUS_OF_INSERT", "").is_outcome_unknown());
        assert!(error(349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", "").is_data_rejected());
        assert!(error(60, "UNKNOWN_TABLE", "").is_unknown_table());
        assert!(!error(0, "", "").is_transient());
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
