//! Tests of `docs/monitoring`: alert rules, dashboard, and the names of metrics in both.
//!
//! `promtool` reads and tries the rules, and reads the queries of the dashboard; Grafana's models take the dashboard.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use zenith_testkit::services::tools;

use crate::scratch::Scratch;

/// Types of metrics by their names, as docs/monitoring/metrics.md has them.
struct Metrics(BTreeMap<String, String>);

impl Metrics {
    fn documented() -> Self {
        let page = fs::read_to_string(folder().join("metrics.md")).unwrap();
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`'));
            Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
        });
        let metrics: BTreeMap<_, _> = rows.collect();
        assert!(metrics.len() > 20, "metrics.md has no table of metrics");
        Self(metrics)
    }

    /// Whether a query may ask for it: a histogram is asked for by its series.
    fn knows(&self, name: &str) -> bool {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|end| {
            name.strip_suffix(end).and_then(|base| self.0.get(base)).is_some_and(|kind| kind == "histogram")
        });
        of_histogram || self.0.get(name).is_some_and(|kind| kind != "histogram")
    }
}

fn folder() -> PathBuf {
    crate::workspace_root().join("docs/monitoring")
}

/// Names of our metrics, and of those about the process, in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("zenith_") || word.starts_with("process_"))
}

fn promtool(arguments: &[&str], file: &Path) {
    let mut command = Command::new(tools::promtool().unwrap());
    succeed(command.args(arguments).arg(file).current_dir(folder()));
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}\n{complained}");
}

fn dashboard() -> Value {
    serde_json::from_slice(&fs::read(folder().join("zenith-dashboard.json")).unwrap()).unwrap()
}

/// What the dashboard asks Prometheus, its variables replaced.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("expr").and_then(Value::as_str).map(|query| {
                query
                    .replace("$__rate_interval", "5m")
                    .replace("$pipeline", "orders")
                    .replace("$job", "zenith")
            }));
            map.values().for_each(|value| queries(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn the_alert_rules_are_rules_and_do_what_their_tests_say() {
    promtool(&["check", "rules", "--lint-fatal"], Path::new("alerts.yml"));
    promtool(&["test", "rules"], Path::new("alerts.test.yml"));
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let rules = fs::read_to_string(folder().join("alerts.yml")).unwrap();
    let tests = fs::read_to_string(folder().join("alerts.test.yml")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        // One that does not fire stands in one line, with an empty list.
        let fires = tests.lines().any(|line| line.trim() == format!("- alertname: {alert}"));
        assert!(fires, "alerts.test.yml has no case in which {alert} fires");
    }
}

#[test]
fn the_metrics_of_rules_and_dashboard_are_those_that_are_documented() {
    let metrics = Metrics::documented();
    let mut texts = Vec::new();
    queries(&dashboard(), &mut texts);
    assert!(texts.len() > 20, "the dashboard asks nothing");
    texts.push(fs::read_to_string(folder().join("alerts.yml")).unwrap());
    for name in texts.iter().flat_map(|text| names(text)) {
        assert!(metrics.knows(name), "{name} is not in docs/monitoring/metrics.md");
    }
}

#[test]
fn the_dashboard_asks_what_prometheus_understands() {
    let mut asked = Vec::new();
    queries(&dashboard(), &mut asked);
    let rules = asked.iter().enumerate().map(|(number, query)| {
        format!("      - record: panel:{number}\n        expr: {}\n", serde_json::to_string(query).unwrap())
    });
    let text = format!("groups:\n  - name: dashboard\n    rules:\n{}", rules.collect::<String>());
    let place = Scratch::new().unwrap();
    let file = place.path().join("dashboard.yml");
    fs::write(&file, text).unwrap();
    promtool(&["check", "rules"], &file);
}

#[test]
fn the_dashboard_is_one_as_grafana_has_them() {
    let check = crate::workspace_root().join("xtask/tools/checks/dashboard.py");
    let mut python = tools::python_checks().unwrap();
    succeed(python.arg(check).arg(folder().join("zenith-dashboard.json")));
}
