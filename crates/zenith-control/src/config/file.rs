//! `zenith.toml` → [`Config`]. Every mistake is told with its line, all of them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};
use zenith_engine::{PipelineSettings, TableOptions, TableShape};

use super::table_section::{NAME, TABLE};
use super::{Config, Connector, ConnectorOptions, Pipeline, Process, names, reference, suggest};
use crate::address;

/// What is wrong with a file: one line each.
#[derive(Debug, PartialEq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl From<String> for Mistakes {
    fn from(mistake: String) -> Mistakes {
        Mistakes(vec![mistake])
    }
}

/// Reads a configuration.
pub fn read(path: &Path) -> Result<Config, Mistakes> {
    parse(&text(path)?, path)
}

/// The text of a configuration.
pub fn text(path: &Path) -> Result<String, Mistakes> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Mistakes::from(format!(
            "there is no {}: write one with `zenith init`, or name another with --file",
            path.display()
        )),
        _ => format!("cannot read {}: {error}", path.display()).into(),
    })
}

/// What the file says about the process, if it is there and can be read; commands that only look need no more.
pub fn process(path: &Path) -> Result<Process, Mistakes> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let mut reader = Reader { text: &text, path, mistakes: Vec::new() };
            let mut sections = reader.sections();
            let process = reader.process(&mut sections);
            if reader.mistakes.is_empty() { Ok(process) } else { Err(Mistakes(reader.mistakes)) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Process::default()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

/// Understands a configuration; `path` names it in mistakes, and its folder is where relative paths begin.
pub fn parse(text: &str, path: &Path) -> Result<Config, Mistakes> {
    parse_over(text, path, Config::default())
}

/// The same over another configuration, of which everything stays that the text does not name.
pub fn parse_over(text: &str, path: &Path, base: Config) -> Result<Config, Mistakes> {
    let mut reader = Reader { text, path, mistakes: Vec::new() };
    let config = reader.config(base);
    if reader.mistakes.is_empty() { Ok(config) } else { Err(Mistakes(reader.mistakes)) }
}

/// Where the settings of a pipeline stand that are told apart.
#[derive(Default)]
pub(super) struct Places {
    pub(super) pipeline: usize,
    pub(super) collections: Option<usize>,
    pub(super) table: Option<usize>,
    pub(super) view: Option<usize>,
    pub(super) all: BTreeMap<String, usize>,
}

impl Places {
    fn of(settings: &Sections<'_>) -> Places {
        let at = |name: &str| settings.get(name).map(|(span, _)| span.start);
        let all = settings.iter().map(|(name, (span, _))| (name.clone(), span.start)).collect();
        Places { pipeline: 0, collections: at("collections"), table: at("table"), view: at("view"), all }
    }
}

/// The line of a text where the collections of a pipeline stand, as far as that can be told.
pub fn line_of_collections(text: &str, pipeline: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let of_pipeline = root.get("pipelines")?.get_ref().as_table()?.get(pipeline)?.get_ref().as_table()?;
    let (key, _) = of_pipeline.iter().find(|(key, _)| key.get_ref() == "collections")?;
    Some(text.get(..key.span().start)?.matches('\n').count() + 1)
}

/// Whether a mistake in a text is that a pipeline has a section for its table beside the setting of that name.
fn is_named_twice(text: &str, at: usize, message: &str) -> bool {
    let begin = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let line = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
    let is_section = line.starts_with("[pipelines.") && line.ends_with(&format!(".{TABLE}]"));
    let is_setting = line.split('=').next().is_some_and(|key| key.trim() == TABLE);
    message.contains("duplicate key") && (is_section || is_setting)
}

pub(super) type Sections<'t> = BTreeMap<String, (Range<usize>, Spanned<DeValue<'t>>)>;

pub(super) struct Reader<'t> {
    text: &'t str,
    path: &'t Path,
    mistakes: Vec<String>,
}

