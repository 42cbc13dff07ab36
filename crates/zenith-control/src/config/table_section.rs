//! `[pipelines.NAME.table]`: settings of the table in a section of their own, and where settings stand in a file.

use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The section.
pub const TABLE: &str = "table";
/// The name of the table in its section.
pub const NAME: &str = "name";

/// The line of a setting of a pipeline, beginning with 1; that of its section where the setting is not there by itself.
pub fn line_of(path: &Path, pipeline: &str, setting: &str) -> Option<usize> {
    let text = fs::read_to_string(path).ok()?;
    let root = DeTable::parse(&text).ok()?;
    let pipelines = inside(root.get_ref(), "pipelines")?;
    // One of several collections has its settings in the pipeline that it is made of.
    let template = pipeline.split('.').next().unwrap_or_default();
    let settings = inside(pipelines, pipeline).or_else(|| inside(pipelines, template))?;
    let of_table = inside(settings, TABLE);
    let at = of_table.and_then(|table| key(table, setting)).or_else(|| key(settings, setting))?;
    Some(text.get(..at)?.matches('\n').count() + 1)
}

fn inside<'a, 't>(table: &'a DeTable<'t>, name: &str) -> Option<&'a DeTable<'t>> {
    let (_, value) = entry(table, name)?;
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Where the key stands or, of a section of columns, the first of them.
fn key(table: &DeTable<'_>, name: &str) -> Option<usize> {
    entry(table, name).map(|(key, _)| key.span().start)
}

type Entry<'a, 't> = (&'a Spanned<std::borrow::Cow<'t, str>>, &'a Spanned<DeValue<'t>>);

fn entry<'a, 't>(table: &'a DeTable<'t>, name: &str) -> Option<Entry<'a, 't>> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_either_place() {
        let path = std::env::temp_dir().join(format!("zenith-lines-{}.toml", std::process::id()));
        let text = "[pipelines.a]\norder_by = [\"x\"]\n\n[pipelines.b]\n\n[pipelines.b.table]\nname = \"t\"\nttl = \"x\"\n\
                    [pipelines.b.columns.price]\ntype = \"Int8\"\n";
        fs::write(&path, text).unwrap();
        assert_eq!(line_of(&path, "a", "order_by"), Some(2));
        assert_eq!(line_of(&path, "b", "ttl"), Some(8));
        assert_eq!(line_of(&path, "b", "columns"), Some(9));
        assert_eq!(line_of(&path, "b.orders", "ttl"), Some(8));
        assert_eq!(line_of(&path, "b", "order_by"), None);
        fs::remove_file(path).unwrap();
    }
}
