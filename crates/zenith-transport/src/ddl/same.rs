//! Whether two spellings of a type mean the same.
//!
//! ClickHouse prints types its own way: it leaves out backticks where a name needs none, and spaces vary
//! between versions. So types are compared token by token, names without their quotes.

use super::quote::unescaped;

/// Whether `a` and `b` mean one ClickHouse type.
#[must_use]
pub fn same_type(a: &str, b: &str) -> bool {
    tokens(a) == tokens(b)
}

/// Whether columns of types `a` and `b` take the same values.
///
/// A dictionary is only a way to store them, and whether it pays is guessed from a sample, which may say one thing today
/// and another tomorrow.
#[must_use]
pub fn same_values(a: &str, b: &str) -> bool {
    without_dictionaries(tokens(a)) == without_dictionaries(tokens(b))
}

/// `LowCardinality(X)` as `X`.
fn without_dictionaries(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    // Which of the parentheses that are open belong to dictionaries.
    let mut open = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match &token {
            // Also a tuple's element may have this name, but no parenthesis follows it.
            Token::Word(word) if word == "LowCardinality" && rest.peek() == Some(&Token::Sign('(')) => {
                rest.next();
                open.push(true);
            }
            Token::Sign('(') => {
                open.push(false);
                kept.push(token);
            }
            Token::Sign(')') if open.pop() == Some(true) => {}
            _ => kept.push(token),
        }
    }
    kept
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A name or number, quoted or not.
    Word(String),
    /// A string literal.
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '`' | '"' | '\'' => {
                let mut word = String::new();
                while let Some(character) = rest.next() {
                    match character {
                        '\\' => word.extend(rest.next().map(unescaped)),
                        quote if quote == first => break,
                        other => word.push(other),
                    }
                }
                tokens.push(if first == '\'' { Token::Text(word) } else { Token::Word(word) });
            }
            space if space.is_whitespace() => {}
            letter if letter.is_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            sign => tokens.push(Token::Sign(sign)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_spaces_make_no_difference() {
        assert!(same_type(
            "Tuple(`a` Nullable(Int32),`b c` String)",
            "Tuple(a Nullable(Int32), `b c` String)"
        ));
        assert!(same_type("DateTime64(3, 'UTC')", "DateTime64(3,'UTC')"));
        assert!(!same_type("Tuple(`a` Int32)", "Tuple(`A` Int32)"));
        assert!(!same_type("Tuple(`a b` Int32)", "Tuple(a b Int32)"));
        assert!(!same_type("DateTime64(3, 'UTC')", "DateTime64(3, UTC)"));
        assert!(same_type("Tuple(`a\\`\\nb` Int32)", "Tuple(`a\\`\\nb` Int32)"));
    }
    #[test]
    fn dictionaries_may_be_left_out() {
        let plain = "Array(Tuple(`LowCardinality` Nullable(String), b Int8))";
        let dictionary = "Array(Tuple(LowCardinality LowCardinality(Nullable(String)), b Int8))";
        assert!(same_values(plain, dictionary) && !same_type(plain, dictionary));
        assert!(!same_values("LowCardinality(String)", "LowCardinality(Nullable(String))"));
    }
}
