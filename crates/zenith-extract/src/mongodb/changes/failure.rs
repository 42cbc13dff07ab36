//! What ends a change stream: after which errors it can be reopened, and what they mean to the user.

use super::command::{Start, Stream};
use crate::ExtractError;

/// The next changes are no longer in the oplog.
const HISTORY_LOST: i32 = 286;
/// The place to continue after was not found.
pub(super) const FATAL: i32 = 280;
/// The token is not one of this deployment's, or of this stream's.
const INVALID_TOKEN: i32 = 260;
/// An event is larger than a document may be.
const TOO_LARGE: i32 = 10334;
/// `$changeStream` on a server that is not in a replica set.
const NO_REPLICA_SET: i32 = 40573;
/// The server does not know a stage.
pub(super) const UNKNOWN_STAGE: i32 = 40324;

/// An error, and whether the server or the specification says that the stream may be reopened.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ExtractError,
    resumable: bool,
}

impl Failure {
    /// `labelled` says that the server called it resumable.
    pub(super) fn new(error: ExtractError, labelled: bool) -> Failure {
        let resumable = labelled || error.is_transient() || code(&error).is_some_and(is_resumable_code);
        Failure { error, resumable }
    }

    pub(super) fn is_resumable(&self) -> bool {
        self.resumable
    }

    pub(super) fn has_code(&self, wanted: i32) -> bool {
        code(&self.error) == Some(wanted)
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.has_code(TOO_LARGE)
    }

    /// The error as the user should see it; `start` is where the stream was to begin or continue.
    pub(super) fn explained(self, address: &str, stream: &Stream, start: &Start) -> ExtractError {
        let ExtractError::Server { action, code, code_name, message } = self.error else {
            return match self.error {
                ExtractError::Unauthorized { action, reason } => {
                    let reason = format!("{reason} (it needs the actions find and changeStream)");
                    ExtractError::Unauthorized { action, reason }
                }
                other => other,
            };
        };
        match code {
            HISTORY_LOST | FATAL | INVALID_TOKEN => {
                ExtractError::HistoryLost { time: start.time(), code, code_name, message }
            }
            NO_REPLICA_SET => {
                let reason = format!("cannot {}: {message}", stream.action());
                ExtractError::NoChangeStreams { address: address.to_owned(), reason }
            }
            _ => ExtractError::Server { action, code, code_name, message },
        }
    }
}

fn code(error: &ExtractError) -> Option<i32> {
    match error {
        ExtractError::Server { code, .. } => Some(*code),
        _ => None,
    }
}

/// Codes the specification adds to those that pass anyway, for servers that do not label their errors.
fn is_resumable_code(code: i32) -> bool {
    matches!(
        code,
        63 // StaleShardVersion
            | 150 // StaleEpoch
            | 234 // RetryChangeStream
            | 13388 // StaleConfig
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Namespace, Scope};

    fn failure(code: i32, labelled: bool) -> Failure {
        let (action, code_name, message) = (String::new(), String::new(), "the words".to_owned());
        Failure::new(ExtractError::Server { action, code, code_name, message }, labelled)
    }

    #[test]
    fn codes_and_labels_decide() {
        assert!(failure(43, false).is_resumable() && failure(234, false).is_resumable());
        assert!(failure(1, true).is_resumable());
        assert!(!failure(286, false).is_resumable() && !failure(10334, false).is_resumable());
        let stream = Stream {
            scope: Scope::Cluster,
            namespaces: vec![Namespace::new("shop", "orders")],
            images: false,
            split: false,
        };
        for code in [286, 280, 260] {
            let error = failure(code, false).explained("here", &stream, &Start::Now);
            assert!(error.is_history_lost() && !error.is_transient() && !error.is_input(), "{error}");
        }
        let error = failure(40573, false).explained("here", &stream, &Start::Now);
        assert!(error.is_input() && error.to_string().contains("_id"), "{error}");
    }
}
