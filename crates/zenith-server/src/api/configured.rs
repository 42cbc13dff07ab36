//! How what is applied was configured.

use serde::Serialize;
use utoipa::ToSchema;
use zenith_control::config::applied;
use zenith_control::config::origin::{self, SettingJson, Source};
use zenith_control::config::{Config, file};
use zenith_control::operations::pipelines as operations;
use zenith_engine::state::PipelineRecord;

use crate::server::Server;

/// How a pipeline is configured.
#[derive(Debug, Serialize, ToSchema)]
pub struct Configured {
    /// All its settings, as `zenith pipeline show --json` has them.
    settings: serde_json::Map<String, serde_json::Value>,
    /// Its section of a `zenith.toml`, without what is as it would be anyway.
    toml: String,
    /// Whether the server's configuration file has it so.
    origin: Source,
    /// Its settings with their origins, those of its ends among them.
    origins: Vec<SettingJson>,
}

impl Configured {
    /// Of what is applied, beside the configuration file as it is now.
    #[must_use]
    pub fn of(record: &PipelineRecord, server: &Server) -> Configured {
        let places = &server.served.places;
        let file = if places.has_file() { file::read(&places.file).ok() } else { None };
        let (origin, origins) = origin::settings(record, &file.unwrap_or_else(Config::default));
        Configured {
            settings: applied::settings(record).unwrap_or_default(),
            toml: operations::toml(record).unwrap_or_default(),
            origin,
            origins,
        }
    }
}
