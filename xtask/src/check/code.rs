//! Tells Rust code from comments and literals, so that rules about code do not stumble over words in text.
//!
//! A scanner, not a parser: it knows where comments, strings and characters begin and end, and nothing else.

/// The source with the inside of comments, strings and character literals replaced by spaces; lines stay lines.
pub(super) fn without_text(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = match text_end(&characters, at) {
            Some(end) => end.min(characters.len()),
            None => {
                code.push(characters[at]);
                at += 1;
                continue;
            }
        };
        code.extend(characters[at..end].iter().map(|&character| if character == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// The words of a line of code: identifiers and keywords.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
}

/// Where the comment or literal that begins here ends, if one begins here.
fn text_end(characters: &[char], start: usize) -> Option<usize> {
    let after = |offset: usize| characters.get(start + offset).copied();
    match (characters[start], after(1)) {
        ('/', Some('/')) => Some(find(characters, start, '\n')),
        ('/', Some('*')) => Some(block_comment_end(characters, start)),
        ('"', _) => Some(quoted_end(characters, start + 1, '"')),
        // The closing quote tells a character from a lifetime; an escape is never a lifetime.
        ('\'', Some('\\')) => Some(quoted_end(characters, start + 1, '\'')),
        ('\'', _) if after(2) == Some('\'') => Some(start + 3),
        ('r', Some('"' | '#')) if !continues_a_word(characters, start) => raw_string_end(characters, start),
        _ => None,
    }
}

/// Whether the character belongs to an identifier begun before; `br"…"` and `cr"…"` count as strings all the same.
fn continues_a_word(characters: &[char], at: usize) -> bool {
    let is_word = |at: usize| characters[at].is_alphanumeric() || characters[at] == '_';
    match at {
        0 => false,
        1 => is_word(0) && !matches!(characters[0], 'b' | 'c'),
        _ => is_word(at - 1) && (!matches!(characters[at - 1], 'b' | 'c') || is_word(at - 2)),
    }
}

fn find(characters: &[char], from: usize, wanted: char) -> usize {
    characters[from..]
        .iter()
        .position(|&character| character == wanted)
        .map_or(characters.len(), |at| from + at)
}

fn block_comment_end(characters: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < characters.len() {
        match (characters[at], characters[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    characters.len()
}

fn quoted_end(characters: &[char], mut at: usize, quote: char) -> usize {
    while at < characters.len() && characters[at] != quote {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// `None` for a raw identifier such as `r#type`.
fn raw_string_end(characters: &[char], start: usize) -> Option<usize> {
    let hashes = characters[start + 1..].iter().take_while(|&&character| character == '#').count();
    let open = start + 1 + hashes;
    if characters.get(open) != Some(&'"') {
        return None;
    }
    let mut at = open + 1;
    loop {
        at = find(characters, at, '"') + 1;
        let closing = characters.get(at..at + hashes);
        match closing {
            None => return Some(characters.len()),
            Some(closing) if closing.iter().all(|&character| character == '#') => return Some(at + hashes),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_stays() {
        let kept =
            |source: &str| words(&without_text(source)).map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(kept("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(kept(r#"a "b \" c" d"#), "a d");
        assert_eq!(kept(r##"a r#"b " c"# br"d" e r#type"##), "a b e r type");
        assert_eq!(kept(r"a '\'' b 'c' d<'e> &'f g '\u{1F600}' h"), "a b d e f g h");
        assert_eq!(kept("var\"text\" end"), "var end");
        assert_eq!(without_text("a\n\"b\nc\"\nd").lines().count(), 4);
        assert_eq!(kept("\"never closed"), "");
    }
}
