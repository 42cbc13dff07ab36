//! Text for people that terminals and files can both show: tables, and words in colours or without.

use std::io::{self, IsTerminal};

use comfy_table::Table;
use comfy_table::presets::NOTHING;

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

    /// Colours, if they are wished.
    pub fn with_colours(colours: bool) -> Paint {
        Paint { colours }
    }

    /// Whether there are colours.
    pub fn has_colours(self) -> bool {
        self.colours
    }

    /// No colours.
    pub fn plain() -> Paint {
        Paint { colours: false }
    }

    /// In green.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// In red.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// In yellow.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
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
