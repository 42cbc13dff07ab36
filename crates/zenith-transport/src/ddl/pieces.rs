//! SQL cut where it may be cut: words, quoted texts, and groups in brackets with all that is in them.

/// A piece, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<'t> {
    pub(super) what: Piece<'t>,
    /// Its first byte.
    pub(super) start: usize,
    /// The first byte behind it.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// A name, a keyword or a number.
    Word(&'t str),
    /// With its quotes.
    Quoted(&'t str),
    /// What stands between brackets, without them.
    Group(&'t str),
    Sign(char),
}

/// The pieces of a text; `None` if a quote or a bracket does not end.
pub(super) fn pieces(text: &str) -> Option<Vec<At<'_>>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..)?.chars().next() {
        let end = match first {
            '`' | '"' | '\'' => after_quotes(text, at)?,
            '(' | '[' | '{' => after_brackets(text, at)?,
            ')' | ']' | '}' => return None,
            first if is_of_word(first) => {
                let rest = text.get(at..)?;
                at + rest.find(|next| !is_of_word(next)).unwrap_or(rest.len())
            }
            other => at + other.len_utf8(),
        };
        let whole = text.get(at..end)?;
        let what = match first {
            '`' | '"' | '\'' => Piece::Quoted(whole),
            '(' | '[' | '{' => Piece::Group(text.get(at + 1..end - 1)?),
            first if is_of_word(first) => Piece::Word(whole),
            other => Piece::Sign(other),
        };
        if !first.is_whitespace() {
            pieces.push(At { what, start: at, end });
        }
        at = end;
    }
    Some(pieces)
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn after_quotes(text: &str, start: usize) -> Option<usize> {
    let mut characters = text.get(start..)?.char_indices();
    let (_, quote) = characters.next()?;
    while let Some((index, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return Some(start + index + quote.len_utf8());
        }
    }
    None
}

fn after_brackets(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = start;
    while let Some(next) = text.get(at..)?.chars().next() {
        match next {
            '`' | '"' | '\'' => {
                at = after_quotes(text, at)?;
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        at += next.len_utf8();
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_brackets_hide_what_is_in_them() {
        let text = "a.`b)` (c, ')', [d]) = 'it\\'s, x'";
        let found: Vec<_> = pieces(text).unwrap().into_iter().map(|piece| piece.what).collect();
        assert_eq!(
            found,
            [
                Piece::Word("a"),
                Piece::Sign('.'),
                Piece::Quoted("`b)`"),
                Piece::Group("c, ')', [d]"),
                Piece::Sign('='),
                Piece::Quoted("'it\\'s, x'"),
            ]
        );
        for text in ["(a", "a)", "'a", "`a\\`", "(')"] {
            assert_eq!(pieces(text), None, "{text}");
        }
    }
}
