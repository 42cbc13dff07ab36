//! Who may do what: tokens out of a file, and the role each has.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use zenith_control::failure::{Failure, code};

/// A token that could be guessed is none.
const TOKEN_MIN: usize = 16;

/// What somebody may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Read,
    /// Pause, resume, reload, verify, retry.
    Operate,
    /// Change what is run, and remove.
    Admin,
}

impl Role {
    /// The word for it, as in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Operate => "operate",
            Role::Admin => "admin",
        }
    }

    fn parse(text: &str) -> Option<Role> {
        [Role::Read, Role::Operate, Role::Admin].into_iter().find(|role| role.name() == text)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name in the file; `local` where no tokens are needed.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct From {
    /// Who.
    pub caller: Caller,
    /// The other end of the connection.
    pub address: String,
}

/// One line of the file. Only a digest is kept.
struct Known {
    caller: Caller,
    digest: [u8; 32],
}

/// Everybody who may ask; without tokens, everybody who can reach the server.
#[derive(Default)]
pub struct Access {
    known: Option<Vec<Known>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&Caller> = self.known.iter().flatten().map(|known| &known.caller).collect();
        formatter.debug_struct("Access").field("known", &names).finish()
    }
}

impl Access {
    /// Reads a file of tokens: a line for each, `role name token`; empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// One sentence, without any token: if the file cannot be read, if others may read it, or if a line is wrong.
    pub fn read(path: &Path) -> Result<Access, Failure> {
        let place = path.display();
        let failed =
            |error| Failure::known(code::TOKENS, format!("the tokens cannot be read from {place}: {error}"));
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            let sentence = format!(
                "the tokens in {place} can be read or changed by everybody on this machine: chmod 600 {place}"
            );
            return Err(Failure::known(code::TOKENS, sentence));
        }
        Access::parse(&fs::read_to_string(path).map_err(failed)?, &place.to_string())
    }

    fn parse(text: &str, place: &str) -> Result<Access, Failure> {
        let mut known: Vec<Known> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong =
                |what: &str| Failure::known(code::TOKENS, format!("{place}, line {}: {what}", number + 1));
            let words: Vec<&str> = line.split_whitespace().collect();
            let [role, name, token] = words[..] else {
                return Err(wrong("a line is a role (read, operate or admin), a name and a token"));
            };
            let role =
                Role::parse(role).ok_or_else(|| wrong("the role is one of read, operate and admin"))?;
            if token.len() < TOKEN_MIN {
                return Err(wrong(&format!("the token of {name} has fewer than {TOKEN_MIN} characters")));
            }
            let digest = hashed(token);
            if known.iter().any(|other| other.digest == digest) {
                return Err(wrong(&format!("the token of {name} is that of another line as well")));
            }
            known.push(Known { caller: Caller { name: name.to_owned(), role }, digest });
        }
        if known.is_empty() {
            let sentence = format!("{place} has no tokens: write a line such as `admin me TOKEN`");
            return Err(Failure::known(code::TOKENS, sentence));
        }
        Ok(Access { known: Some(known) })
    }

    /// Whether a token is needed.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        self.known.is_some()
    }

    /// Who asks with these headers; `None` if a token is needed and none, or a wrong one, is there.
    #[must_use]
    pub fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Some(known) = &self.known else {
            return Some(Caller { name: "local".to_owned(), role: Role::Admin });
        };
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let digest = hashed(token.trim());
        // All of them, so that the time does not tell which one is nearly right.
        let mut found = None;
        for one in known {
            if bool::from(one.digest.ct_eq(&digest)) {
                found = Some(one.caller.clone());
            }
        }
        found
    }
}

fn hashed(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[test]
    fn tokens_have_names_and_roles() {
        let text = "# people\nadmin ada 0123456789abcdef\n\n  read board fedcba9876543210 \n";
        let access = Access::parse(text, "tokens").unwrap();
        let caller = |token| access.caller(&with(token)).map(|caller| (caller.name, caller.role));
        assert_eq!(caller("0123456789abcdef"), Some(("ada".to_owned(), Role::Admin)));
        assert_eq!(caller("fedcba9876543210"), Some(("board".to_owned(), Role::Read)));
        assert_eq!(caller("0123456789abcdee"), None);
        assert_eq!(access.caller(&HeaderMap::new()), None);
        assert!(!format!("{access:?}").contains("0123456789abcdef"));
        assert_eq!(Access::default().caller(&HeaderMap::new()).unwrap().role, Role::Admin);
    }

    #[test]
    fn mistakes_name_their_line_and_no_token() {
        for (text, what) in [
            ("", "has no tokens"),
            ("admin 0123456789abcdef", "line 1: a line is a role"),
            ("\nroot ada 0123456789abcdef", "line 2: the role is one of"),
            ("admin ada short", "fewer than 16"),
            (
                "admin ada 0123456789abcdef\nread b 0123456789abcdef",
                "line 2: the token of b is that of another",
            ),
        ] {
            let failure = Access::parse(text, "tokens").unwrap_err();
            let sentence = failure.message();
            assert!(sentence.contains(what) && !sentence.contains("0123456789abcdef"), "{sentence}");
        }
    }
}
