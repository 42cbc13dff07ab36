//! Where the settings of what is applied come from: from the configuration file, as it is now, or from somewhere else.
//!
//! The state keeps values and not who wrote them, so that both are compared when somebody looks.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zenith_engine::PipelineSettings;
use zenith_engine::state::PipelineRecord;

use super::{Config, applied};

/// Settings that each pipeline of a template has for itself.
const OF_MEMBER: [&str; 4] = ["collection", "collections", "member_of", "table"];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration file says so.
    File,
    /// The file does not say so: it was changed by the API or the page, or the file was since.
    Api,
    /// Nobody has said anything.
    Default,
}

/// Where a pipeline comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration file has it, as it is applied.
    File,
    /// The configuration file has it with other settings.
    Changed,
    /// The configuration file does not have it.
    Api,
}

/// A setting with its value.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SettingJson {
    /// Its name, as `zenith.toml` has it.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    /// What the configuration file has in its place, where that is something else.
    pub in_file: Option<Value>,
}

/// The settings of a pipeline with their origins, by name; `file` is what the configuration file says.
pub fn settings(record: &PipelineRecord, file: &Config) -> (Source, Vec<SettingJson>) {
    let template = applied::member_of(record);
    let section = if template.is_empty() { &record.name } else { &template };
    let in_file = file.pipelines.get(section).or_else(|| file.templates.get(section));
    let in_file = in_file.map(|pipeline| values(&applied::pipeline_record(section, pipeline, false)));
    let default = serde_json::to_value(PipelineSettings::default()).unwrap_or_default();
    let setting = |(name, value): (String, Value)| {
        let written = in_file.as_ref().map(|settings| settings.get(&name).cloned().unwrap_or_default());
        let is_of_member = !template.is_empty() && OF_MEMBER.contains(&name.as_str());
        let is_said = written.as_ref() == Some(&value) || (is_of_member && written.is_some());
        let is_default = default.get(&name) == Some(&value);
        let origin = match (is_default, is_said, written.is_some()) {
            (true, true, _) | (true, _, false) => Origin::Default,
            (_, true, _) => Origin::File,
            _ => Origin::Api,
        };
        let in_file = written.filter(|_| origin == Origin::Api);
        SettingJson { name, value, origin, in_file }
    };
    let settings: Vec<SettingJson> = values(record).into_iter().map(setting).collect();
    let source = match in_file {
        None => Source::Api,
        Some(_) if settings.iter().any(|setting| setting.origin == Origin::Api) => Source::Changed,
        Some(_) => Source::File,
    };
    (source, settings)
}

/// All settings, those of the ends among them.
fn values(record: &PipelineRecord) -> Map<String, Value> {
    let mut settings = applied::settings(record).unwrap_or_default();
    settings.insert("source".to_owned(), record.source.clone().into());
    settings.insert("target".to_owned(), record.target.clone().into());
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::file;

    const FILE: &str = r#"
        [sources.shop]
        uri = "mongodb://h/shop"
        [targets.warehouse]
        uri = "http://h/shop"
        [pipelines.orders]
        source = "shop"
        target = "warehouse"
        collection = "orders"
        flush_rows = 10
        [pipelines.logs]
        source = "shop"
        target = "warehouse"
        collections = ["log_*"]
        flush_rows = 20
    "#;

    fn config(text: &str) -> Config {
        file::parse(text, Path::new("/etc/zenith.toml")).unwrap()
    }

    fn of<'s>(settings: &'s [SettingJson], name: &str) -> &'s SettingJson {
        settings.iter().find(|setting| setting.name == name).unwrap()
    }

    #[test]
    fn a_setting_is_of_the_file_as_long_as_that_says_so() {
        let file = config(FILE);
        let applied = applied::records(&file, &BTreeMap::new());
        let record = applied.pipeline("orders").unwrap();
        let (source, settings_now) = settings(record, &file);
        assert_eq!(source, Source::File);
        assert_eq!(of(&settings_now, "flush_rows").origin, Origin::File);
        assert_eq!(of(&settings_now, "source").origin, Origin::File);
        assert_eq!(of(&settings_now, "flush_interval").origin, Origin::Default);

        let (source, changed) =
            settings(record, &config(&FILE.replace("flush_rows = 10", "flush_rows = 11")));
        assert_eq!(source, Source::Changed);
        let flush_rows = of(&changed, "flush_rows");
        assert_eq!((flush_rows.origin, flush_rows.in_file.clone()), (Origin::Api, Some(11.into())));

        let (source, nowhere) = settings(record, &Config::default());
        assert_eq!(source, Source::Api);
        assert_eq!(of(&nowhere, "flush_rows").origin, Origin::Api);
        assert_eq!(of(&nowhere, "flush_interval").origin, Origin::Default);
    }

    #[test]
    fn pipelines_of_a_template_are_of_the_file_with_it() {
        let file = config(FILE);
        let mut member = file.templates["logs"].clone();
        member.settings.collections.clear();
        member.settings.collection = "shop.log_1".to_owned();
        member.settings.member_of = "logs".to_owned();
        let record = applied::pipeline_record("logs.log_1", &member, false);
        let (source, settings) = settings(&record, &file);
        assert_eq!(source, Source::File);
        assert_eq!(of(&settings, "collection").origin, Origin::File);
        assert_eq!(of(&settings, "flush_rows").origin, Origin::File);
    }
}
