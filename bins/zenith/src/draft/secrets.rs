//! An address without its password.

/// The address with a reference to `variable` in place of the password, and whether there was one.
///
/// What is a reference already stays as it is.
pub fn without_password(address: &str, variable: &str) -> (String, bool) {
    let Some(start) = address.find("://").map(|at| at + 3) else { return (address.to_owned(), false) };
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |at| start + at);
    let user_info = address[start..end].rsplit_once('@').map(|(user_info, _)| user_info);
    match user_info.and_then(|user_info| user_info.split_once(':')) {
        Some((user, password)) if !password.is_empty() && !password.contains("${") => {
            let after = start + user.len() + 1 + password.len();
            (format!("{}{user}:${{{variable}}}{}", &address[..start], &address[after..]), true)
        }
        _ => (address.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_are_taken_out_and_references_stay() {
        for (address, expected) in [
            (
                "mongodb://app:s3c%40ret@h1,h2/shop?replicaSet=rs0",
                "mongodb://app:${P}@h1,h2/shop?replicaSet=rs0",
            ),
            ("mongodb://app:a@b@h", "mongodb://app:${P}@h"),
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
}
