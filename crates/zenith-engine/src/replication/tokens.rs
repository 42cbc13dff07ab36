//! Tokens of inserts, by which the target recognises a repeat.

/// Makes tokens. A token names one insert of certain changes, and its repeats.
pub(super) struct Tokens {
    prefix: String,
    next: u64,
}

impl Tokens {
    /// The token has the time in it as well: after a state was deleted, epochs and runs count from the beginning
    /// again, and the table may still remember earlier tokens.
    pub(super) fn new(pipeline: &str, epoch: u64, run: i64) -> Tokens {
        Tokens { prefix: format!("{pipeline}/{epoch}/{run}/{}", crate::reload::run_name()), next: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{}/{}", self.prefix, self.next)
    }
}
