//! One table, for a terminal and for Markdown.

use std::fmt::Write as _;

/// Columns with a heading and rows of cells; the first column is text, the others are numbers.
#[derive(Debug, Default)]
pub(super) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|&text| text.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.heading.len(), String::new());
        self.rows.push(cells);
    }

    /// For a terminal: columns aligned by spaces.
    pub(super) fn text(&self) -> String {
        let widths = self.widths();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate();
            let padded: Vec<String> = cells.map(|(index, (cell, &width))| pad(cell, width, index)).collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut text = line(&self.heading) + "\n";
        let rule: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let _ = writeln!(text, "{}", "─".repeat(rule));
        for row in &self.rows {
            text += &line(row);
            text.push('\n');
        }
        text
    }

    /// For Markdown, padded as well, so that the source can be read.
    pub(super) fn markdown(&self) -> String {
        let widths: Vec<usize> = self.widths().iter().map(|&width| width.max(3)).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate();
            let padded: Vec<String> = cells.map(|(index, (cell, &width))| pad(cell, width, index)).collect();
            format!("| {} |\n", padded.join(" | "))
        };
        let rules = widths.iter().enumerate().map(|(index, &width)| match index {
            0 => "-".repeat(width),
            _ => format!("{}:", "-".repeat(width - 1)),
        });
        let rules = format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
        line(&self.heading) + &rules + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }

    fn widths(&self) -> Vec<usize> {
        let rows = std::iter::once(&self.heading).chain(&self.rows);
        rows.fold(vec![0; self.heading.len()], |mut widths, row| {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
            widths
        })
    }
}

fn pad(cell: &str, width: usize, column: usize) -> String {
    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
}

/// A number of things with commas: `1,234,567`.
pub(super) fn counted(number: f64) -> String {
    let digits = format!("{number:.0}");
    let length = digits.len();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (length - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as megabytes, 10^6 of them.
pub(super) fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / 1e6)
}

/// Seconds to hundredths, as far as processor time is known.
pub(super) fn seconds(seconds: f64) -> String {
    format!("{seconds:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["shape", "rows/s"]);
        table.row(["events".to_owned(), counted(1_234_567.4)]);
        table.row(["日本".to_owned()]);
        assert_eq!(table.text(), "shape      rows/s\n─────────────────\nevents  1,234,567\n日本\n");
        assert_eq!(
            table.markdown(),
            "| shape  |    rows/s |\n| ------ | --------: |\n| events | 1,234,567 |\n| 日本     |           |\n"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        let all: Vec<String> = [0.0, 999.0, 1_000.0, -123_456.0, 1e9].map(counted).into();
        assert_eq!(all, ["0", "999", "1,000", "-123,456", "1,000,000,000"]);
        assert_eq!(megabytes(1_550_000.0), "1.6");
    }
}
