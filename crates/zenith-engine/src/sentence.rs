//! What people are told, in words: errors, and how many there are of something.

/// How many there are: `1 row`, `2 rows`. The number may be written in any way.
#[must_use]
pub fn counted(count: u64, written: impl std::fmt::Display, one: &str) -> String {
    format!("{written} {one}{}", if count == 1 { "" } else { "s" })
}

/// An error and its causes in one sentence, each said once.
#[must_use]
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !inner_text.is_empty() && !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
