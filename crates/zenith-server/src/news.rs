//! What is new of the pipelines, worked out once for everybody who listens, and written once.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`News::whole`] | all there is, for one who begins to listen |
//! | [`News::since`] | what has come since |
//!
//! A pipeline is told of when a person would see a difference: a lag of 310 ms that becomes one of 320 ms is none. What
//! moves by itself, such as the time up to which a table is complete, is told with the next difference, or after
//! ten seconds. Only the fields that differ are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::watch::Look;

/// Looks that one who listens may be behind.
const BEHIND_MAX: usize = 16;
/// What differs by less than a person would see is told after this.
const AT_LAST: Duration = Duration::from_secs(10);

/// Durations, of which the page shows two digits.
const SPANS: [&str; 3] = ["lag_seconds", "oplog_headroom_seconds", "failing_for_seconds"];
/// Figures whose last digits nobody reads.
const RATES: [&str; 2] = ["rows_per_second", "lag_events_estimated"];
/// What moves by itself.
const MOVING: [&str; 3] = ["complete_to", "checkpoint_saved", "waiting_seconds"];

/// The fields of one pipeline.
type Fields = Map<String, Value>;

/// What was told, and what is to be told.
#[derive(Debug, Default)]
pub struct News(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// The look that was told of last.
    taken: Option<Instant>,
    /// The number of the last event.
    number: u64,
    /// The last events, oldest first; that of a look without news is none.
    events: VecDeque<Bytes>,
    pipelines: BTreeMap<String, One>,
    /// What is neither a pipeline nor the time.
    about: Value,
    /// All there is, as it was told of last.
    whole: Option<Bytes>,
}

#[derive(Debug)]
struct One {
    /// As it was told of.
    fields: Fields,
    /// When.
    at: Instant,
}

impl News {
    /// All there is, and the number of the last event that is in it.
    pub fn whole<T: Serialize>(
        &self,
        look: &Look,
        about: &Value,
        shown: impl Fn() -> Vec<(String, T)>,
    ) -> (u64, Bytes) {
        let mut told = self.catch_up(look, about, shown);
        let Told { pipelines, about, number, whole, .. } = &mut *told;
        let bytes = whole.get_or_insert_with(|| {
            let all: Vec<&Fields> = pipelines.values().map(|one| &one.fields).collect();
            event(look, about, &all, &[])
        });
        (*number, bytes.clone())
    }

    /// The events after a number; `None` if some of them are forgotten.
    pub fn since<T: Serialize>(
        &self,
        number: u64,
        look: &Look,
        about: &Value,
        shown: impl Fn() -> Vec<(String, T)>,
    ) -> Option<(u64, Vec<Bytes>)> {
        let told = self.catch_up(look, about, shown);
        let behind = usize::try_from(told.number.saturating_sub(number)).unwrap_or(usize::MAX);
        let first = told.events.len().checked_sub(behind)?;
        Some((told.number, told.events.range(first..).cloned().collect()))
    }

    /// Works out what a look has that was not told, unless somebody else has.
    fn catch_up<T: Serialize>(
        &self,
        look: &Look,
        about: &Value,
        shown: impl Fn() -> Vec<(String, T)>,
    ) -> MutexGuard<'_, Told> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.taken.is_none_or(|taken| taken < look.taken) {
            told.taken = Some(look.taken);
            told.whole = None;
            told.take(look, about, shown());
        }
        told
    }
}

impl Told {
    fn take<T: Serialize>(&mut self, look: &Look, about: &Value, shown: Vec<(String, T)>) {
        let mut changed = Vec::new();
        let mut removed: Vec<String> = self.pipelines.keys().cloned().collect();
        for (name, shown) in shown {
            if let Ok(index) = removed.binary_search(&name) {
                removed.remove(index);
            }
            // Plain numbers, texts and lists always have a form as JSON.
            let Ok(Value::Object(fields)) = serde_json::to_value(&shown) else { continue };
            let Some(one) = self.pipelines.get_mut(&name) else {
                changed.push(fields.clone());
                self.pipelines.insert(name, One { fields, at: look.taken });
                continue;
            };
            let is_old = look.taken.saturating_duration_since(one.at) >= AT_LAST;
            let is_gone = one.fields.keys().any(|field| !fields.contains_key(field));
            if is_gone
                || fields.iter().any(|(field, value)| differs(field, one.fields.get(field), value, is_old))
            {
                let mut news = Fields::new();
                news.insert("name".to_owned(), Value::String(name));
                let gone = one.fields.keys().filter(|field| !fields.contains_key(*field));
                news.extend(gone.map(|field| (field.clone(), Value::Null)));
                let differing = fields.iter().filter(|(field, value)| one.fields.get(*field) != Some(value));
                news.extend(differing.map(|(field, value)| (field.clone(), value.clone())));
                changed.push(news);
                *one = One { fields, at: look.taken };
            }
        }
        removed.iter().for_each(|name| drop(self.pipelines.remove(name)));
        if changed.is_empty() && removed.is_empty() && self.about == *about {
            return;
        }
        self.about = about.clone();
        self.number += 1;
        if self.events.len() == BEHIND_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event(look, about, &changed, &removed));
    }
}