impl<'t> Reader<'t> {
    fn config(&mut self, base: Config) -> Config {
        let mut sections = self.sections();
        let process = self.process(&mut sections);
        let sources = self.connectors(&mut sections, "sources", &["mongodb", "mongodb+srv"]);
        let targets =
            self.connectors(&mut sections, "targets", &["http", "https", "clickhouse", "clickhouses"]);
        let config = base.with(Config { process, sources, targets, ..Config::default() });
        let pipelines = self.pipelines(&mut sections, &config.sources, &config.targets);
        for (name, (span, _)) in &sections {
            let known = ["state", "memory", "alerts", "sources", "targets", "pipelines"];
            self.wrong(span.start, &format!("unknown section [{name}]{}", suggest::hint(name, known)));
        }
        for name in config.sources.keys().filter(|name| config.targets.contains_key(*name)) {
            self.mistakes.push(format!(
                "{}: {name:?} is the name of a source and of a target: rename one",
                self.path.display()
            ));
        }
        let (templates, pipelines) = pipelines.into_iter().partition(|(_, pipeline)| pipeline.is_template());
        let process = config.process.clone();
        let config = config.with(Config { process, pipelines, templates, ..Config::default() });
        self.names_are_used_once(&config);
        config
    }

    pub(super) fn wrong(&mut self, at: usize, what: &str) {
        let line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        self.mistakes.push(format!("{}, line {line}: {what}", self.path.display()));
    }

    /// How many there are so far.
    pub(super) fn mistakes(&self) -> usize {
        self.mistakes.len()
    }

