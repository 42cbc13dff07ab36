//! Quoting of identifiers and string literals.
//!
//! The rules are those of ClickHouse's lexer: inside either kind of quotes a backslash escapes, so the
//! backslash itself must be escaped as well as the quote.

/// A name in backticks, with any contents.
#[must_use]
pub fn identifier(name: &str) -> String {
    quoted(name, '`')
}

/// A string literal in single quotes, with any contents.
#[must_use]
pub fn literal(text: &str) -> String {
    quoted(text, '\'')
}

/// The text that a string literal stands for; `None` for anything else.
#[must_use]
pub fn text_of(sql: &str) -> Option<String> {
    let sql = sql.trim();
    let (text, rest) = unquoted(sql).filter(|_| sql.starts_with('\''))?;
    rest.is_empty().then_some(text)
}

/// The text between the quotes that `text` begins with, and what follows them; `None` if they do not end.
pub(crate) fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    let mut inside = String::new();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => inside.push(unescaped(characters.next()?.1)),
            end if end == quote => return Some((inside, &text[index + end.len_utf8()..])),
            other => inside.push(other),
        }
    }
    None
}

/// What a character means after a backslash.
pub(super) fn unescaped(character: char) -> char {
    match character {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            character if character == quote => {
                out.push('\\');
                out.push(character);
            }
            character => out.push(character),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(identifier("a`b\\c'd"), "`a\\`b\\\\c'd`");
        assert_eq!(literal("it's \\ `x`\n\0"), "'it\\'s \\\\ `x`\\n\\0'");
        assert_eq!(identifier(""), "``");
    }

    #[test]
    fn what_was_quoted_comes_back() {
        for text in ["", "a`b\\c'd", "\n\r\t\0\u{8}\u{c}é"] {
            let both = identifier(text) + " rest";
            assert_eq!(unquoted(&both), Some((text.to_owned(), " rest")));
            assert_eq!(unquoted(&literal(text)), Some((text.to_owned(), "")));
        }
        assert_eq!(text_of(" 'it\\'s' ").as_deref(), Some("it's"));
        assert_eq!((text_of("'a' b"), text_of("`a`")), (None, None));
        assert_eq!(unquoted("`a\\`"), None);
        assert_eq!(unquoted(""), None);
    }
}
