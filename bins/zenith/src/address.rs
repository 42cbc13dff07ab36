//! Addresses with secrets in them: given as they are, by the environment, or in a file.

use std::fs;

/// The address itself, or what the file named by `file:PATH` holds.
///
/// # Errors
/// One sentence, without the address.
pub fn resolve(given: &str, option: &str) -> Result<String, String> {
    let Some(path) = given.strip_prefix("file:") else { return Ok(given.trim().to_owned()) };
    let path = path.strip_prefix("//").unwrap_or(path);
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
    use super::resolve;

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
}
