//! Moments and numbers as databases keep them: signed, in 64 bits.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::session::damaged;
use crate::Result;

/// Nanoseconds since 1970. Moments before 1678 and after 2261 become those.
pub(super) fn nanoseconds(moment: SystemTime) -> i64 {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanoseconds| -nanoseconds)
        }
    }
}

/// The moment of so many nanoseconds since 1970.
pub(super) fn moment(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let found =
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    found.unwrap_or(UNIX_EPOCH)
}

/// A small number out of a row.
pub(super) fn small(path: &Path, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|error| damaged(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back() {
        for distance in [0, 1, 1_700_000_000_123_456_789, u64::try_from(i64::MAX).unwrap()] {
            let distance = Duration::from_nanos(distance);
            for at in [UNIX_EPOCH + distance, UNIX_EPOCH - distance] {
                assert_eq!(moment(nanoseconds(at)), at);
            }
        }
        let now = SystemTime::now();
        assert_eq!(moment(nanoseconds(now)), now);
    }

    #[test]
    fn moments_out_of_range_become_the_last() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(nanoseconds(far), i64::MAX);
        assert_eq!(nanoseconds(UNIX_EPOCH - Duration::from_secs(1 << 40)), i64::MIN);
    }
}
