//! The file that `zenith init` writes: everything there is to say, with what it means.

use serde_json::Value;
use zenith_engine::PipelineSettings;

use super::ConnectorOptions;
use super::reference::{Setting, settings};

const BEFORE: &str = r#"# Zenith: which MongoDB collections become which ClickHouse tables.
#
#   zenith check     looks at both ends and says what is missing
#   zenith apply     shows what changes, and takes it over
#   zenith run       keeps the tables in step until stopped
#
# Secrets do not belong into this file. ${NAME} is an environment variable, ${file:PATH} what a file holds, and an
# address may be "file:PATH" as a whole. They are read when they are needed; the state keeps the references only.
# What is commented out shows what it is where nothing is set, or an example.

# Databases that are read. The database in the address is the one whose collections pipelines name.
[sources.shop]
uri = "mongodb://app:${MONGO_PASSWORD}@localhost:27017/shop?replicaSet=rs0"

# Databases that are written: http://, https://, or clickhouse://HOST:9000 and clickhouses:// for the native protocol.
[targets.warehouse]
uri = "http://default:${CLICKHOUSE_PASSWORD}@localhost:8123/shop"
"#;

const PIPELINE: &str = r#"
# One collection and its table. The name is yours; commands use it.
[pipelines.orders]
source = "shop"
target = "warehouse"
"#;

const AFTER: &str = r#"
# Memory for data on its way, of all pipelines together.
[memory]
buffer = "64MiB"

# Where Zenith remembers what was applied and how far each pipeline has come; ~/.local/state/zenith/state.sqlite
# if left out. --state and ZENITH_STATE count more. In place of a path, several machines share one with the uri
# "postgres://zenith:${STATE_PASSWORD}@db/zenith": one of them runs the pipelines, the others stand by.
# [state]
# path = "/var/lib/zenith/state.sqlite"
"#;

/// Settings that are not commented out.
const STATED: [&str; 2] = ["collection", "mode"];

