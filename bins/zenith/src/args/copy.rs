//! The arguments of `zenith copy`.

use bytesize::ByteSize;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use zenith_engine::{TableOptions, TableShape};

use zenith_control::config::ConnectorOptions;

const EXAMPLES: &str = "\
Examples:
  See what would be done, without writing anything:
    zenith copy --from mongodb://localhost/shop --collection orders --to http://localhost:8123/shop --dry-run

  Do it; the table `orders` is replaced in one step when all rows are there:
    zenith copy --from mongodb://localhost/shop --collection orders --to http://localhost:8123/shop

  Copy several collections, each to a table of its name, the smallest first:
    zenith copy --from mongodb://localhost/shop --collection '*' --collection '!tmp_*' --to http://localhost:8123/shop

  Load a dump of mongodump; a folder also needs --collection:
    zenith copy --from file:dump/shop/orders.bson --to http://localhost:8123/shop

  Keep passwords out of the process list:
    ZENITH_SOURCE=mongodb://user:pass@db/shop ZENITH_TARGET=file:/run/secrets/clickhouse zenith copy --collection orders

Exit codes: 0 copied; 1 failed while copying, or one of several collections failed; 2 refused before anything was
created; 3 copied, but with more mismatches than --max-extra or --max-dead-letters allow; 130 stopped by a signal.";

