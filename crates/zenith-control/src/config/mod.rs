//! What is to be run: connectors and pipelines, as `zenith.toml` declares them and as the state keeps them.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`mod@file`] | `zenith.toml` → [`Config`], every mistake with its line |
//! | [`alerts`] | what somebody is to be told of, and where |
//! | [`applied`] | records of the state ↔ [`Config`] |
//! | [`difference`] | what applying one over the other changes |
//! | [`export`] | [`Config`] → the text of `zenith.toml` |
//! | [`expand`] | addresses with references → addresses with secrets |
//! | [`origin`] | what of it the file says, and what was changed elsewhere |
//! | [`names`] | names in ClickHouse that would be of two things |
//! | [`reference`](mod@reference) | what can be set, as data |
//! | [`template`] | the file that `zenith init` writes |

pub mod alerts;
pub mod applied;
mod clear;
pub mod difference;
pub mod expand;
pub mod export;
pub mod file;
pub mod names;
pub mod origin;
mod process_section;
pub mod reference;
pub mod table_section;
pub mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use zenith_engine::suggest;

use bytesize::ByteSize;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::{Deserialize, Serialize};
use zenith_engine::transport::SendMode;
use zenith_engine::{ConnectionOptions, PipelineSettings, TlsOptions};

/// The file that is looked for where none is named.
pub const FILE: &str = "zenith.toml";

/// The least memory there is any work with; the engine checks it too, but counts in bytes.
pub const MEMORY_MIN: ByteSize = ByteSize::mib(8);

/// Everything a configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What concerns the process.
    pub process: Process,
    /// Databases that are read, by name.
    pub sources: BTreeMap<String, Connector>,
    /// Databases that are written, by name.
    pub targets: BTreeMap<String, Connector>,
    /// Pipelines of one collection each, by name.
    pub pipelines: BTreeMap<String, Pipeline>,
    /// Pipelines of several collections: each of these has a pipeline of its own.
    pub templates: BTreeMap<String, Pipeline>,
}

impl Config {
    /// With the parts of another one over its own; a name has one meaning, so a pipeline takes the place of a template.
    #[must_use]
    pub fn with(mut self, other: Config) -> Config {
        self.pipelines.retain(|name, _| !other.templates.contains_key(name));
        self.templates.retain(|name, _| !other.pipelines.contains_key(name));
        self.process = other.process;
        self.sources.extend(other.sources);
        self.targets.extend(other.targets);
        self.pipelines.extend(other.pipelines);
        self.templates.extend(other.templates);
        self
    }

    /// Without the pipelines of collections that templates bring.
    #[must_use]
    pub fn written(mut self) -> Config {
        self.pipelines.retain(|_, pipeline| pipeline.settings.member_of.is_empty());
        self
    }
}

/// What concerns the process and not the data: it is read from the file each time, and not applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Where the state is: a path, or an address with references to secrets.
    pub state: Option<String>,
    /// Memory for data on its way.
    pub memory: Option<ByteSize>,
    /// What somebody is to be told of, and where.
    pub alerts: alerts::Alerts,
}

impl Process {
    /// That what it says does not count where its text was sent to a server, whose own file does; `None` if it says nothing.
    #[must_use]
    pub fn uncounted(&self) -> Option<String> {
        let all = [
            ("[memory]", self.memory.is_some()),
            ("[state]", self.state.is_some()),
            ("[alerts]", self.alerts != alerts::Alerts::default()),
        ];
        let named: Vec<&str> = all.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
        (!named.is_empty()).then(|| {
            format!(
                "{} of what was sent is not applied: the server reads it from its own zenith.toml, where it is to be written",
                named.join(" and ")
            )
        })
    }
}

/// A database that is read or written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connector {
    /// Its address as it was written, with references to secrets.
    pub uri: String,
    /// What the address does not say.
    pub options: ConnectorOptions,
}

/// What an address of a target does not say: `zenith copy` has the same as arguments.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectorOptions {
    /// With TLS: the certificate authorities to trust, a PEM file; by default those that are publicly known.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// With TLS: accept any certificate, so that it is encrypted, but by whomever.
    #[arg(long, help_heading = "Connection")]
    #[serde(skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// How inserts leave this machine; by default `auto`, or as the address says, which counts more.
    #[arg(
        long,
        value_name = "HOW",
        value_parser = PossibleValuesParser::new(SendMode::NAMES).try_map(|mode| mode.parse::<SendMode>()),
        help_heading = "Connection"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<SendMode>,
}

impl ConnectorOptions {
    /// As connections have it.
    pub fn connection(&self) -> ConnectionOptions {
        ConnectionOptions {
            tls: TlsOptions { ca_file: self.ca_file.clone(), insecure: self.insecure },
            send: self.send.unwrap_or_default(),
            ..ConnectionOptions::default()
        }
    }
}

// The signature is the one serde asks for.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// A collection and the table it is kept in step with.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The connector it reads.
    pub source: String,
    /// The connector it writes.
    pub target: String,
    /// Everything else about it.
    pub settings: PipelineSettings,
}

impl Pipeline {
    /// Whether it is of several collections, and stands for the pipelines of them.
    pub fn is_template(&self) -> bool {
        !self.settings.collections.is_empty()
    }

    /// The table it writes.
    pub fn table(&self) -> &str {
        let collection = &self.settings.collection;
        match self.settings.table.as_str() {
            "" => collection.split_once('.').map_or(collection, |(_, name)| name),
            table => table,
        }
    }
}
