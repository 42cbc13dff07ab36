//! Tests of what others start Zenith with: the chart for Kubernetes, the compose stack, the unit of systemd.
//!
//! Nothing is started here: there is no cluster and no registry of images. Helm renders the chart, and what comes of it is
//! held against the schemas of Kubernetes.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use zenith_testkit::services::tools;

fn docker() -> PathBuf {
    crate::workspace_root().join("docker")
}

fn check(name: &str) -> Command {
    let mut python = tools::python_checks().unwrap();
    python.arg(crate::workspace_root().join("xtask/tools/checks").join(name));
    python
}

/// What a program prints, given this to read; a failure ends the test.
fn said(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}\n{complained}");
    said.into_owned()
}

fn helm(arguments: &[&str]) -> String {
    let mut command = Command::new(tools::helm().unwrap());
    said(command.args(arguments).current_dir(docker().join("helm")).env("HELM_PLUGINS", "/nonexistent"), "")
}

#[test]
fn the_chart_gives_manifests_that_kubernetes_knows() {
    helm(&["lint", "--strict", "zenith"]);
    let plain = helm(&["template", "shop", "zenith"]);
    let all = helm(&[
        "template",
        "zenith",
        "zenith",
        "--set",
        "serviceMonitor.enabled=true,persistence.storageClass=fast,image.tag=next,extraArgs={--verbose}",
        "--set",
        "env[0].name=SALT,env[0].value=x,nodeSelector.disk=ssd,tolerations[0].operator=Exists",
        "--set",
        "volumes[0].name=ca,volumes[0].configMap.name=ca,volumeMounts[0].name=ca,volumeMounts[0].mountPath=/ca",
    ]);
    for version in ["1.25", "1.37"] {
        assert_eq!(said(check("manifests.py").arg(version), &plain).trim(), "4 manifests");
        assert_eq!(said(check("manifests.py").arg(version), &all).trim(), "5 manifests");
    }
    assert!(all.contains("path: /healthz") && all.contains("path: /readyz") && all.contains("zenith:next"));
}

#[test]
fn values_that_make_no_sense_are_refused_with_a_reason() {
    for (values, reason) in [
        ("tokens.existingSecret=", "names the secret"),
        ("persistance.size=2Gi", "persistance"),
        ("memory=much", "memory"),
        ("replicas=2", "replicas"),
    ] {
        let mut command = Command::new(tools::helm().unwrap());
        let arguments = ["template", "zenith", "zenith", "--set", values];
        let output = command.args(arguments).current_dir(docker().join("helm")).output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complained.contains(reason), "{values}: {complained}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_workspace() {
    let chart = fs::read_to_string(docker().join("helm/zenith/Chart.yaml")).unwrap();
    for line in ["version", "appVersion"].map(|name| format!("{name}: {}", env!("CARGO_PKG_VERSION"))) {
        assert!(chart.lines().any(|other| other == line), "docker/helm/zenith/Chart.yaml needs {line}");
    }
}

#[test]
fn the_compose_stack_is_one_as_the_specification_has_them() {
    said(check("compose.py").arg(docker().join("compose.yml")), "");
    let mut promtool = Command::new(tools::promtool().unwrap());
    promtool.args(["check", "config", "--syntax-only"]).arg(docker().join("compose/prometheus.yml"));
    said(&mut promtool, "");
    let mut python = tools::python_checks().unwrap();
    let read = "import sys, yaml; [yaml.safe_load(open(name)) for name in sys.argv[1:]]";
    let files = ["grafana-datasource.yml", "grafana-dashboards.yml"];
    said(python.args(["-c", read]).args(files.map(|file| docker().join("compose").join(file))), "");
}

#[test]
fn the_dockerfile_is_one_that_a_linter_has_nothing_to_say_of() {
    said(Command::new(tools::hadolint().unwrap()).arg(docker().join("Dockerfile")), "");
}

#[test]
fn the_unit_starts_the_server_and_waits_until_it_is_ready() {
    let unit = fs::read_to_string(crate::workspace_root().join("packaging/zenith.service")).unwrap();
    for line in ["Type=notify", "ExecStart=/usr/bin/zenith serve --file /etc/zenith/zenith.toml"] {
        assert!(unit.lines().any(|other| other == line), "the unit has no {line}");
    }
    // A machine without systemd cannot read it.
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    // Settings alone: user, programs and pages of the manual are there where the package is installed.
    let unit = unit
        .lines()
        .filter(|line| !["User", "Group", "Exec", "Documentation"].iter().any(|key| line.starts_with(key)));
    let unit = unit.collect::<Vec<_>>().join("\n").replace("[Service]", "[Service]\nExecStart=/bin/true");
    let place = crate::scratch::Scratch::new().unwrap();
    let file = place.path().join("zenith.service");
    fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !complained.contains("zenith.service:"), "{complained}");
}
