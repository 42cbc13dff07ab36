//! Moments and durations as people and RFC 3339 write them.

use std::time::{Duration, SystemTime};

/// `2026-01-02T03:04:05Z`.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `2026-01-02 03:04:05`, in UTC.
pub fn shown(time: SystemTime) -> String {
    rfc3339(time).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// A time as RFC 3339 has it, with `Z` or an offset such as `+02:00`.
pub fn parse(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    let at = text.len().checked_sub(6)?;
    let (local, offset) = (text.get(..at)?, text.get(at..)?);
    let (sign, clock) = offset.split_at_checked(1)?;
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let offset = Duration::from_secs(hours * 3600 + minutes * 60);
    match sign {
        "+" => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
}

/// How long ago it was; nothing for what lies ahead, as clocks differ.
pub fn ago(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// In one or two units: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_offsets() {
        let time = parse("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(parse("2026-01-02T05:04:05+02:00"), Some(time));
        assert_eq!(parse("2026-01-01T21:34:05-05:30"), Some(time));
        assert_eq!(
            (rfc3339(time).as_str(), shown(time).as_str()),
            ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05")
        );
        for wrong in ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05+99:00", "ééé"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in
            [(0, "0.0 s"), (12, "12 s"), (200, "3 min 20 s"), (7_500, "2 h 5 min"), (345_600, "4 d")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
