//! The Python wheel: a package with nothing but the command in it.

use std::path::{Path, PathBuf};

use super::parts::Contents;
use super::release::Release;
use super::run;
use crate::Result;

/// `zenith-VERSION-py3-none-manylinux_2_N_PROCESSOR.whl`; which files and which bytes says `packaging/wheel.py`.
pub(super) fn package(release: &Release, parts: &Contents, folder: &Path) -> Result<PathBuf> {
    let machine = format!("manylinux_2_{}_{}", parts.glibc_minor, release.machine.processor);
    let wheel = folder.join(format!("zenith-{}-py3-none-{machine}.whl", release.version));
    let mut python = release.command("python3");
    python.arg(release.root.join("packaging/wheel.py")).arg(&wheel).arg(&parts.binary);
    python.arg(release.root.join("README.md")).args([&release.root.join("LICENSE"), &parts.licences]);
    python.arg(&release.description);
    run::output(&mut python)?;
    Ok(wheel)
}
