//! What terminals can do that files cannot: colours and questions. And tables, which both can show.

use std::io::{self, IsTerminal, Write};

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// Puts text on standard output. A reader that has gone away (`| head`) is no error of ours.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One JSON value on a line of standard output.
pub fn print_json(value: &impl serde::Serialize) {
    // Maps with string keys and plain numbers always serialise.
    let text = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    print(&format!("{text}\n"));
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colours: bool,
}

impl Paint {
    /// Colours if standard output is a terminal and nobody objects (<https://no-color.org>).
    pub fn for_stdout() -> Paint {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint { colours: io::stdout().is_terminal() && !refused }
    }

    /// No colours.
    #[cfg(test)]
    pub fn plain() -> Paint {
        Paint { colours: false }
    }

    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a yes on the terminal; anything else is a no.
pub fn ask(question: &str) -> bool {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    if asked.is_err() || io::stdin().read_line(&mut answer).is_err() {
        return false;
    }
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Rows below a header, in columns as wide as their widest cell on a terminal, two spaces apart.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["orders".to_owned(), "é".to_owned()], vec!["x".to_owned(), String::new()]];
        assert_eq!(table(&["name", "state"], &rows), "name    state\norders  é\nx\n");
        let wide = [vec!["日本".to_owned(), "1".to_owned()], vec!["e\u{301}t".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["", "n"], &wide), "      n\n日本  1\ne\u{301}t    2\n");
    }
}
