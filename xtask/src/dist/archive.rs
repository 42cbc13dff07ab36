//! The archive to unpack anywhere, and the package of npm, which is an archive as well.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::parts::Contents;
use super::release::Release;
use super::run;
use crate::Result;

/// `zenith-VERSION-TRIPLE.tar.zst`: everything there is, in one folder.
pub(super) fn tar_zst(release: &Release, parts: &Contents, folder: &Path) -> Result<PathBuf> {
    let name = format!("zenith-{}-{}", release.version, release.machine.triple);
    let staged = folder.join("parts/archive");
    let top = staged.join(&name);
    run::copy(&parts.binary, &top.join("bin/zenith"), 0o755)?;
    run::copy(&parts.debug, &top.join("bin/zenith.debug"), 0o644)?;
    for (from, to) in [(&parts.completions, "share/completions"), (&parts.manual, "share/man/man1")] {
        for file in run::files(from)? {
            run::copy(&file, &top.join(to).join(file.file_name().unwrap_or_default()), 0o644)?;
        }
    }
    run::copy(&parts.licences, &top.join("LICENCES.txt"), 0o644)?;
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "packaging/zenith.service"] {
        let path = release.root.join(file);
        run::copy(&path, &top.join(path.file_name().unwrap_or_default()), 0o644)?;
    }
    let tar = folder.join("parts/archive.tar");
    pack(release, &staged, &name, &tar)?;
    let archive = folder.join(format!("{name}.tar.zst"));
    run::output(release.command("zstd").args(["--quiet", "-19", "-T0"]).arg(&tar).arg("-o").arg(&archive))?;
    Ok(archive)
}

/// `zenith-VERSION.tgz`: the binary as the command of a package for this kind of machine.
pub(super) fn npm(release: &Release, parts: &Contents, folder: &Path) -> Result<PathBuf> {
    let staged = folder.join("parts/npm");
    let top = staged.join("package");
    run::copy(&parts.binary, &top.join("bin/zenith"), 0o755)?;
    run::copy(&parts.licences, &top.join("LICENCES.txt"), 0o644)?;
    for file in ["LICENSE", "README.md"] {
        run::copy(&release.root.join(file), &top.join(file), 0o644)?;
    }
    let description = json!({
        "name": "zenith",
        "version": release.version,
        "description": release.description,
        "license": "Apache-2.0",
        "bin": { "zenith": "bin/zenith" },
        "os": ["linux"],
        "cpu": [release.machine.npm],
        "libc": ["glibc"],
        // Yarn leaves packages packed, which a program cannot be run from.
        "preferUnplugged": true,
    });
    run::write(&top.join("package.json"), serde_json::to_string_pretty(&description)? + "\n", 0o644)?;
    let tar = folder.join("parts/npm.tar");
    pack(release, &staged, "package", &tar)?;
    let package = folder.join(format!("zenith-{}-npm-{}.tgz", release.version, release.machine.npm));
    let packed = run::output(release.command("gzip").args(["-9", "--no-name", "--stdout"]).arg(&tar))?;
    run::write(&package, packed, 0o644)?;
    Ok(package)
}

/// An archive of `name` in `folder`: in order, of nobody, of one time.
fn pack(release: &Release, folder: &Path, name: &str, archive: &Path) -> Result<()> {
    let mut tar = release.command("tar");
    tar.args([
        "--sort=name",
        "--format=ustar",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u=rwX,go=rX",
    ]);
    tar.arg(format!("--mtime=@{}", release.time)).arg("-cf").arg(archive).arg("-C").arg(folder).arg(name);
    run::output(&mut tar).map(drop)
}
