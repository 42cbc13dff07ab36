//! What can be set, as data: names, defaults and meanings, read from the definitions themselves.
//!
//! The file that `zenith init` writes and the tables of docs/configuration.md are made of it. The definitions are structs
//! that clap and serde read; nothing of them is said a second time.

use clap::{Arg, Args, Command};
use serde::Serialize;
use serde_json::Value;

/// The heading of settings that say which columns a table has.
pub const COLUMNS: &str = "Columns";
/// The heading of settings that say what becomes of values on their way to the columns.
pub const TRANSFORMS: &str = "Transforms";
/// The heading of settings that say what else a table is like.
pub const TABLE: &str = "Table";

/// One setting.
pub struct Setting {
    /// Its name, as it is written.
    pub name: String,
    /// Settings that belong together have the same.
    pub heading: Option<String>,
    /// What it means, in one sentence without a full stop.
    pub meaning: String,
    /// What else there is to know.
    pub more: Option<String>,
    /// What it is where nothing is set; `Null` where there is no such value.
    pub default: Value,
    /// What is done then, where there is no such value.
    pub default_words: Option<String>,
    /// The values it can have, with their meanings, if they are few.
    pub values: Vec<(String, String)>,
}

/// All settings of a struct, in their order.
pub fn settings<T: Args + Default + Serialize>() -> Vec<Setting> {
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let command = T::augment_args(Command::new("settings"));
    command.get_arguments().map(|argument| setting(argument, &defaults)).collect()
}

/// Their names.
pub fn names<T: Args>() -> Vec<String> {
    let command = T::augment_args(Command::new("settings"));
    command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
}

fn setting(argument: &Arg, defaults: &Value) -> Setting {
    let name = argument.get_id().to_string();
    let text = |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string).unwrap_or_default();
    let help = text(argument.get_help());
    let (meaning, default_words) = match help.split_once("; by default ") {
        Some((meaning, words)) => (meaning.to_owned(), Some(words.to_owned())),
        None => (help.clone(), None),
    };
    let long = text(argument.get_long_help());
    let more = long.split_once("\n\n").map(|(_, more)| more.replace('\n', " "));
    let values =
        if argument.get_action().takes_values() { argument.get_possible_values() } else { Vec::new() };
    let values = values
        .iter()
        .filter_map(|value| Some((value.get_name().to_owned(), value.get_help()?.to_string())))
        .collect();
    let default = match defaults.get(&name) {
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(Value::Object(map)) if map.is_empty() => Value::Null,
        Some(Value::Array(list)) if list.is_empty() => Value::Null,
        Some(value) => value.clone(),
        // What is left out where it is not set.
        None if !argument.get_action().takes_values() => Value::Bool(false),
        None => Value::Null,
    };
    let heading = argument.get_help_heading().map(str::to_owned);
    Setting { name, heading, meaning, more, default, default_words, values }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use zenith_engine::PipelineSettings;

    use super::{Setting, settings};
    use crate::config::ConnectorOptions;
    use crate::config::alerts::{Limits, Webhook};

    /// Writes the tables instead of comparing them.
    const WRITE: &str = "ZENITH_WRITE_DOCS";

    #[test]
    fn the_tables_of_the_documentation_are_those_of_the_definitions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let page = fs::read_to_string(&path).unwrap();
        let mut made = filled(&page, "targets", &table(&settings::<ConnectorOptions>(), TARGET));
        made = filled(&made, "pipelines", &table(&settings::<PipelineSettings>(), ENDS));
        made = filled(&made, "alerts", &table(&settings::<Limits>(), ""));
        made = filled(&made, "webhooks", &table(&settings::<Webhook>(), ""));
        if env::var_os(WRITE).is_some() {
            fs::write(&path, &made).unwrap();
        }
        let hint = format!("{WRITE}=1 cargo test -p zenith --bin zenith reference");
        assert!(
            made == fs::read_to_string(&path).unwrap(),
            "docs/configuration.md is not up to date: {hint}"
        );
    }

    #[test]
    fn every_setting_has_a_meaning_and_a_default() {
        for setting in settings::<PipelineSettings>() {
            let name = &setting.name;
            assert!(
                !setting.meaning.is_empty() && !setting.meaning.ends_with('.'),
                "{name}: {}",
                setting.meaning
            );
            let is_default = |value: &(String, String)| setting.default.as_str() == Some(value.0.as_str());
            let has_default = setting.values.iter().any(is_default) || setting.default_words.is_some();
            assert!(setting.values.is_empty() || has_default, "{name}");
            let may_be_empty = ["collection", "mixed_fields"].contains(&name.as_str());
            assert!(may_be_empty || setting.default_words.is_some() == setting.default.is_null(), "{name}");
        }
    }

    /// What a connector has besides its options.
    const TARGET: &str = "| `uri` | required | `http://`, `https://` (8123, 8443), or the native protocol as `clickhouse://`, \
        `clickhouses://` (9000, 9440); the database of the tables is in it |\n";

    /// What a pipeline has besides its settings.
    const ENDS: &str = "| `source`, `target` | required | Names of connectors. |\n";

    fn table(settings: &[Setting], first: &str) -> String {
        let mut table = format!("| setting | default | meaning |\n| --- | --- | --- |\n{first}");
        let mut heading = None;
        for setting in settings {
            if setting.heading.is_some()
                && setting.heading != heading
                && settings[0].heading != setting.heading
            {
                table += &format!("| **{}** | | |\n", setting.heading.as_deref().unwrap());
            }
            heading.clone_from(&setting.heading);
            table += &row(setting);
        }
        table
    }

    fn row(setting: &Setting) -> String {
        let default = match (&setting.default_words, &setting.default) {
            (Some(words), _) => words.clone(),
            (None, default) if !default.is_null() => format!("`{default}`"),
            (None, _) if setting.name == "collection" => "required".to_owned(),
            (None, _) => String::new(),
        };
        let mut meaning = format!("{}.", setting.meaning);
        for (value, means) in &setting.values {
            meaning += &format!(" `\"{value}\"`: {}.", means.trim_end_matches('.'));
        }
        if let Some(more) = &setting.more {
            meaning += &format!(" {more}");
        }
        format!("| `{}` | {default} | {} |\n", setting.name, meaning.replace('|', "\\|"))
    }

    /// A page with what stands between two marks replaced.
    fn filled(page: &str, mark: &str, section: &str) -> String {
        let (begin, end) = (format!("<!-- settings:{mark} -->"), format!("<!-- /settings:{mark} -->"));
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page has no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page has no {end}"));
        format!("{before}{begin}\n\n{section}\n{end}{after}")
    }
}
