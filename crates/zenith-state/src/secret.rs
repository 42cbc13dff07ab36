//! Whether an address has a password in it, rather than a reference to one.
//!
//! References are `${…}`, as in `mongodb://app:${MONGO_PASSWORD}@host/db`; others
//! interpret what is in the braces. This is no parser of addresses: in doubt it takes text for a password.

/// Parameters of addresses that are passwords, in lower case.
const SECRET_PARAMETERS: [&str; 4] = ["secret", "access_token", "api_key", "passwd"];
/// Properties inside the parameter `authMechanismProperties` that are passwords, in lower case.
const SECRET_PROPERTIES: [&str; 1] = ["aws_session_token"];
/// What stands for a reference while the address is taken apart; it occurs in no address.
const REFERENCE: char = '\u{0}';

/// Whether a password stands in the address as it is, and not a reference to one.
#[must_use]
pub fn is_literal(uri: &str) -> bool {
    let uri = with_references_marked(uri);
    let rest = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
    in_user_info(rest) || in_parameters(rest)
}

fn in_user_info(rest: &str) -> bool {
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    if let Some((user_info, _)) = before_query.rsplit_once('@') {
        return user_info.split_once(':').is_some_and(|(_, password)| is_password(password));
    }
    // A password may hold a question mark that ought to have been escaped: `app:what?@host`.
    let authority = before_query.split('/').next().unwrap_or_default();
    rest.contains('@') && authority.split(',').any(|host| !is_host(host))
}

/// Whether text is a host and perhaps a port, rather than the beginning of `user:password`.
fn is_host(text: &str) -> bool {
    let port = match text.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((_, after)) => after.strip_prefix(':').unwrap_or(after),
        None => text.split_once(':').map_or("", |(_, port)| port),
    };
    port.chars().all(|character| character.is_ascii_digit() || character == REFERENCE)
}

fn in_parameters(rest: &str) -> bool {
    let Some((_, query)) = rest.split_once('?') else { return false };
    query.split(['&', ';']).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let named = name.ends_with("password") || SECRET_PARAMETERS.contains(&name.as_str());
        let inside = name == "authmechanismproperties"
            && value.split(',').filter_map(|property| property.split_once(':')).any(|(property, value)| {
                SECRET_PROPERTIES.contains(&property.to_ascii_lowercase().as_str()) && is_password(value)
            });
        inside || (named && is_password(value))
    })
}

/// Whether text where a password belongs is more than references.
fn is_password(text: &str) -> bool {
    text.chars().any(|character| character != REFERENCE)
}

/// The address with one mark in place of each reference, with any characters in its braces.
fn with_references_marked(uri: &str) -> String {
    let mut marked = String::with_capacity(uri.len());
    let mut rest = uri;
    while let Some((before, from)) = rest.split_once("${") {
        // Braces that are never closed make no reference.
        let Some((name, after)) = from.split_once('}') else { break };
        marked.push_str(before);
        marked.push(if name.is_empty() { 'x' } else { REFERENCE });
        rest = after;
    }
    marked.push_str(rest);
    marked
}

#[cfg(test)]
mod tests {
    use super::is_literal;

    #[test]
    fn references_are_no_passwords() {
        for uri in [
            "mongodb://host",
            "mongodb://a:27017,b:27018/db?replicaSet=rs0",
            "mongodb://app@host/db",
            "mongodb://app:@host/db",
            "mongodb://app:${MONGO_PASSWORD}@host/db",
            "mongodb://app:${file:/run/secrets/m@n?go}@host/db",
            "mongodb+srv://${USER}:${PASSWORD}@cluster.example.net/?retryWrites=true",
            "mongodb://app:${A}${B}@host",
            "mongodb://host/db?appName=a@b",
            "mongodb://host:27017/db?appName=a@b:c",
            "mongodb://[::1]:27017/db?appName=a@b",
            "mongodb://${HOST}:${PORT}/db?appName=a@b",
            "${MONGO_URI}",
            "http://default:${file:/run/secrets/clickhouse}@127.0.0.1:8123/shop",
            "mongodb://host/?authMechanismProperties=TOKEN_RESOURCE:api://x",
            "mongodb://host/?tlsCertificateKeyFilePassword=${P}",
            "",
        ] {
            assert!(!is_literal(uri), "{uri}");
        }
    }

    #[test]
    fn passwords_are_found() {
        for uri in [
            "mongodb://app:hunter2@host/db",
            "mongodb://app:hunter2@a:1,b:2/db",
            "mongodb://app:hunter${X}@host/db",
            "mongodb://app:$MONGO_PASSWORD@host/db",
            "mongodb://app:${}@host/db",
            "mongodb://app:${X@host/db",
            "mongodb://${USER}:hunter2@host/db",
            "mongodb://app:hunt/er2@host/db",
            "mongodb://app:12/3@host/db",
            "mongodb://app:hunt?er2@host/db",
            "mongodb://app:hunt#er2@host/db",
            "mongodb://app:[hunt]?er2@host/db",
            "mongodb://app:hunt@er2@host/db",
            "app:hunter2@host:9000",
            "http://default:hunter2@127.0.0.1:8123/shop?x=${Y}",
            "http://127.0.0.1:8123/?user=default&password=hunter2",
            "mongodb://host/?tlsCertificateKeyFilePassword=hunter2",
            "mongodb://host/?authMechanismProperties=SERVICE:x,AWS_SESSION_TOKEN:hunter2",
        ] {
            assert!(is_literal(uri), "{uri}");
        }
    }
}
