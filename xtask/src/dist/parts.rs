//! What packages are put together from: the binary, its debug file, completions, manual pages and licences.

use std::fs;
use std::path::{Path, PathBuf};

use super::release::Release;
use super::{licences, run};
use crate::{Result, assets, cannot, cargo};

/// More than the binary may have, in bytes.
const BINARY_BYTES_MAX: u64 = 35_000_000;

/// Files of the release, in a folder for this.
#[derive(Debug)]
pub(super) struct Contents {
    /// Without debug information; it names the debug file.
    pub(super) binary: PathBuf,
    pub(super) debug: PathBuf,
    /// The oldest minor version of glibc 2 that it runs with.
    pub(super) glibc_minor: u32,
    /// `zenith.bash`, `_zenith` and `zenith.fish`.
    pub(super) completions: PathBuf,
    /// `zenith.1`, `zenith-copy.1`, …
    pub(super) manual: PathBuf,
    /// One text.
    pub(super) licences: PathBuf,
}

/// Makes everything from a binary, in `folder`.
pub(super) fn make(release: &Release, built: &Path, folder: &Path) -> Result<Contents> {
    let parts = Contents {
        binary: folder.join("zenith"),
        debug: folder.join("zenith.debug"),
        glibc_minor: glibc_minor(&run::output(release.command("objdump").arg("-T").arg(built))?)?,
        completions: folder.join("completions"),
        manual: folder.join("manual"),
        licences: folder.join("LICENCES.txt"),
    };
    fs::create_dir_all(&parts.manual).map_err(cannot("create", &parts.manual))?;
    let objcopy = |options: &[&str], from: &Path, to: &Path| {
        run::output(release.command("objcopy").args(options).args([from, to]).current_dir(folder))
    };
    objcopy(&["--only-keep-debug", "--compress-debug-sections"], built, &parts.debug)?;
    objcopy(&["--strip-all", "--add-gnu-debuglink=zenith.debug"], built, &parts.binary)?;
    let bytes = fs::metadata(&parts.binary).map_err(cannot("look at", &parts.binary))?.len();
    if bytes > BINARY_BYTES_MAX {
        return Err(format!("the binary has {bytes} bytes, {BINARY_BYTES_MAX} are allowed").into());
    }
    run::output(release.command(&parts.binary.to_string_lossy()).arg("manual").arg(&parts.manual))?;
    for (shell, file) in [("bash", "zenith.bash"), ("zsh", "_zenith"), ("fish", "zenith.fish")] {
        let script =
            run::output(release.command(&parts.binary.to_string_lossy()).args(["completions", shell]))?;
        run::write(&parts.completions.join(file), script, 0o644)?;
    }
    run::write(&parts.licences, licences::text(release)?, 0o644)?;
    Ok(parts)
}

/// Builds the command in `target`, with the paths of this machine left out of it.
pub(super) fn build_binary(release: &Release, target: &Path) -> Result<PathBuf> {
    assets::make(&release.root)?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registry = home.ok_or("set CARGO_HOME or HOME")?.join("registry/src");
    // Else there is no folder yet to leave out of the binary.
    run::output(cargo::command().args(["fetch", "--locked"]).current_dir(&release.root))?;
    let mut prefixes = vec![(release.root.clone(), "/zenith"), (target.to_owned(), "/target")];
    if registry.is_dir() {
        // One folder a registry, whose name has the registry's in it.
        for source in fs::read_dir(&registry).map_err(cannot("list", &registry))? {
            prefixes.push((source?.path(), "/dependencies"));
        }
    }
    let flags = |option: &str| {
        let flags = prefixes.iter().map(|(path, name)| format!("{option}={}={name}", path.display()));
        flags.collect::<Vec<_>>()
    };
    let mut build = cargo::command();
    build.args(["build", "--release", "--locked", "--package", "zenith", "--target-dir"]).arg(target);
    // The last prefix that fits counts, hence the target folder after the one it lies in.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags("--remap-path-prefix").join("\x1f"));
    build.env("CFLAGS", flags("-ffile-prefix-map").join(" "));
    build.env("SOURCE_DATE_EPOCH", release.time.to_string());
    if !build.current_dir(&release.root).status()?.success() {
        return Err("zenith cannot be built: see above".into());
    }
    Ok(target.join("release/zenith"))
}

/// The highest `GLIBC_2.x` among the versions of symbols that `objdump -T` lists.
fn glibc_minor(symbols: &[u8]) -> Result<u32> {
    let symbols = String::from_utf8_lossy(symbols);
    let versions = symbols
        .split("GLIBC_2.")
        .skip(1)
        .filter_map(|rest| rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok());
    versions.max().ok_or_else(|| "the binary needs no glibc, which cannot be".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts() {
        let symbols = b"0 DF *UND* 0 (GLIBC_2.2.5) write\n0 DF *UND* 0 (GLIBC_2.34) dlsym\n0 DF *UND* 0 (GLIBC_2.9) x\n";
        assert_eq!(glibc_minor(symbols).unwrap(), 34);
        assert!(glibc_minor(b"no symbols").is_err());
    }
}
