//! How much may not fit before a script is told.

use clap::Args;
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

use crate::mismatches::counted;

/// The mismatches that a script tolerates. The exit code tells of more; nothing is lost or held back.
#[derive(Args, Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// Exit code 3 if more values than this are in `_zenith_extra`
    #[arg(long, value_name = "N")]
    pub max_extra: Option<u64>,
    /// Exit code 3 if there are more dead letters than this
    #[arg(long, value_name = "N")]
    pub max_dead_letters: Option<u64>,
}

impl Allowed {
    /// What there is more of than is allowed, a sentence each.
    pub fn exceeded(&self, of: &str, values: u64, documents: u64) -> Vec<String> {
        let extra = self.max_extra.filter(|most| values > *most).map(|most| {
            format!(
                "{of} has {} in _zenith_extra, and --max-extra allows {}",
                counted(values, "value"),
                HumanCount(most)
            )
        });
        let dead = self.max_dead_letters.filter(|most| documents > *most).map(|most| {
            format!(
                "{of} has {}, and --max-dead-letters allows {}",
                counted(documents, "dead letter"),
                HumanCount(most)
            )
        });
        extra.into_iter().chain(dead).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_allowed_is_not_more() {
        let allowed = Allowed { max_extra: Some(3), max_dead_letters: Some(0) };
        assert!(allowed.exceeded("orders", 3, 0).is_empty());
        assert_eq!(
            allowed.exceeded("orders", 4, 1),
            [
                "orders has 4 values in _zenith_extra, and --max-extra allows 3",
                "orders has 1 dead letter, and --max-dead-letters allows 0"
            ]
        );
        assert!(Allowed::default().exceeded("orders", 4, 1).is_empty());
    }
}
