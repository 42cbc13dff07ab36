//! A configuration as the text of a `zenith.toml`, which applied again changes nothing.

use serde::Serialize;
use serde_json::{Map, Value};
use zenith_engine::PipelineSettings;

use super::{Config, Connector, Pipeline};

/// What the text begins with: written over the file of a process, it would take these sections away.
const HEAD: &str = "# What is applied. [memory], [state] and [alerts] are not: each process reads them from its own zenith.toml, so keep\n\
    # those of yours.\n";

/// Everything that is applied: connectors, pipelines and templates, without the pipelines that templates bring.
pub fn text(config: &Config) -> String {
    let mut text = HEAD.to_owned();
    for (kind, connectors) in [("sources", &config.sources), ("targets", &config.targets)] {
        for (name, of) in connectors {
            text.push_str(&connector(kind, name, of));
        }
    }
    let written = config.pipelines.iter().filter(|(_, of)| of.settings.member_of.is_empty());
    for (name, of) in written.chain(&config.templates) {
        text.push_str(&pipeline(name, of));
    }
    text
}

/// The section of one pipeline, with the settings that are not what they would be anyway.
pub fn pipeline(name: &str, pipeline: &Pipeline) -> String {
    let mut text = format!("\n[pipelines.{}]\n", key(name));
    let default = map(&PipelineSettings::default());
    push(&mut text, "source", &pipeline.source.as_str().into());
    push(&mut text, "target", &pipeline.target.as_str().into());
    for (setting, value) in &map(&pipeline.settings) {
        if setting != "member_of" && default.get(setting) != Some(value) {
            push(&mut text, setting, value);
        }
    }
    text
}

fn connector(kind: &str, name: &str, connector: &Connector) -> String {
    let mut text = format!("\n[{kind}.{}]\n", key(name));
    push(&mut text, "uri", &connector.uri.as_str().into());
    for (setting, value) in &map(&connector.options) {
        push(&mut text, setting, value);
    }
    text
}

fn map(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        // Structs of text, numbers and durations always are objects.
        Ok(_) | Err(_) => Map::new(),
    }
}

/// What has no value is not written.
fn push(text: &mut String, setting: &str, value: &Value) {
    if let Some(value) = toml(value) {
        text.push_str(&format!("{} = {value}\n", key(setting)));
    }
}

fn toml(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            format!("[{}]", values.iter().filter_map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pairs =
                map.iter().filter_map(|(name, value)| Some(format!("{} = {}", key(name), toml(value)?)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    })
}

/// JSON escapes what TOML wants escaped, in the same way, but for one character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use crate::config::{Config, applied, file};

    const TEXT: &str = r#"
[sources.my_shop]
uri = 'mongodb://a:${P}@h/shop?x="1"'
[targets.w]
uri = "http://h:8123/d"
ca_file = "/etc/a.pem"
send = "auto"
[pipelines."a.b"]
source = "my_shop"
target = "w"
collection = "orders"
flush_interval = "100ms"
exclude = ["a.b", "*.c"]
mask = { "c.d" = "last4" }
filter = '{"state": {"$ne": "draft"}}'
flat_depth = 2
columns = { price = "Decimal(18, 4) CODEC(ZSTD(1))" }
order_by = ["price", "_id"]
settings = { index_granularity = 1024 }
constant = { tenant = "eu" }
comment = "a\tb\n\u007f\""
[pipelines.all]
source = "my_shop"
target = "w"
collections = ["o*", "!x"]
table = "raw_{collection}"
"#;

    fn parsed(text: &str) -> Config {
        file::parse(text, Path::new("/etc/zenith.toml")).unwrap()
    }

    #[test]
    fn what_is_exported_and_applied_again_changes_nothing() {
        let config = parsed(TEXT);
        let exported = super::text(&config);
        let records = |config| applied::records(config, &BTreeMap::new());
        assert_eq!(records(&parsed(&exported)), records(&config), "{exported}");
        assert!(
            exported.starts_with("# What is applied. [memory], [state] and [alerts] are not"),
            "{exported}"
        );
        assert!(!exported.contains("readers") && exported.contains("[pipelines.\"a.b\"]"), "{exported}");
    }

    #[test]
    fn new_sections_stand_over_what_there_is() {
        let base = parsed(TEXT);
        let new = "[pipelines.all]\nsource = \"my_shop\"\ntarget = \"w\"\ncollection = \"users\"\n";
        let config = file::parse_over(new, Path::new("/etc/zenith.toml"), base.clone()).unwrap();
        assert_eq!((config.pipelines.len(), config.templates.len()), (2, 0));
        assert_eq!(config.sources, base.sources);
        let wrong = new.replace("my_shop", "my_shpo").replace("users", "orders");
        let wrong = file::parse_over(&wrong, Path::new("zenith.toml"), base).unwrap_err().0;
        assert!(wrong[0].contains("line 2: there is no source \"my_shpo\"") && wrong.len() == 2, "{wrong:?}");
    }
}