/// Whether a person would see that a field has become another one; or whether it has at all, after a while.
fn differs(field: &str, before: Option<&Value>, now: &Value, is_old: bool) -> bool {
    let Some(before) = before else { return true };
    if before == now {
        return false;
    }
    if is_old {
        return true;
    }
    let (Some(was), Some(is)) = (before.as_f64(), now.as_f64()) else { return !MOVING.contains(&field) };
    if SPANS.contains(&field) {
        // Below a second it is none that anybody waits for.
        return (was - is).abs() > (was.max(is) * 0.05).max(0.5);
    }
    if RATES.contains(&field) {
        return (was - is).abs() > was.max(is) * 0.05;
    }
    !MOVING.contains(&field)
}

/// As it is sent.
fn event<T: Serialize>(look: &Look, about: &Value, pipelines: &[T], removed: &[String]) -> Bytes {
    let mut data = json!({ "at": look.report.at, "pipelines": pipelines, "removed": removed });
    if let (Some(data), Some(about)) = (data.as_object_mut(), about.as_object()) {
        data.extend(about.clone());
    }
    text("pipelines", &data)
}

/// An event of a name, as it is sent.
pub fn text(name: &str, data: &Value) -> Bytes {
    // JSON has no line breaks of its own.
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    use std::time::SystemTime;

    use zenith_control::status::json::ReportJson;
    use zenith_control::time;

    use super::*;

    fn look(second: u64) -> Look {
        // One for all of them, so that they are as far from each other as they say.
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let taken = *BEGIN + Duration::from_secs(second);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
        let report = ReportJson {
            ok: true,
            running: true,
            at: time::rfc3339(at),
            complaints: Vec::new(),
            pipelines: Vec::new(),
            templates: Vec::new(),
            oplog_window_seconds: BTreeMap::new(),
        };
        Look { at, taken, whole: None, report, progress: HashMap::new(), schema_versions: BTreeMap::new() }
    }

    fn data(event: &Bytes) -> Value {
        let text = std::str::from_utf8(event).unwrap();
        serde_json::from_str(text.split_once("\ndata: ").unwrap().1).unwrap()
    }

    fn pipeline(name: &str, lag: f64, rows: u64, to: &str) -> (String, Value) {
        let fields =
            json!({ "name": name, "lag_seconds": lag, "rows": rows, "complete_to": to, "spark": [1, 2] });
        (name.to_owned(), fields)
    }

    #[test]
    fn only_what_a_person_would_see_is_told_and_only_its_fields() {
        let (news, about) = (News::default(), json!({ "ok": true }));
        let (number, whole) =
            news.whole(&look(0), &about, || vec![pipeline("a", 0.31, 5, "x"), pipeline("b", 0.0, 7, "x")]);
        assert_eq!(data(&whole)["pipelines"].as_array().unwrap().len(), 2);
        let since = |second, number, shown: Vec<(String, Value)>| {
            news.since(number, &look(second), &about, || shown.clone())
        };
        let (number, events) =
            since(1, number, vec![pipeline("a", 0.32, 5, "y"), pipeline("b", 0.0, 7, "y")]).unwrap();
        assert!(events.is_empty(), "{events:?}");
        let (later, events) = since(2, number, vec![pipeline("a", 0.33, 6, "z")]).unwrap();
        let changed = json!([{ "name": "a", "lag_seconds": 0.33, "rows": 6, "complete_to": "z" }]);
        assert_eq!((&data(&events[0])["pipelines"], &data(&events[0])["removed"]), (&changed, &json!(["b"])));
        let (_, events) = since(13, later, vec![pipeline("a", 0.34, 6, "z")]).unwrap();
        assert_eq!(data(&events[0])["pipelines"], json!([{ "name": "a", "lag_seconds": 0.34 }]), "at last");
        let (_, again) = since(13, number, Vec::new()).unwrap();
        assert_eq!(again.len(), 2, "what was told is told to others as it was");
        let (_, whole) = news.whole(&look(13), &about, Vec::<(String, Value)>::new);
        assert_eq!(data(&whole)["pipelines"][0]["spark"], json!([1, 2]));
    }

    #[test]
    fn one_who_is_too_far_behind_is_told_so() {
        let news = News::default();
        for second in 0..20 {
            let (number, _) = news.whole(&look(second), &json!({ "n": second }), Vec::<(String, Value)>::new);
            assert_eq!(number, second + 1);
        }
        let since = |number| news.since(number, &look(19), &Value::Null, Vec::<(String, Value)>::new);
        assert_eq!(since(20).unwrap().1.len(), 0);
        assert_eq!(since(4).unwrap().1.len(), 16);
        assert!(since(3).is_none());
    }
}
