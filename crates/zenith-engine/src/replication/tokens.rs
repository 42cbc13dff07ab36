//! Tokens of inserts, by which the target knows a repetition.

/// Names of inserts. Each names one try to write certain changes, and its repetitions.
pub(super) struct Tokens {
    prefix: String,
    next: u64,
}

impl Tokens {
    /// The time is in them too: a state that was deleted counts its epochs and runs from the beginning again, and a table
    /// may still remember the names of its earlier life.
    pub(super) fn new(pipeline: &str, epoch: u64, run: i64) -> Tokens {
        Tokens { prefix: format!("{pipeline}/{epoch}/{run}/{}", crate::reload::run_name()), next: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{}/{}", self.prefix, self.next)
    }
}
