//! Pipelines of several collections. What is applied is a template; each collection that its patterns mean has a pipeline
//! of its own, a member, which is kept in the state as any other and says which template it is of.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use zenith_engine::{Mode, MongoSource, Namespace, PipelineSettings};

use crate::collections::listing::{Catalogue as _, Meant};
use crate::collections::patterns::{Patterns, Plain};
use crate::collections::tables;
use crate::config::applied::{self, Applied};
use crate::config::{Config, Pipeline};
use crate::connect;
use crate::failure::{Failure, code};
use crate::state::Places;

/// How long a source may take to say which collections there are.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// What the patterns of a template mean.
pub fn patterns(template: &Pipeline, source: &MongoSource) -> Result<Patterns, Failure> {
    Patterns::of(&template.settings.collections, source.default_database(), Plain::Qualified)
        .map_err(|message| Failure::known(code::PATTERNS, message))
}

/// Asks the source of a template which collections there are.
pub async fn meant(template: &Pipeline, source: &MongoSource) -> Result<Meant, Failure> {
    let patterns = patterns(template, source)?;
    let listed = tokio::time::timeout(LIST_TIMEOUT, source.list(&patterns)).await;
    let found = listed.map_err(|_| {
        let seconds = LIST_TIMEOUT.as_secs();
        Failure::Failed(format!(
            "the source {} does not say within {seconds} s which collections it has",
            template.source
        ))
    })??;
    let reads_whole = template.settings.mode == Mode::Full;
    Ok(Meant::of(
        found,
        &patterns,
        (!reads_whole).then_some("it is a time series, which tells of no changes"),
    ))
}

/// The pipeline of one collection of a template, and what it is called; the members of a template without a name are
/// called as their collections.
pub fn member(name: &str, template: &Pipeline, own: Option<&str>, of: &Namespace) -> (String, Pipeline) {
    let short = match own {
        Some(own) if own == of.database => of.collection.clone(),
        _ => of.to_string(),
    };
    let settings = &template.settings;
    let (called, table) = match name {
        "" => (short, String::new()),
        name => {
            let table = if settings.table.is_empty() { tables::DEFAULT } else { &settings.table };
            (format!("{name}.{short}"), tables::name(table, of))
        }
    };
    let settings = PipelineSettings {
        collection: of.to_string(),
        collections: Vec::new(),
        member_of: name.to_owned(),
        table,
        view: tables::name(&settings.view, of),
        ..settings.clone()
    };
    (called, Pipeline { settings, ..template.clone() })
}

/// What became of expanding a configuration.
#[derive(Debug, Default)]
pub struct Expanded {
    /// Templates with what is wrong with them.
    pub wrong: Vec<(String, String)>,
    /// Templates of which it could not be found out what they mean, and why.
    pub unasked: Vec<(String, String)>,
}

/// Adds the members of all templates to the pipelines: those that were applied and are still meant, and those of the
/// collections that are there.
///
/// # Errors
/// When the address of a source cannot be used: the database in it is needed to understand patterns.
pub async fn expand(config: &mut Config, now: &Applied) -> Result<Expanded, Failure> {
    let mut known: BTreeMap<String, Vec<Namespace>> = BTreeMap::new();
    for pipeline in now.pipelines.iter().filter_map(|record| applied::pipeline(record).ok()) {
        if let Ok(namespace) = pipeline.settings.collection.parse() {
            known.entry(pipeline.settings.member_of).or_default().push(namespace);
        }
    }
    let of_templates = config.templates.iter().map(async |(name, template)| {
        let Some(connector) = config.sources.get(&template.source) else { return Ok((name, None)) };
        let source = connect::source(&template.source, connector).await?;
        let looked = meant(template, &source).await;
        Ok::<_, Failure>((name, Some((template, source, looked))))
    });
    let looked: Vec<_> = join_all(of_templates).await.into_iter().collect::<Result<_, _>>()?;
    let mut expanded = Expanded::default();
    let mut members: BTreeMap<String, Pipeline> = BTreeMap::new();
    for (name, looked) in looked {
        let Some((template, source, looked)) = looked else { continue };
        let patterns = match patterns(template, &source) {
            Ok(patterns) => patterns,
            Err(failure) => {
                expanded.wrong.push((name.clone(), failure.message().to_owned()));
                continue;
            }
        };
        let mut collections: Vec<Namespace> = known.remove(name).unwrap_or_default();
        collections.retain(|namespace| patterns.has(namespace));
        match looked {
            Ok(Meant { idle: Some(sentence), .. }) if collections.is_empty() => {
                expanded.wrong.push((name.clone(), sentence));
            }
            Ok(meant) => collections.extend(meant.collections),
            Err(failure) => expanded.unasked.push((name.clone(), failure.message().to_owned())),
        }
        collections.sort_unstable();
        collections.dedup();
        for namespace in &collections {
            let (called, pipeline) = member(name, template, source.default_database(), namespace);
            // One that is written out is no member.
            if config.pipelines.contains_key(&called) {
                continue;
            }
            if let Some(other) = members.insert(called.clone(), pipeline) {
                let other = other.settings.collection;
                let sentence =
                    format!("the collections {other} and {namespace} would both have the pipeline {called}");
                expanded.wrong.push((name.clone(), sentence));
            }
        }
    }
    config.pipelines.extend(members);
    Ok(expanded)
}

/// Expands what is to be checked, and says what is wrong with each template.
pub async fn troubles(config: &mut Config, places: &Places) -> BTreeMap<String, String> {
    let now = match places.look().await {
        Ok(store) => Applied::read(&store).await.unwrap_or_default(),
        Err(_) => Applied::default(),
    };
    let mut troubles = BTreeMap::new();
    match expand(config, &now).await {
        Ok(expanded) => {
            troubles.extend(expanded.wrong);
            for (name, sentence) in expanded.unasked {
                troubles.entry(name).or_insert(sentence);
            }
        }
        Err(failure) => {
            let templates = config.templates.keys();
            troubles.extend(templates.map(|name| (name.clone(), failure.message().to_owned())));
        }
    }
    troubles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_called_by_their_collections_and_have_tables_of_their_own() {
        let settings = PipelineSettings {
            collections: vec!["*".to_owned()],
            table: "raw_{collection}".to_owned(),
            flush_rows: 7,
            ..PipelineSettings::default()
        };
        let template = Pipeline { source: "s".to_owned(), target: "t".to_owned(), settings };
        let (name, orders) = member("shop", &template, Some("d"), &Namespace::new("d", "orders.old"));
        assert_eq!((name.as_str(), orders.table()), ("shop.orders.old", "raw_orders.old"));
        assert_eq!((orders.settings.member_of.as_str(), orders.settings.flush_rows), ("shop", 7));
        assert!(!orders.is_template() && orders.settings.collection == "d.orders.old");
        let (name, _) = member("shop", &template, Some("d"), &Namespace::new("crm", "users"));
        assert_eq!(name, "shop.crm.users");
        let (name, users) = member("", &template, Some("d"), &Namespace::new("d", "users"));
        assert_eq!((name.as_str(), users.table(), users.settings.member_of.as_str()), ("users", "users", ""));
    }
}
