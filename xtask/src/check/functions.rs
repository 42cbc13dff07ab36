//! How long a function may be, and how many parameters it may have.

use std::path::Path;

use super::Finding;

/// Longest a function may be, in lines, its signature included.
const LINES_MAX: usize = 60;
/// Most parameters of a function, `self` not counted.
const PARAMETERS_MAX: usize = 6;

/// Checks the functions of a file, whose `code` is without comments and literals; tests may be as long as they like.
pub(super) fn check(file: &Path, code: &str, findings: &mut Vec<Finding>) {
    let path = file.to_string_lossy();
    if path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("test_suite.rs") {
        return;
    }
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut from = 0;
    while let Some(found) = code[from..].find("fn ") {
        let start = from + found;
        from = start + 3;
        let is_word = code[..start].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let Some(function) = (if is_word { None } else { Function::read(&code[start..]) }) else { continue };
        let line = code[..start].matches('\n').count() + 1;
        if function.lines > LINES_MAX {
            let complaint =
                format!("{} has {} lines, {LINES_MAX} are allowed: split it", function.name, function.lines);
            findings.push(Finding::in_line(file, line, complaint));
        }
        if function.parameters > PARAMETERS_MAX {
            let complaint = format!(
                "{} has {} parameters, {PARAMETERS_MAX} are allowed: group what belongs together",
                function.name, function.parameters
            );
            findings.push(Finding::in_line(file, line, complaint));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    lines: usize,
    parameters: usize,
}

impl Function {
    /// The function that begins with this text, if it is one with a body.
    fn read(code: &str) -> Option<Function> {
        let rest = code.strip_prefix("fn ")?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').filter(|end| *end > 0)?;
        let name = rest[..end].to_owned();
        let mut at = 3 + end;
        if code[at..].starts_with('<') {
            at += closing(&code[at..])? + 1;
        }
        if !code[at..].starts_with('(') {
            return None;
        }
        let close = at + closing(&code[at..])?;
        let parameters = parameters(&code[at + 1..close]);
        // A body, or the end of a declaration, whichever comes first outside brackets.
        let signature = &code[close + 1..];
        let mut depth = 0_usize;
        let body = signature.char_indices().find_map(|(index, character)| {
            match character {
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '{' | ';' if depth == 0 => return Some((index, character)),
                _ => {}
            }
            None
        });
        let (index, '{') = body? else { return None };
        let body = close + 1 + index;
        let end = body + closing(&code[body..])?;
        let lines = code[..end].matches('\n').count() + 1;
        Some(Function { name, lines, parameters })
    }
}

/// Where the bracket that the text begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let angles = text.starts_with('<');
    let mut depth = 0_usize;
    let mut before = ' ';
    for (index, character) in text.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '<' if angles => depth += 1,
            '>' if angles && before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
        before = character;
    }
    None
}

/// How many parameters there are between the parentheses, but `self`.
fn parameters(text: &str) -> usize {
    let (mut depth, mut before) = (0_i32, ' ');
    let mut parts = vec![String::new()];
    for character in text.chars() {
        match character {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            _ => {}
        }
        match (character, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (_, Some(part)) => part.push(character),
            _ => {}
        }
        before = character;
    }
    let is_one = |part: &&String| {
        let part = part.trim();
        !part.is_empty() && part.split([' ', '&', ':']).all(|word| word != "self")
    };
    parts.iter().filter(is_one).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_parameters_are_counted() {
        let code = "fn name<'a, T: Fn(u8) -> u8>(\n    &'a mut self,\n    a: HashMap<K, V>,\n    f: impl Fn(A, B) -> C,\n) -> [u8; 4] {\n    {}\n}\nfn next() {}";
        let function = Function::read(code).unwrap();
        assert_eq!(function, Function { name: "name".to_owned(), lines: 7, parameters: 2 });
        assert_eq!(Function::read("fn declared(a: u8) -> u8;\nfn x() {}"), None);
        assert_eq!(Function::read("fn(u8) -> u8"), None);
    }

    #[test]
    fn long_and_wide_functions_are_found() {
        let long = format!("fn long() {{\n{}}}\n", "x();\n".repeat(LINES_MAX));
        let wide = "pub(crate) fn wide(a: A, b: B, c: C, d: D, e: E, f: F, g: G) {}\n";
        let mut findings = Vec::new();
        check(Path::new("crates/x/src/a.rs"), &format!("{long}{wide}"), &mut findings);
        assert_eq!(findings.len(), 2, "{findings:?}");
        let mut none = Vec::new();
        check(Path::new("crates/x/src/a.rs"), &format!("#[cfg(test)]\nmod tests {{\n{long}}}"), &mut none);
        assert!(none.is_empty());
    }
}
