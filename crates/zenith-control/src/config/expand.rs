//! Addresses with references, and the secrets they refer to.
//!
//! `${NAME}` is an environment variable, `${file:PATH}` what a file holds, and an address that is `file:PATH` as a
//! whole is in that file. Nothing here puts what it has read into an error: those show the address as it was written.

use crate::address;

/// The address that `template` stands for; `what` names it in errors, as in "the address of the source shop".
///
/// Values that take the place of a user name or a password are escaped as addresses need it, so that a secret may hold
/// any character. Everywhere else they are inserted as they are.
///
/// # Errors
/// One sentence, without secrets.
pub fn expand(
    template: &str,
    what: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let whole = address::resolve(template, what)?;
    let mut address = String::new();
    // What a file holds may refer to the environment as well, but not to itself.
    let user_info = user_info(&whole);
    let mut at = 0;
    while let Some((start, end)) = next_reference(&whole, at) {
        address.push_str(&whole[at..start]);
        let name = &whole[start + 2..end - 1];
        let value = value(name, what, variable)?;
        if user_info.0 <= start && end <= user_info.1 {
            escape(&value, &mut address);
        } else {
            address.push_str(&value);
        }
        at = end;
    }
    address.push_str(&whole[at..]);
    // A variable such as ZENITH_SOURCE may itself name a file.
    address::resolve(&address, what)
}

/// From the environment of this process.
pub fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn value(name: &str, what: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if name.starts_with("file:") {
        return address::resolve(name, what);
    }
    if name.is_empty() {
        return Err(format!("{what} has the reference ${{}}: write the name of a variable in the braces"));
    }
    match variable(name) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(format!("{what} needs the environment variable {name}, which is empty")),
        None => Err(format!(
            "{what} needs the environment variable {name}, which is not set: set it, or refer to a file as ${{file:PATH}}"
        )),
    }
}

/// Where the next reference from `from` on begins and ends.
fn next_reference(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + text.get(from..)?.find("${")?;
    let end = start + text.get(start..)?.find('}')? + 1;
    Some((start, end))
}

/// Where user name and password stand: after `://` and before the last `@` ahead of the path.
///
/// References are passed over: a file name has slashes that end nothing.
fn user_info(text: &str) -> (usize, usize) {
    let Some(start) = text.find("://").map(|at| at + 3) else { return (0, 0) };
    let mut end = start;
    let mut at = start;
    while at < text.len() {
        if let Some((open, close)) = next_reference(text, at)
            && open == at
        {
            at = close;
            continue;
        }
        match text.as_bytes()[at] {
            b'@' => end = at,
            b'/' | b'?' | b'#' => break,
            _ => {}
        }
        at += 1;
    }
    (start, end)
}

/// The address with a reference to `variable` in place of its password, and whether it had one. What is a reference already
/// stays.
pub fn without_password(address: &str, variable: &str) -> (String, bool) {
    let (start, end) = user_info(address);
    let mut colon = start;
    while let Some((from, to)) = next_reference(address, colon)
        && !address[colon..from].contains(':')
        && to <= end
    {
        colon = to;
    }
    match address[colon..end].find(':').map(|at| colon + at + 1) {
        Some(password) if password < end && !address[password..end].starts_with("${") => {
            (format!("{}${{{variable}}}{}", &address[..password], &address[end..]), true)
        }
        _ => (address.to_owned(), false),
    }
}

/// Percent-encodes all but what RFC 3986 calls unreserved (section 2.3).
fn escape(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{expand, without_password};

    fn with(template: &str) -> Result<String, String> {
        expand(template, "the address of the source shop", &|name| match name {
            "USER" => Some("app".to_owned()),
            "PASSWORD" => Some("p@ss/w:rd#é".to_owned()),
            "HOSTS" => Some("a:1,b:2".to_owned()),
            "URI" => Some("mongodb://u:p%40@h/db".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn passwords_are_taken_out_and_references_stay() {
        for (address, expected) in [
            (
                "mongodb://app:s3c%40ret@h1,h2/shop?replicaSet=rs0",
                "mongodb://app:${P}@h1,h2/shop?replicaSet=rs0",
            ),
            ("mongodb://app:a@b@h", "mongodb://app:${P}@h"),
            ("mongodb://${file:/run/user}:hunter2@h/db", "mongodb://${file:/run/user}:${P}@h/db"),
            ("mongodb+srv://u:p@h/?tls=true", "mongodb+srv://u:${P}@h/?tls=true"),
        ] {
            assert_eq!(without_password(address, "P"), (expected.to_owned(), true));
        }
        for address in [
            "mongodb://h/db",
            "http://default@h:8123/db",
            "mongodb://u:${MY}@h",
            "file:/run/secrets/uri",
            "http://u:@h",
        ] {
            assert_eq!(without_password(address, "P"), (address.to_owned(), false));
        }
    }

    #[test]
    fn references_are_replaced_and_secrets_escaped() {
        for (template, address) in [
            ("mongodb://localhost/shop", "mongodb://localhost/shop"),
            ("${URI}", "mongodb://u:p%40@h/db"),
            (
                "mongodb://${USER}:${PASSWORD}@${HOSTS}/shop?a=${USER}",
                "mongodb://app:p%40ss%2Fw%3Ard%23%C3%A9@a:1,b:2/shop?a=app",
            ),
            ("mongodb://h/a@${USER}", "mongodb://h/a@app"),
            ("http://x$USER", "http://x$USER"),
            ("http://${USER", "http://${USER"),
        ] {
            assert_eq!(with(template).unwrap(), address, "{template}");
        }
    }

    #[test]
    fn files_hold_whole_addresses_or_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "a b@c\n").unwrap();
        let path = path.display();
        assert_eq!(with(&format!("http://u:${{file:{path}}}@h/db")).unwrap(), "http://u:a%20b%40c@h/db");
        let whole = folder.path().join("whole");
        std::fs::write(&whole, "mongodb://u:${PASSWORD}@h/db\n").unwrap();
        let expanded = with(&format!("file:{}", whole.display())).unwrap();
        assert_eq!(expanded, "mongodb://u:p%40ss%2Fw%3Ard%23%C3%A9@h/db");
        let named = expand("${ADDRESS}", "x", &|_| Some(format!("file:{path}"))).unwrap();
        assert_eq!(named, "a b@c");
    }

    #[test]
    fn what_is_missing_is_named_and_secrets_are_not() {
        for (template, part) in [
            ("mongodb://${PASSWORD}:${NOPE}@h", "the environment variable NOPE, which is not set"),
            ("${EMPTY}", "EMPTY, which is empty"),
            ("http://${}", "${}"),
            ("http://${file:/no/such/file}@h", "/no/such/file"),
            ("file:/no/such/file", "/no/such/file"),
        ] {
            let error = with(template).unwrap_err();
            assert!(error.contains(part) && error.contains("the source shop"), "{error}");
            assert!(!error.contains("p@ss"), "{error}");
        }
    }
}
