//! When pipelines that read their collections whole begin again.

use std::time::{Duration, SystemTime};

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use zenith_engine::{Mode, PipelineSettings};

/// The zone of times where none is named.
const UTC: &str = "UTC";

/// Whether a pipeline begins again by itself.
pub fn has(settings: &PipelineSettings) -> bool {
    settings.mode == Mode::Full && (settings.every.is_some() || !settings.schedule.is_empty())
}

/// What is wrong with a schedule: the setting and the reason.
pub fn fault(settings: &PipelineSettings) -> Option<(&'static str, String)> {
    if settings.every.is_some_and(|every| every < Duration::from_secs(1)) {
        return Some(("every", "it is less than a second".to_owned()));
    }
    if settings.schedule.is_empty() {
        return None;
    }
    if let Err(error) = cron(&settings.schedule, UTC) {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches([' ', '^']);
        let example = "five fields as in \"30 3 * * MON-FRI\", minute, hour, day, month, weekday";
        return Some((
            "schedule",
            format!("{:?} is no schedule ({reason}): write {example}", settings.schedule),
        ));
    }
    if cron(&settings.schedule, zone(settings)).is_err() {
        let reason = "is no time zone that this machine knows: write a name such as \"Europe/Berlin\"";
        return Some(("time_zone", format!("{:?} {reason}", settings.time_zone)));
    }
    None
}

/// When a pipeline begins next. One that should have begun since its last start begins at once, once; one that has never
/// begun does so with the run. `None` if it does not begin by itself.
pub fn next(
    settings: &PipelineSettings,
    last_start: Option<SystemTime>,
    now: SystemTime,
) -> Option<SystemTime> {
    if !has(settings) {
        return None;
    }
    let Some(last_start) = last_start else { return Some(now) };
    let next = match settings.every {
        Some(every) => last_start.checked_add(every)?,
        None => after(&cron(&settings.schedule, zone(settings)).ok()?, last_start)?,
    };
    Some(next.max(now))
}

fn zone(settings: &PipelineSettings) -> &str {
    if settings.time_zone.is_empty() { UTC } else { &settings.time_zone }
}

fn cron(schedule: &str, zone: &str) -> Result<Crontab, cronexpr::Error> {
    parse_crontab(&format!("{} {zone}", schedule.trim()))
}

/// The first time of a schedule after another.
fn after(cron: &Crontab, time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis();
    let time = MakeTimestamp::from_millisecond(i64::try_from(since).ok()?).ok()?;
    let next = cron.find_next(time).ok()?.timestamp().as_millisecond();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(next).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(schedule: &str, time_zone: &str) -> PipelineSettings {
        PipelineSettings {
            mode: Mode::Full,
            schedule: schedule.to_owned(),
            time_zone: time_zone.to_owned(),
            ..PipelineSettings::default()
        }
    }

    fn at(text: &str) -> SystemTime {
        crate::time::parse(text).unwrap()
    }

    #[test]
    fn times_are_those_of_the_zone_and_of_its_summer() {
        for (zone, last, expected) in [
            ("", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"),
            ("Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"),
            ("Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"),
            ("Europe/Berlin", "2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"),
        ] {
            let settings = settings("0 3 * * *", zone);
            assert_eq!(next(&settings, Some(at(last)), at(last)), Some(at(expected)), "{zone} {last}");
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let daily = settings("0 3 * * *", "");
        let now = at("2026-01-09T12:00:00Z");
        assert_eq!(next(&daily, Some(at("2026-01-01T03:00:00Z")), now), Some(now));
        assert_eq!(next(&daily, Some(now), now), Some(at("2026-01-10T03:00:00Z")));
        assert_eq!(next(&daily, None, now), Some(now));
        let hourly = PipelineSettings { every: Some(Duration::from_secs(3600)), ..settings("", "") };
        let begun = at("2026-01-09T11:30:00Z");
        assert_eq!(next(&hourly, Some(begun), now), Some(at("2026-01-09T12:30:00Z")));
        let changes = PipelineSettings { mode: Mode::Changes, ..hourly };
        assert_eq!((next(&changes, Some(begun), now), next(&settings("", ""), None, now)), (None, None));
    }

    #[test]
    fn faults_name_the_setting() {
        for (schedule, zone, setting) in [
            ("0 3 * *", "", "schedule"),
            ("61 * * * *", "Europe/Berlin", "schedule"),
            ("@daily", "", "schedule"),
            ("0 3 * * * Europe/Paris", "", "schedule"),
            ("0 3 * * *", "Europe/Berln", "time_zone"),
        ] {
            let (found, reason) = fault(&settings(schedule, zone)).unwrap();
            assert_eq!(found, setting, "{schedule} {zone}: {reason}");
            assert!(!reason.contains('\n'), "{reason}");
        }
        assert_eq!(fault(&settings("30 3 * * MON-FRI", "America/New_York")), None);
    }
}
