//! A bar chart as SVG, drawn by hand: readable on light and dark pages, and without a library.

use std::fmt::Write as _;

/// A bar: what it stands for, its length, and the words at its end.
pub(super) struct Bar {
    pub(super) name: String,
    /// Beneath the name, in small letters.
    pub(super) about: String,
    pub(super) value: f64,
    pub(super) label: String,
    /// The bar that the chart is about.
    pub(super) ours: bool,
}

const WIDTH: f64 = 780.0;
const NAMES_WIDTH: f64 = 250.0;
/// Room for the label of the longest bar.
const LABELS_WIDTH: f64 = 150.0;
const TOP: f64 = 62.0;
const BAR_HEIGHT: f64 = 26.0;
const STEP: f64 = 50.0;
/// A bar that would be thinner is not seen.
const LENGTH_MIN: f64 = 1.5;

/// Colours follow the reader's scheme, and the page shines through.
const STYLE: &str = "\
text { font-family: ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.name { font-size: 13px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.label { font-size: 12px; font-variant-numeric: tabular-nums }
.bar { fill: #8c959f }
.ours { fill: #0969da }
.axis { stroke: #d1d9e0; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .bar { fill: #656c76 }
  .ours { fill: #4493f8 }
  .axis { stroke: #3d444d }
}";

/// Horizontal bars on a linear scale that begins at zero, in the order given.
pub(super) fn bars(title: &str, subtitle: &str, bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let scale = if longest > 0.0 { (WIDTH - NAMES_WIDTH - LABELS_WIDTH) / longest } else { 0.0 };
    let height = TOP + STEP * bars.len() as f64 + 6.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<style>\n{STYLE}\n</style>\n",
        escaped(title)
    );
    let text = |class: &str, x: f64, y: f64, anchor: &str, words: &str| {
        format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
            escaped(words)
        )
    };
    svg += &text("title", 0.0, 20.0, "start", title);
    svg += &text("small", 0.0, 40.0, "start", subtitle);
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * index as f64;
        let length = if bar.value > 0.0 { (bar.value * scale).max(LENGTH_MIN) } else { 0.0 };
        let class = if bar.ours { "bar ours" } else { "bar" };
        svg += &text("name", NAMES_WIDTH - 12.0, y + 12.0, "end", &bar.name);
        svg += &text("small", NAMES_WIDTH - 12.0, y + 27.0, "end", &bar.about);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{NAMES_WIDTH}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>"
        );
        svg += &text("label", NAMES_WIDTH + length + 8.0, y + 18.0, "start", &bar.label);
    }
    let end = height - 12.0;
    let start = TOP - 8.0;
    let _ = writeln!(
        svg,
        "<line class=\"axis\" x1=\"{NAMES_WIDTH}\" y1=\"{start}\" x2=\"{NAMES_WIDTH}\" y2=\"{end}\"/>"
    );
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar {
            name: name.to_owned(),
            about: String::new(),
            value,
            label: format!("{value}"),
            ours: name == "us",
        }
    }

    #[test]
    fn lengths_are_in_proportion_and_text_is_escaped() {
        let svg = bars("Rows & seconds", "<more>", &[bar("us", 380.0), bar("them", 190.0), bar("none", 0.0)]);
        assert!(svg.contains("Rows &amp; seconds") && svg.contains("&lt;more&gt;"));
        let widths: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(widths, ["380.0", "190.0", "0.0"]);
        assert_eq!(svg.matches("bar ours").count(), 1);
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
