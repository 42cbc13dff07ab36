//! The package of Debian and Ubuntu: the command, a service that is not started by itself, and its folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::parts::Contents;
use super::release::Release;
use super::run;
use crate::{Result, cannot};

/// Files of `packaging/debian` that dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
/// Files that belong to whoever administers the machine, with their modes.
const CONFIGURATION: [(&str, u32); 2] = [("zenith.toml", 0o644), ("environment", 0o640)];

/// `zenith_VERSION_ARCHITECTURE.deb`.
pub(super) fn package(release: &Release, parts: &Contents, folder: &Path) -> Result<PathBuf> {
    let staged = folder.join("parts/debian");
    let packaging = release.root.join("packaging");
    run::copy(&parts.binary, &staged.join("usr/bin/zenith"), 0o755)?;
    run::copy(
        &packaging.join("zenith.service"),
        &staged.join("usr/lib/systemd/system/zenith.service"),
        0o644,
    )?;
    for (script, place) in [
        ("zenith.bash", "bash-completion/completions/zenith"),
        ("_zenith", "zsh/vendor-completions/_zenith"),
        ("zenith.fish", "fish/vendor_completions.d/zenith.fish"),
    ] {
        run::copy(&parts.completions.join(script), &staged.join("usr/share").join(place), 0o644)?;
    }
    for page in run::files(&parts.manual)? {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let place = staged.join(format!("usr/share/man/man1/{name}.gz"));
        run::write(&place, compressed(release, &page)?, 0o644)?;
    }
    let documents = staged.join("usr/share/doc/zenith");
    run::write(
        &documents.join("changelog.gz"),
        compressed(release, &release.root.join("CHANGELOG.md"))?,
        0o644,
    )?;
    run::write(&documents.join("LICENCES.txt.gz"), compressed(release, &parts.licences)?, 0o644)?;
    run::copy(&release.root.join("LICENSE"), &documents.join("copyright"), 0o644)?;
    let mut configuration = String::new();
    for (file, mode) in CONFIGURATION {
        run::copy(&packaging.join("debian").join(file), &staged.join("etc/zenith").join(file), mode)?;
        configuration += &format!("/etc/zenith/{file}\n");
    }
    let control = staged.join("DEBIAN");
    run::write(&control.join("conffiles"), configuration, 0o644)?;
    for script in SCRIPTS {
        run::copy(&packaging.join("debian").join(script), &control.join(script), 0o755)?;
    }
    run::write(&control.join("control"), description(release, parts, kibibytes(&staged)?), 0o644)?;
    open_folders(&staged)?;
    let package = folder.join(format!("zenith_{}_{}.deb", release.version, release.machine.debian));
    let mut build = release.command("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(&staged).arg(&package);
    run::output(&mut build)?;
    Ok(package)
}

fn description(release: &Release, parts: &Contents, kibibytes: u64) -> String {
    format!(
        "Package: zenith
Version: {}
Architecture: {}
Maintainer: Zenith <zenith@localhost>
Installed-Size: {kibibytes}
Depends: libc6 (>= 2.{}), libgcc-s1, adduser
Recommends: ca-certificates
Section: database
Priority: optional
Description: {}
 It copies collections as a whole, and follows their changes. The service
 zenith.service runs what /etc/zenith/zenith.toml says; it is not started
 before it was configured.
",
        release.version,
        release.machine.debian,
        parts.glibc_minor,
        release.description.trim_end_matches('.')
    )
}

fn compressed(release: &Release, file: &Path) -> Result<Vec<u8>> {
    run::output(release.command("gzip").args(["-9", "--no-name", "--stdout"]).arg(file))
}

/// What the files take once they are installed.
fn kibibytes(folder: &Path) -> Result<u64> {
    let mut kibibytes = 0;
    for_each(folder, &mut |path, metadata| {
        if metadata.is_file() && !path.components().any(|part| part.as_os_str() == "DEBIAN") {
            kibibytes += metadata.len().div_ceil(1024);
        }
        Ok(())
    })?;
    Ok(kibibytes)
}

/// Gives folders the mode they have everywhere, whatever the umask was.
fn open_folders(folder: &Path) -> Result<()> {
    for_each(folder, &mut |path, metadata| {
        if metadata.is_dir() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))
                .map_err(cannot("set the mode of", path))?;
        }
        Ok(())
    })
}

fn for_each(path: &Path, action: &mut impl FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let metadata = fs::metadata(path).map_err(cannot("look at", path))?;
    action(path, &metadata)?;
    if metadata.is_dir() {
        for item in fs::read_dir(path).map_err(cannot("list", path))? {
            for_each(&item?.path(), action)?;
        }
    }
    Ok(())
}