/// Copy a whole collection into a table. Readers of the table see the old rows or the new ones.
///
/// Zenith infers the columns from a sample. Values that fit no column are kept in the column `_zenith_extra` as
/// Extended JSON. Documents that are not valid BSON go to the table `zenith_dead_letters`. Nothing is lost.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Copy {
    /// MongoDB, as mongodb://HOST:PORT/DB or mongodb+srv://…; file:PATH reads it from a file, or is the dump to load if
    /// PATH is a folder or ends in .bson or .bson.gz
    #[arg(long, value_name = "URI", env = "ZENITH_SOURCE", hide_env_values = true)]
    pub from: String,
    /// The collection to copy [default: the name of the file, if PATH is one]; or a pattern of collections, as in 'orders*',
    /// 'crm.*' (all of the database crm) or '!tmp_*' (leaves out). May be repeated
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub collection: Vec<String>,
    /// ClickHouse, as http://USER:PASS@HOST:8123/DB, https://…, clickhouse://HOST:9000/DB (the native protocol) or
    /// clickhouses://…; file:PATH reads it from a file
    #[arg(long, value_name = "URL", env = "ZENITH_TARGET", hide_env_values = true)]
    pub to: String,
    /// The table to fill [default: the name of the collection]; of several collections a template with {collection} and {db}
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub table: Option<String>,
    /// Print columns, DDL and plan, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Create the target database if it does not exist
    #[arg(long)]
    pub create_database: bool,
    /// Replace the table even if its columns differ from those of the collection (swap only)
    #[arg(long)]
    pub replace: bool,

    /// Memory for data in transit: at least 8MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = super::memory, help_heading = "Tuning")]
    pub memory: ByteSize,
    /// Collections copied at the same time, which share the memory [default: 4, but 8MiB for each]
    #[arg(long, value_name = "N", value_parser = super::at_least_one, help_heading = "Tuning")]
    pub parallel: Option<usize>,
    #[command(flatten)]
    pub options: TableOptions,
    #[command(flatten)]
    pub shape: TableShape,
    #[command(flatten)]
    pub connection: ConnectorOptions,

    #[command(flatten)]
    pub allowed: zenith_control::allowed::Allowed,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    pub json: bool,
    /// No progress and no summary
    #[arg(long, short)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::{CommandFactory as _, Parser};
    use zenith_engine::{PipelineSettings, TableOptions, TableShape};

    use super::Copy;
    use zenith_control::config::reference::{Setting, names, settings};
    use zenith_control::config::{ConnectorOptions, file};

    /// Options that pipelines do not have, and where they have it instead.
    const OF_COPIES: [(&str, &str); 13] = [
        ("from", "a pipeline names a source"),
        ("to", "a pipeline names a target"),
        ("ca_file", "it is of a target"),
        ("insecure", "it is of a target"),
        ("send", "it is of a target"),
        ("memory", "all pipelines share it: it is of the process"),
        (
            "parallel",
            "zenith run follows all at the same time, and reads one collection whole after the other",
        ),
        ("dry_run", "zenith apply, reload and reset have it"),
        ("replace", "zenith reload replaces the table of a pipeline"),
        ("max_extra", "zenith run, reload and status have it"),
        ("max_dead_letters", "zenith run, reload and status have it"),
        ("json", "it is of what a command prints"),
        ("quiet", "it is of what a command prints"),
    ];

    /// Settings of pipelines that copies do not have.
    const OF_PIPELINES: &[(&str, &str)] = &[
        ("collections", "the option --collection takes patterns, and may be repeated"),
        ("view", "a copy has one row for each document, without a view"),
        ("status_table", "a copy ends, and says then how it went"),
        ("mode", "a copy is a full one"),
        ("snapshot", "a copy is nothing else"),
        ("flush_interval", "a copy follows no changes"),
        ("flush_rows", "a copy follows no changes"),
        ("settle", "a copy follows no cursor"),
        ("poll_interval", "a copy follows no cursor"),
        ("schedule", "a copy is made once"),
        ("time_zone", "a copy is made once"),
        ("every", "a copy is made once"),
        ("on_drop", "a copy ends before the collection does"),
        ("deletes", "a copy has the documents that there are"),
        ("purge_deleted", "a copy has the documents that there are"),
        ("operations", "a copy follows no changes"),
        ("on_history_lost", "a copy follows no changes"),
        ("min_headroom", "a copy follows no changes"),
        ("on_type_conflict", "a copy follows no changes"),
        ("on_type_conflict_fields", "a copy follows no changes"),
        ("post_images", "a copy follows no changes"),
    ];

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        copy: Copy,
    }

    #[derive(Debug, Parser)]
    struct Settings {
        #[command(flatten)]
        settings: PipelineSettings,
    }

    fn copy(arguments: &[&str]) -> Copy {
        let ends = ["zenith", "--from", "mongodb://h/d", "--to", "http://h/d"];
        Arguments::try_parse_from(ends.iter().chain(arguments)).unwrap_or_else(|error| panic!("{error}")).copy
    }

    /// Names without the exceptions, each of which has to be one.
    fn without(mut names: Vec<String>, exceptions: &[(&str, &str)]) -> Vec<String> {
        for (exception, reason) in exceptions {
            assert!(names.iter().any(|name| name == exception), "{exception} is no name: {reason}");
            names.retain(|name| name != exception);
        }
        names.sort_unstable();
        names
    }

    #[test]
    fn copies_and_pipelines_have_the_same_options_but_for_those_with_a_reason() {
        assert_eq!(
            without(names::<Copy>(), &OF_COPIES),
            without(names::<PipelineSettings>(), OF_PIPELINES),
            "an option is to be added to the other, or to the exceptions, with a reason"
        );
        for of_target in names::<ConnectorOptions>() {
            assert!(OF_COPIES.contains(&(of_target.as_str(), "it is of a target")), "{of_target}");
        }
    }

    #[test]
    fn an_argument_is_the_name_of_the_setting_with_hyphens() {
        for argument in Arguments::command().get_arguments().filter(|argument| argument.get_long().is_some())
        {
            assert_eq!(argument.get_long().unwrap_or_default(), argument.get_id().as_str().replace('_', "-"));
        }
    }

    #[test]
    fn what_is_not_said_is_the_default_everywhere() {
        assert_eq!(copy(&[]).options, TableOptions::default());
        let settings =
            Settings::try_parse_from(["zenith"]).unwrap_or_else(|error| panic!("{error}")).settings;
        assert_eq!(settings, PipelineSettings::default());
    }

    /// A value that is not the default, as an argument and in a file.
    fn other_value(setting: &Setting) -> (Option<String>, String) {
        let default = setting.default.as_str().unwrap_or_default();
        if let Some((value, _)) = setting.values.iter().find(|(value, _)| value != default) {
            return (Some(value.clone()), format!("{value:?}"));
        }
        match setting.name.as_str() {
            "mixed_fields" => (Some("a.b=text".to_owned()), "{ \"a.b\" = \"text\" }".to_owned()),
            "exclude" | "include" => (Some("a.*.b".to_owned()), "[\"a.*.b\"]".to_owned()),
            "rename" => (Some("a=b".to_owned()), "{ a = \"b\" }".to_owned()),
            "mask" => (Some("a.b=redact".to_owned()), "{ \"a.b\" = \"redact\" }".to_owned()),
            "order_by" | "primary_key" => (Some("a".to_owned()), "[\"a\"]".to_owned()),
            "settings" | "indexes" | "projections" | "constant" => {
                (Some("a=b".to_owned()), "{ a = \"b\" }".to_owned())
            }
            "columns" => (Some("a=CODEC(ZSTD)".to_owned()), "{ a = { codec = \"ZSTD\" } }".to_owned()),
            "unwind" => (Some("a.b".to_owned()), "\"a.b\"".to_owned()),
            "flat_separator" => (Some("__".to_owned()), "\"__\"".to_owned()),
            "filter" => (Some("{\"a\": 1}".to_owned()), "'{\"a\": 1}'".to_owned()),
            "engine" => (Some("MergeTree".to_owned()), "\"MergeTree\"".to_owned()),
            "partition_by" | "ttl" | "comment" | "on_cluster" => (Some("a".to_owned()), "\"a\"".to_owned()),
            "dead_letters" => (Some("letters".to_owned()), "\"letters\"".to_owned()),
            _ if setting.default.is_boolean() => (None, "true".to_owned()),
            _ => (Some("7".to_owned()), "7".to_owned()),
        }
    }

    #[test]
    fn an_option_means_the_same_as_an_argument_and_in_a_file() {
        for setting in settings::<TableOptions>().into_iter().chain(settings::<TableShape>()) {
            let (argument, value) = other_value(&setting);
            let long = format!("--{}", setting.name.replace('_', "-"));
            let arguments: Vec<&str> = std::iter::once(long.as_str()).chain(argument.as_deref()).collect();
            let said = copy(&arguments);
            let said = (said.options, said.shape);
            assert_ne!(said, (TableOptions::default(), TableShape::default()), "{arguments:?}");
            let text = format!(
                "[sources.s]\nuri = \"mongodb://h/d\"\n[targets.t]\nuri = \"http://h/d\"\n\
                 [pipelines.p]\nsource = \"s\"\ntarget = \"t\"\ncollection = \"c\"\nmode = \"full\"\n{} = {value}\n",
                setting.name
            );
            let config =
                file::parse(&text, Path::new("zenith.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
            let settings = &config.pipelines["p"].settings;
            assert_eq!((settings.options.clone(), settings.shape.clone()), said, "{}", setting.name);
        }
    }

    #[test]
    fn the_readme_lists_every_option_and_no_other() {
        let page = include_str!("../../../../README.md");
        let section =
            page.split("## Options of `zenith copy`").nth(1).and_then(|rest| rest.split("\n## ").next());
        let rows = section
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let listed: BTreeSet<&str> = rows
            .flat_map(|first| first.split('`').skip(1).step_by(2))
            .filter_map(|code| code.strip_prefix("--")?.split(' ').next())
            .collect();
        let command = Arguments::command();
        let mut options: BTreeSet<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        // Of all commands.
        options.insert("verbose");
        assert_eq!(listed, options);
    }

    #[test]
    fn earlier_names_are_understood() {
        let said = copy(&["--mixed-field", "a=text", "--mixed-fields", "b=majority"]).options;
        assert_eq!(said.mixed_fields.len(), 2);
    }
}
