//! Which crate may depend on which: the table of the architecture.
//!
//! Read from `cargo metadata`, so that renamed and inherited dependencies count as well. Tests may use the test kit
//! everywhere, and otherwise only what the crate itself may use.

use serde_json::Value;

use super::Finding;

/// Our crates and those of ours they may depend on; `None` means any.
const MAY_IMPORT: [(&str, Option<&[&str]>); 16] = [
    ("zenith-memory", Some(&[])),
    ("zenith-bson", Some(&[])),
    ("zenith-net", Some(&[])),
    ("zenith-extract", Some(&["zenith-memory", "zenith-bson", "zenith-net"])),
    ("zenith-arrow", Some(&["zenith-memory", "zenith-bson"])),
    ("zenith-transport", Some(&["zenith-memory", "zenith-net"])),
    ("zenith-state", Some(&[])),
    (
        "zenith-engine",
        Some(&[
            "zenith-memory",
            "zenith-bson",
            "zenith-extract",
            "zenith-arrow",
            "zenith-transport",
            "zenith-state",
        ]),
    ),
    ("zenith-control", Some(&["zenith-engine", "zenith-net"])),
    ("zenith-server", Some(&["zenith-control", "zenith-engine", "zenith-net"])),
    ("zenith", Some(&["zenith-server", "zenith-control", "zenith-engine"])),
    ("zenith-testkit", None),
    ("zenith-simulation", Some(&["zenith-engine"])),
    ("zenith-benches", None),
    ("zenith-tools", Some(&["zenith-testkit"])),
    ("xtask", Some(&[])),
];

/// Foreign crates that would let one end of the pipeline know the other.
const MUST_NOT_IMPORT: [(&str, &[&str]); 3] = [
    ("zenith-transport", &["bson", "mongodb"]),
    ("zenith-state", &["bson", "mongodb"]),
    ("zenith", &["bson", "mongodb"]),
];

const TEST_KIT: &str = "zenith-testkit";

/// Checks the dependencies in the output of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == name) else {
            findings.push(Finding::at(
                name,
                "is not in the table of imports: add it to ARCHITECTURE.md and to xtask",
            ));
            continue;
        };
        let forbidden =
            MUST_NOT_IMPORT.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, list)| list);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let imported = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev";
            if forbidden.contains(&imported) && !in_tests {
                findings.push(Finding::at(name, format!("must not depend on {imported}")));
            }
            let fine = allowed.is_none_or(|allowed| allowed.contains(&imported))
                || (in_tests && imported == TEST_KIT);
            if ours.contains(&imported) && !fine {
                findings
                    .push(Finding::at(name, format!("must not depend on {imported} (see ARCHITECTURE.md)")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaints(name: &str, dependency: &str, kind: Value) -> usize {
        let package = json!({ "name": name, "dependencies": [{ "name": dependency, "kind": kind }] });
        let ours = MAY_IMPORT.iter().map(|(known, _)| json!({ "name": known, "dependencies": [] }));
        let packages: Vec<Value> = ours.chain([package]).collect();
        check(&json!({ "packages": packages })).iter().filter(|finding| finding.place == name).count()
    }

    #[test]
    fn the_table_is_enforced() {
        assert_eq!(complaints("zenith-arrow", "zenith-memory", Value::Null), 0);
        assert_eq!(complaints("zenith-arrow", "zenith-extract", Value::Null), 1);
        assert_eq!(complaints("zenith-arrow", "zenith-extract", json!("dev")), 1);
        assert_eq!(complaints("zenith-arrow", "zenith-testkit", json!("dev")), 0);
        assert_eq!(complaints("zenith-arrow", "zenith-testkit", Value::Null), 1);
        assert_eq!(complaints("zenith", "zenith-extract", Value::Null), 1);
        assert_eq!(complaints("zenith-benches", "zenith-extract", Value::Null), 0);
        assert_eq!(complaints("zenith-transport", "bson", Value::Null), 1);
        assert_eq!(complaints("stranger", "serde", Value::Null), 1);
    }
}
