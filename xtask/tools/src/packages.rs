//! `cargo xtask dist --test`: each package is installed where nothing is, and copies a collection.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use clap::Args;
use tokio::process::Command;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, MongoOptions, MongoServer, Result, Shape, load,
};

use crate::Outcome;
use crate::scratch::Scratch;

/// The database on either side.
const DATABASE: &str = "packages";
/// How many documents each package copies.
const DOCUMENTS: u64 = 10_000;

/// Where the packages are.
#[derive(Args)]
pub struct Packages {
    /// The folder that `cargo xtask dist` has filled
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// How a package is installed: its file's end, and what puts it into a folder and says how the command is called then.
const KINDS: [(&str, Install); 4] =
    [(".tar.zst", unpack), (".deb", install_deb), (".whl", install_wheel), (".tgz", install_npm)];
type Install = fn(&Path, &Path) -> Result<Vec<Vec<String>>>;

/// Tries all packages of a folder; the first that fails ends it.
pub async fn run(Packages { folder }: Packages) -> Outcome {
    let (mongodb, clickhouse) = tokio::try_join!(
        MongoServer::start(MongoOptions::default()),
        ClickHouseServer::start(ClickHouseOptions::default())
    )?;
    let source = mongodb.client().await?.database(DATABASE);
    load::generate(&source, "events", Shape::Events, 1, 0..DOCUMENTS).await?;
    let target = clickhouse.client().create_database(DATABASE).await?;
    for (number, (end, steps)) in KINDS.into_iter().enumerate() {
        let package = find(&folder, end)?;
        let place = Scratch::new()?;
        let install = steps(&package, place.path())?;
        let (command, installing) = install.split_last().ok_or("nothing to run")?;
        for step in installing {
            said(step, &[]).await?;
        }
        let version = said(command, &["--version"]).await?;
        copy(command, &mongodb.uri_for(DATABASE), &target, &format!("events_{number}")).await?;
        println!("{}: {} copied {DOCUMENTS} documents", package.display(), version.trim());
        if end == ".deb" {
            look_at_deb(&place.path().to_string_lossy()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn copy(command: &[String], from: &str, target: &ClickHouse, table: &str) -> Result<()> {
    let to = target.url();
    said(
        command,
        &["copy", "--quiet", "--from", from, "--collection", "events", "--to", &to, "--table", table],
    )
    .await?;
    let rows = target.query(&format!("SELECT count() FROM {table}")).await?;
    if rows == DOCUMENTS.to_string() {
        return Ok(());
    }
    Err(Error::Server(format!("{table} has {rows} rows for {DOCUMENTS} documents")))
}

fn unpack(package: &Path, place: &Path) -> Result<Vec<Vec<String>>> {
    let (package, place) = (package.to_string_lossy(), place.to_string_lossy());
    Ok(vec![
        words(&["tar", "--zstd", "--strip-components=1", "-xf", &package, "-C", &place]),
        words(&[&format!("{place}/bin/zenith")]),
    ])
}

/// A Debian with nothing in it but what is essential, and what the package asks for.
fn install_deb(package: &Path, place: &Path) -> Result<Vec<Vec<String>>> {
    let (package, place) = (package.to_string_lossy(), place.to_string_lossy());
    let inside = format!("/{}", package.rsplit('/').next().unwrap_or_default());
    let suite = debian_suite()?;
    Ok(vec![
        words(&["mmdebstrap", "--quiet", "--variant=essential", "--include=adduser", &suite, &place]),
        words(&["cp", &package, &place]),
        words(&["chroot", &place, "dpkg", "--install", &inside]),
        words(&["chroot", &place, "zenith"]),
    ])
}

fn install_wheel(package: &Path, place: &Path) -> Result<Vec<Vec<String>>> {
    let (package, place) = (package.to_string_lossy(), place.to_string_lossy());
    let pip = format!("{place}/bin/pip");
    Ok(vec![
        words(&["python3", "-m", "venv", &place]),
        words(&[
            &pip,
            "install",
            "--quiet",
            "--no-index",
            "--no-cache-dir",
            "--disable-pip-version-check",
            &package,
        ]),
        words(&[&format!("{place}/bin/zenith")]),
    ])
}

fn install_npm(package: &Path, place: &Path) -> Result<Vec<Vec<String>>> {
    let (package, place) = (package.to_string_lossy(), place.to_string_lossy());
    let cache = format!("--cache={place}/cache");
    Ok(vec![
        words(&[
            "npm",
            "install",
            "--silent",
            "--offline",
            "--no-audit",
            "--no-fund",
            &cache,
            "--prefix",
            &place,
            &package,
        ]),
        words(&[&format!("{place}/node_modules/.bin/zenith")]),
    ])
}

/// What dpkg knows of the package and what it has made; and that nothing of it stays when it is purged.
async fn look_at_deb(root: &str) -> Result<()> {
    let chroot = |arguments: &[&str]| words(&[&["chroot", root][..], arguments].concat());
    said(&chroot(&["id", "zenith"]), &[]).await?;
    let conffiles =
        said(&chroot(&["dpkg-query", "--show", "--showformat=${Conffiles}", "zenith"]), &[]).await?;
    for file in ["/etc/zenith/zenith.toml", "/etc/zenith/environment"] {
        if !conffiles.contains(file) {
            return Err(Error::Malformed(format!("{file} is no conffile: {conffiles}")));
        }
    }
    // As the service would: the file that is installed is free of mistakes, and names nothing to run yet.
    said(&chroot(&["zenith", "apply", "--yes", "--file", "/etc/zenith/zenith.toml"]), &[]).await?;
    said(&chroot(&["dpkg", "--purge", "zenith"]), &[]).await?;
    for left in ["usr/bin/zenith", "etc/zenith", "var/lib/zenith", "usr/share/man/man1/zenith.1.gz"] {
        if Path::new(root).join(left).exists() {
            return Err(Error::Malformed(format!("/{left} is still there after the package was purged")));
        }
    }
    println!("The service's user, folders and configuration were there, and went with the package");
    Ok(())
}

/// The only file with this end.
fn find(folder: &Path, end: &str) -> Result<PathBuf> {
    let items = fs::read_dir(folder).map_err(Error::path("list", folder))?;
    let mut files = items.filter_map(|item| Some(item.ok()?.path()));
    files
        .find(|path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(end)))
        .ok_or_else(|| {
            Error::Missing(format!("{} has no {end}: make it with cargo xtask dist", folder.display()))
        })
}

/// The release of Debian this machine has, as the binary is made for its glibc.
fn debian_suite() -> Result<String> {
    let path = Path::new("/etc/os-release");
    let text = fs::read_to_string(path).map_err(Error::path("read", path))?;
    let suite = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    suite.map(str::to_owned).ok_or_else(|| {
        Error::Missing("the .deb is tried on Debian: /etc/os-release names no release".to_owned())
    })
}

/// What a program printed; an error has what it complained about.
async fn said(command: &[String], arguments: &[&str]) -> Result<String> {
    let line =
        command.iter().map(String::as_str).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
    let (program, first) = command.split_first().ok_or_else(|| Error::Missing("no program".to_owned()))?;
    let output = Command::new(program).args(first).args(arguments).stdin(Stdio::null()).output().await;
    let output = output.map_err(Error::io(format!("run {line}")))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Server(format!("{line} ended with {}: {}", output.status, complaint.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
