//! Runs a program to its end, and makes files and folders as packages need them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, cannot};

/// What the program printed; an error says what it complained about.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {name}: {error}; install it"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} ended with {}: {}", output.status, said.trim()).into());
    }
    Ok(output.stdout)
}

/// Writes a file with the mode it has when it is installed, and the folders above it.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(cannot("create", folder))?;
    fs::write(path, content).map_err(cannot("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(cannot("set the mode of", path))
}

/// Copies a file as [`write()`] writes it.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    write(to, fs::read(from).map_err(cannot("read", from))?, mode)
}

/// The files of a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let items = fs::read_dir(folder).map_err(cannot("list", folder))?;
    let mut files = items.map(|item| Ok(item?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