    /// The tables of the file by name; a file that is no TOML has none.
    fn sections(&mut self) -> Sections<'t> {
        match DeTable::parse(self.text) {
            Ok(root) => keyed(root.into_inner()),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                match is_named_twice(self.text, at, error.message()) {
                    true => self.wrong(
                        at,
                        "the table is named twice: beside the section [pipelines.NAME.table] its name is written in that, as \
                         name = \"…\", and not above it as table = \"…\"",
                    ),
                    false => self.wrong(at, &format!("not TOML: {}", one_line(error.message()))),
                }
                Sections::new()
            }
        }
    }

    pub(super) fn table(&mut self, name: &str, value: Spanned<DeValue<'t>>) -> Sections<'t> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => keyed(table),
            _ => {
                self.wrong(span.start, &format!("{name} is a table: write [{name}] above its settings"));
                Sections::new()
            }
        }
    }

    pub(super) fn section(&mut self, sections: &mut Sections<'t>, name: &str) -> Sections<'t> {
        match sections.remove(name) {
            Some((_, value)) => self.table(name, value),
            None => Sections::new(),
        }
    }

    fn connectors(
        &mut self,
        sections: &mut Sections<'t>,
        kind: &str,
        schemes: &[&str],
    ) -> BTreeMap<String, Connector> {
        let mut connectors = BTreeMap::new();
        for (name, (span, value)) in self.section(sections, kind) {
            let what = format!("[{kind}.{name}]");
            self.name_is_usable(span.start, &name);
            let mut settings = self.table(&format!("{kind}.{name}"), value);
            let uri = self.text_of(&mut settings, "uri");
            let mut options = match kind {
                "targets" => {
                    let names = reference::names::<ConnectorOptions>();
                    let (known, unknown) = parted(settings, |name| names.contains(name));
                    self.no_more(&unknown, &what, &listed(&["uri"], &names));
                    self.fields(&known)
                }
                _ => {
                    self.no_more(&settings, &what, &["uri"]);
                    ConnectorOptions::default()
                }
            };
            options.ca_file = options.ca_file.map(|path| self.absolute(&path));
            let Some((at, uri)) = uri else {
                self.wrong(span.start, &format!("{what} has no uri"));
                continue;
            };
            self.scheme_is_one_of(at, &uri, schemes);
            let uri = self.absolute_reference(&uri);
            connectors.insert(name, Connector { uri, options });
        }
        connectors
    }

    fn pipelines(
        &mut self,
        sections: &mut Sections<'t>,
        sources: &BTreeMap<String, Connector>,
        targets: &BTreeMap<String, Connector>,
    ) -> BTreeMap<String, Pipeline> {
        let mut pipelines = BTreeMap::new();
        for (name, (span, value)) in self.section(sections, "pipelines") {
            let what = format!("[pipelines.{name}]");
            self.name_is_usable(span.start, &name);
            let mut settings = self.table(&format!("pipelines.{name}"), value);
            let mut end = |role: &str, connectors: &BTreeMap<String, Connector>| {
                let Some((at, end)) = self.text_of(&mut settings, role) else {
                    let there = connectors.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let hint = if there.is_empty() { String::new() } else { format!(": one of {there}") };
                    self.wrong(span.start, &format!("{what} has no {role}{hint}"));
                    return String::new();
                };
                if !connectors.contains_key(&end) {
                    let hint = suggest::hint(&end, connectors.keys().map(String::as_str));
                    self.wrong(at, &format!("there is no {role} {end:?}{hint}"));
                }
                end
            };
            let source = end("source", sources);
            let target = end("target", targets);
            self.paths_are_quoted(&mut settings);
            self.section_of_table(&mut settings, &what);
            let at = Places { pipeline: span.start, ..Places::of(&settings) };
            let says_collection =
                ["collection", "collections"].iter().any(|name| settings.contains_key(*name));
            let mistakes = self.mistakes();
            let settings = self.settings(settings, &what);
            // Settings that cannot be read are told already, and say nothing of the others.
            let is_read = self.mistakes() == mistakes
                || !settings.collection.is_empty()
                || !settings.collections.is_empty();
            if is_read || !says_collection {
                self.collections_are_clear(&settings, &what, &at);
            }
            self.settings_are_clear(&settings, &what, &at);
            pipelines.insert(name, Pipeline { source, target, settings });
        }
        pipelines
    }

    /// The settings of a pipeline. Each half by itself: as one, serde would forget where the options of the table stand.
    fn settings(&mut self, settings: Sections<'t>, what: &str) -> PipelineSettings {
        let (of_table, names) = (reference::names::<TableOptions>(), setting_names());
        let of_shape = reference::names::<TableShape>();
        let (shape, rest) = parted(settings, |name| of_shape.contains(name));
        let (table, rest) = parted(rest, |name| {
            of_table.contains(name) || TableOptions::EARLIER_NAMES.contains(&name.as_str())
        });
        let (own, unknown) = parted(rest, |name| names.contains(name));
        self.no_more(&unknown, what, &listed(&["source", "target"], &names));
        let (mut options, shape): (TableOptions, _) = (self.fields(&table), self.fields(&shape));
        for (_, mask) in &mut options.mask {
            mask.map_reference(|reference| self.absolute_reference(reference));
        }
        PipelineSettings { options, shape, ..self.fields(&own) }
    }

    /// Takes the settings out of `[pipelines.NAME.table]`, in which `name` is the name of the table.
    fn section_of_table(&mut self, settings: &mut Sections<'t>, what: &str) {
        let is_section = |(_, value): &(Range<usize>, Spanned<DeValue<'_>>)| value.get_ref().is_table();
        if !settings.get(TABLE).is_some_and(is_section) {
            return;
        }
        let names = reference::names::<TableShape>();
        let (name, rest) = parted(self.section(settings, TABLE), |key| *key == NAME);
        let (known, unknown) = parted(rest, |key| names.contains(key));
        self.no_more(&unknown, &format!("{}.table]", what.trim_end_matches(']')), &listed(&[NAME], &names));
        settings.extend(name.into_values().map(|value| (TABLE.to_owned(), value)));
        for (key, value) in known {
            if settings.contains_key(&key) {
                self.wrong(
                    value.0.start,
                    &format!("{key} of {what} is written twice, here and in the section itself"),
                );
            }
            settings.insert(key, value);
        }
    }

    /// Settings as a value of their type; the first that is wrong is told with why.
    pub(super) fn fields<T: Default + for<'d> Deserialize<'d>>(&mut self, settings: &Sections<'t>) -> T {
        let mut table = DeTable::new();
        for (name, (span, value)) in settings {
            table.insert(Spanned::new(span.clone(), name.clone().into()), value.clone());
        }
        match T::deserialize(Deserializer::from(Spanned::new(0..self.text.len(), table))) {
            Ok(fields) => fields,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let setting = settings.iter().find(|(_, (_, value))| value.span().contains(&at));
                let setting = setting.map_or_else(String::new, |(name, _)| format!("{name}: "));
                self.wrong(at, &format!("{setting}{}", one_line(error.message())));
                T::default()
            }
        }
    }

    /// Takes a text out of a table, with where it stands.
    pub(super) fn text_of(&mut self, table: &mut Sections<'t>, name: &str) -> Option<(usize, String)> {
        let (span, value) = table.remove(name)?;
        match String::deserialize(ValueDeserializer::from(value)) {
            Ok(text) => Some((span.start, text)),
            Err(_) => {
                self.wrong(span.start, &format!("{name} is text: write it in quotation marks"));
                None
            }
        }
    }

    /// What is left in a table is unknown.
    pub(super) fn no_more(&mut self, table: &Sections<'t>, what: &str, known: &[&str]) {
        for (name, (span, _)) in table {
            self.wrong(
                span.start,
                &format!("unknown setting {name} of {what}{}", suggest::hint(name, known.iter().copied())),
            );
        }
    }

    /// Without quotation marks a path would be tables in tables.
    fn paths_are_quoted(&mut self, settings: &mut Sections<'t>) {
        for (setting, example) in [
            ("mixed_fields", "\"items.price\" = \"text\""),
            ("on_type_conflict_fields", "\"items.price\" = \"widen\""),
            ("mask", "\"customer.card\" = \"redact\""),
            ("rename", "\"customer.city\" = \"city\""),
            ("columns", "[pipelines.NAME.columns.\"customer.age\"]"),
        ] {
            let Some((_, fields)) = settings.get(setting) else { continue };
            let DeValue::Table(fields) = fields.get_ref() else { continue };
            // What is said of a field is a table that says by what, at most.
            let is_path = |value: &DeValue<'_>| {
                let DeValue::Table(said) = value else { return false };
                match setting {
                    "mask" => !said.contains_key("with"),
                    "columns" => said.iter().any(|(_, value)| matches!(value.get_ref(), DeValue::Table(_))),
                    _ => true,
                }
            };
            let tables = fields.iter().filter(|(_, value)| is_path(value.get_ref()));
            let wrong: Vec<_> =
                tables.map(|(key, _)| (key.span().start, key.get_ref().to_string())).collect();
            for (at, key) in &wrong {
                self.wrong(
                    *at,
                    &format!(
                        "{setting}: write the path that begins with {key} in quotation marks, as in {example}"
                    ),
                );
            }
            if !wrong.is_empty() {
                settings.remove(setting);
            }
        }
    }

    pub(super) fn name_is_usable(&mut self, at: usize, name: &str) {
        if name.is_empty()
            || name.chars().any(|character| character.is_control() || character.is_whitespace())
        {
            self.wrong(at, &format!("{name:?} is no name: use letters, digits, - and _"));
        }
    }

    /// Only what can be told without the secrets.
    fn scheme_is_one_of(&mut self, at: usize, uri: &str, schemes: &[&str]) {
        if address::dump(&self.absolute_reference(uri)).is_some() {
            let advice = "pipelines need the address of a database, and zenith copy --from loads a dump";
            self.wrong(at, &format!("the uri {uri} is a dump: {advice}"));
            return;
        }
        if uri.starts_with("${") || uri.starts_with("file:") {
            return;
        }
        let scheme = uri.split_once("://").map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| scheme.contains("${") || schemes.contains(&scheme)) {
            let wanted: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
            self.wrong(at, &format!("the uri begins with none of {}", wanted.join(", ")));
        }
    }

    /// Two things of one name would take each other's place.
    fn names_are_used_once(&mut self, config: &Config) {
        let pipelines = config.pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
        for collision in
            names::collisions(pipelines, |target| config.targets.get(target).map(names::database_of))
        {
            self.mistakes.push(format!("{}: {}", self.path.display(), collision.sentence));
        }
    }

    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        let folder = self.path.parent().unwrap_or_else(|| Path::new(""));
        std::path::absolute(folder.join(path)).unwrap_or_else(|_| path.to_owned())
    }

    /// References to files by their whole paths: what is applied here is run elsewhere.
    pub(super) fn absolute_reference(&self, uri: &str) -> String {
        if let Some(path) = uri.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return format!("file:{}", self.absolute(Path::new(path)).display());
        }
        let mut rest = uri;
        let mut made = String::new();
        while let Some((before, after)) = rest.split_once("${file:") {
            let Some((path, after)) = after.split_once('}') else { break };
            made.push_str(&format!("{before}${{file:{}}}", self.absolute(Path::new(path)).display()));
            rest = after;
        }
        made + rest
    }
}

/// A table by the text of its keys.
fn keyed(table: DeTable<'_>) -> Sections<'_> {
    table.into_iter().map(|(key, value)| (key.get_ref().to_string(), (key.span(), value))).collect()
}

/// Those that are meant, and the others.
pub(super) fn parted<'t>(
    settings: Sections<'t>,
    meant: impl Fn(&String) -> bool,
) -> (Sections<'t>, Sections<'t>) {
    settings.into_iter().partition(|(name, _)| meant(name))
}

/// The names there are.
pub(super) fn listed<'n>(first: &[&'n str], names: &'n [String]) -> Vec<&'n str> {
    first.iter().copied().chain(names.iter().map(String::as_str)).collect()
}

/// All settings a pipeline can have.
pub fn setting_names() -> Vec<String> {
    reference::names::<PipelineSettings>()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}