/// What settings might be that have no value by default.
const EXAMPLES: &[(&str, &str)] = &[
    ("constant", r#"{ tenant = "eu" }"#),
    ("flat_depth", "2"),
    ("order_by", r#"["_id"]"#),
    ("on_cluster", r#""replicas""#),
    ("partition_by", r#""cityHash64(_id) % 16""#),
    ("engine", r#""ReplacingMergeTree""#),
    ("primary_key", r#"["_id"]"#),
    ("ttl", r#""""#),
    ("settings", "{ index_granularity = 1024 }"),
    ("comment", r#""orders of all shops""#),
    ("indexes", r#"{ by_mail = "email TYPE bloom_filter" }"#),
    ("projections", r#"{ by_mail = "SELECT * ORDER BY email" }"#),
    ("columns", r#"{ price = "Decimal(18, 4) CODEC(ZSTD(1))" }"#),
    ("send", r#""auto""#),
    ("ca_file", r#""/etc/ssl/our-authority.pem""#),
    ("collection", r#""orders""#),
    ("collections", r#"["orders*", "!tmp_*"]"#),
    ("table", r#""orders""#),
    ("view", r#""orders_current""#),
    ("operations", r#"["insert", "update", "delete"]"#),
    ("purge_deleted", r#""30d""#),
    ("schedule", r#""0 3 * * *""#),
    ("time_zone", r#""Europe/Berlin""#),
    ("every", r#""1h""#),
    ("post_images", "false"),
    ("readers", "2"),
    ("mixed_fields", r#"{ "items.price" = "text" }"#),
    ("on_type_conflict_fields", r#"{ "items.price" = "widen" }"#),
    ("exclude", r#"["customer.password", "*.internal"]"#),
    ("include", r#"["customer", "items"]"#),
    ("filter", r#"'{"state": {"$ne": "draft"}}'"#),
    ("rename", r#"{ custID = "customer_id" }"#),
    ("mask", r#"{ "card" = "last4" }"#),
    ("unwind", r#""items""#),
];

/// Where meanings stand.
const COLUMN: usize = 40;
/// Where lines end.
const WIDTH: usize = 118;

/// A configuration that is nearly ready to be applied.
pub fn template() -> String {
    let mut text = BEFORE.to_owned();
    for setting in settings::<ConnectorOptions>() {
        push(&mut text, &setting);
    }
    text.push_str(PIPELINE);
    let mut heading = None;
    for setting in settings::<PipelineSettings>() {
        if let Some(new) = setting.heading.as_ref().filter(|new| heading.as_ref() != Some(*new)) {
            text.push_str(&format!("# {new}:\n"));
        }
        push(&mut text, &setting);
        heading = setting.heading;
    }
    text + AFTER
}

/// One setting with its meaning beside it.
fn push(text: &mut String, setting: &Setting) {
    let name = setting.name.as_str();
    let value = match &setting.default {
        Value::Null => EXAMPLES.iter().find(|(of, _)| *of == name).map_or("", |(_, value)| value).to_owned(),
        default => default.to_string(),
    };
    let mark = if STATED.contains(&name) { "" } else { "# " };
    let line = format!("{mark}{name} = {value}");
    let default = setting.default_words.as_ref().map(|words| format!("; by default {words}"));
    let mut meaning = wrapped(&format!("{}{}", setting.meaning, default.unwrap_or_default()), 0);
    let longest = setting.values.iter().map(|(value, _)| value.len()).max().unwrap_or_default();
    for (value, means) in &setting.values {
        let indent = longest + 4;
        for (index, line) in wrapped(means, indent).into_iter().enumerate() {
            let value = if index == 0 { value.as_str() } else { "" };
            meaning.push(format!("  {value:<longest$}  {line}"));
        }
    }
    let mut lines = meaning.into_iter();
    if line.len() < COLUMN {
        text.push_str(&format!("{line:<COLUMN$}# {}\n", lines.next().unwrap_or_default()));
    } else {
        text.push_str(&format!("{line}\n"));
    }
    for meaning in lines {
        text.push_str(&format!("{:<COLUMN$}# {meaning}\n", ""));
    }
}

/// Lines that fit beside settings, when they are indented so far.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if COLUMN + 2 + indent + line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zenith_engine::{MaskKind, MaskSetting, Mixed, OnTypeConflict, Operation};

    use super::template;
    use crate::config::file;

    /// The template with all its commented settings switched on.
    fn everything() -> String {
        let uncommented = |line: &str| {
            let is_setting = line.split_once(" = ").is_some_and(|(name, _)| {
                name.strip_prefix("# ").is_some_and(|name| {
                    name.chars().all(|letter| letter == '_' || letter.is_ascii_lowercase())
                })
            });
            if is_setting || line == "# [state]" { line[2..].to_owned() } else { line.to_owned() }
        };
        template().lines().map(uncommented).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_can_be_applied_as_it_is_and_with_everything_in_it() {
        let config = file::parse(&template(), Path::new("zenith.toml")).unwrap();
        let all = everything();
        // What excludes other settings that are there.
        let is_other = |line: &str| {
            ["collections", "schedule", "time_zone", "every"].iter().any(|it| line.starts_with(it))
        };
        let all: Vec<&str> = all.lines().filter(|line| !is_other(line)).collect();
        let all = file::parse(&all.join("\n"), Path::new("zenith.toml")).unwrap();
        assert_eq!(config.pipelines.len(), 1);
        // What stands in the comments are the defaults, where there are any.
        let (mut shown, stated) = (all.pipelines["orders"].clone(), &config.pipelines["orders"]);
        assert_eq!(std::mem::take(&mut shown.settings.table), "orders");
        assert_eq!(std::mem::take(&mut shown.settings.view), "orders_current");
        assert_eq!(shown.settings.post_images.take(), Some(false));
        assert_eq!(shown.settings.purge_deleted.take(), Some(std::time::Duration::from_secs(30 * 24 * 3600)));
        let operations = std::mem::take(&mut shown.settings.operations);
        assert_eq!(operations, [Operation::Insert, Operation::Update, Operation::Delete]);
        assert_eq!(shown.settings.options.readers.take(), Some(2));
        let fields = std::mem::take(&mut shown.settings.options.mixed_fields);
        assert_eq!(fields, [("items.price".to_owned(), Mixed::Text)]);
        let conflicts = std::mem::take(&mut shown.settings.on_type_conflict_fields);
        assert_eq!(conflicts, [("items.price".to_owned(), OnTypeConflict::Widen)]);
        assert_eq!(shown.settings.options.flat_depth.take(), Some(2));
        let exclude = std::mem::take(&mut shown.settings.options.exclude);
        let include = std::mem::take(&mut shown.settings.options.include);
        assert_eq!((exclude.len(), include.len()), (2, 2));
        let filter = shown.settings.options.filter.take();
        assert_eq!(filter.as_deref(), Some(r#"{"state": {"$ne": "draft"}}"#));
        let renamed = std::mem::take(&mut shown.settings.options.rename);
        assert_eq!(renamed, [("custID".to_owned(), "customer_id".to_owned())]);
        let masked = std::mem::take(&mut shown.settings.options.mask);
        assert_eq!(masked, [("card".to_owned(), MaskSetting { with: MaskKind::Last4, salt: None })]);
        assert_eq!(shown.settings.options.unwind.take().as_deref(), Some("items"));
        let shape = std::mem::take(&mut shown.settings.shape);
        assert_eq!(
            (shape.order_by, shape.settings.len(), shape.columns.len(), shape.constant.len()),
            (vec!["_id".to_owned()], 1, 1, 1)
        );
        assert_eq!(&shown, stated);
        assert!(all.process.state.is_some() && all.targets["warehouse"].options.ca_file.is_some());
    }

    #[test]
    fn it_has_every_setting_once_and_no_long_lines() {
        let all = everything();
        for name in file::setting_names() {
            let lines = all.lines().filter(|line| line.starts_with(&format!("{name} = "))).count();
            assert_eq!(lines, 1, "{name}");
        }
        assert!(template().lines().all(|line| line.chars().count() <= 118 && line == line.trim_end()));
    }
}
