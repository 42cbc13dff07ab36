//! Addresses with secrets in them: given as they are, by the environment, or in a file. And files that are data themselves.

use std::fs;
use std::path::{Path, PathBuf};

use zenith_engine::FileSource;

/// What a copy reads from.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// The address of a database.
    Database(String),
    /// A dump: `file:PATH` of a folder, or of a file whose name says that there are documents in it.
    Dump(PathBuf),
}

/// Tells a dump from an address.
///
/// # Errors
/// As [`resolve`].
pub fn origin(given: &str, option: &str) -> Result<Origin, String> {
    match dump(given) {
        Some(path) => Ok(Origin::Dump(path.into())),
        None => resolve(given, option).map(Origin::Database),
    }
}

/// The path in `file:PATH`, if it is that of a dump.
pub fn dump(given: &str) -> Option<&Path> {
    file(given).map(Path::new).filter(|path| FileSource::is_dump(path))
}

/// The path in `file:PATH`.
fn file(given: &str) -> Option<&str> {
    let path = given.trim_start().strip_prefix("file:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// The address itself, or what the file named by `file:PATH` holds.
///
/// # Errors
/// One sentence, without the address.
pub fn resolve(given: &str, option: &str) -> Result<String, String> {
    let Some(path) = file(given) else { return Ok(given.trim().to_owned()) };
    if dump(given).is_some() {
        return Err(format!(
            "{option} cannot be {path}: a dump is read only by zenith copy --from file:{path}, and here an address is \
             needed, or a file that holds one"
        ));
    }
    let text = fs::read_to_string(path).map_err(|error| {
        format!("cannot read {option} from {path}: {error}; check the path and its permissions")
    })?;
    let address = text.trim();
    if address.is_empty() {
        return Err(format!(
            "cannot read {option} from {path}: the file is empty; put the address on its first line"
        ));
    }
    if address.lines().count() > 1 {
        return Err(format!(
            "cannot read {option} from {path}: it has more than one line; it should hold one address"
        ));
    }
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Origin, origin, resolve};

    #[test]
    fn addresses_are_taken_from_files_without_their_line_end() {
        let path = std::env::temp_dir().join(format!("zenith-address-{}", std::process::id()));
        std::fs::write(&path, "http://u:p@h/db\n").unwrap();
        let given = format!("file:{}", path.display());
        assert_eq!(resolve(&given, "--to").unwrap(), "http://u:p@h/db");
        std::fs::write(&path, " \n").unwrap();
        assert!(resolve(&given, "--to").unwrap_err().contains("empty"));
        std::fs::remove_file(&path).unwrap();
        assert!(resolve(&given, "--to").unwrap_err().starts_with("cannot read --to from"));
        assert_eq!(resolve("mongodb://h", "--from").unwrap(), "mongodb://h");
    }

    #[test]
    fn folders_and_files_of_documents_are_dumps() {
        let folder = std::env::temp_dir();
        for path in ["no/such/orders.bson", "/no/such/orders.bson.gz", &folder.display().to_string()] {
            for given in [format!("file:{path}"), format!("file://{path}")] {
                assert_eq!(origin(&given, "--from"), Ok(Origin::Dump(path.into())));
                assert!(resolve(&given, "--to").unwrap_err().contains("zenith copy --from file:"));
            }
        }
        assert!(origin("file:no/such/orders.json", "--from").unwrap_err().starts_with("cannot read --from"));
        assert_eq!(
            origin("mongodb://h/orders.bson", "--from"),
            Ok(Origin::Database("mongodb://h/orders.bson".into()))
        );
    }
}
