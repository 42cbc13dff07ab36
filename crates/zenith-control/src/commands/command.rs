//! What can be asked.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::allowed::Allowed;
use crate::requests::Asked;

/// A command and how its output is wished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// The command.
    pub command: Command,
    /// How it is shown.
    #[serde(default)]
    pub view: View,
}

/// How output is wished.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// One line of JSON in place of text.
    pub json: bool,
    /// Colours.
    pub colours: bool,
    /// More of it.
    pub verbose: bool,
}

/// A command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// How far each pipeline has come.
    Status(Status),
    /// The newest runs.
    History {
        /// Only those of this pipeline.
        name: Option<String>,
        /// So many at most.
        limit: u32,
    },
    /// Sources and targets.
    Connectors,
    /// Connects to one and says what is there.
    TestConnector {
        /// Its name.
        name: String,
    },
    /// All pipelines.
    Pipelines,
    /// The settings of one.
    Pipeline {
        /// Its name.
        name: String,
    },
    /// Lets a pipeline stand still, or go on.
    Pause {
        /// Its name.
        name: String,
        /// Whether it stands still from now on.
        paused: bool,
    },
    /// Removes a pipeline, or says what that means.
    Remove {
        /// Its name.
        name: String,
        /// Only what it means.
        dry_run: bool,
    },
    /// The columns of a table.
    Schema {
        /// The pipeline.
        name: String,
    },
    /// Columns for values that have none.
    Promotable {
        /// The pipeline.
        name: String,
        /// Only these fields.
        fields: Vec<String>,
    },
    /// The newest dead letters.
    Letters {
        /// Only those of this pipeline.
        name: Option<String>,
        /// So many at most.
        limit: u64,
    },
    /// One dead letter with its document.
    Letter {
        /// Its name.
        id: String,
    },
    /// Tries dead letters again.
    Retry(Retry),
    /// Removes dead letters, or counts them.
    Purge(Purge),
    /// Applies a configuration, or says what that means.
    Apply(Apply),
    /// What is applied, as a `zenith.toml`.
    Export,
    /// What reading a collection again means.
    ReloadPlan {
        /// The pipeline.
        name: String,
    },
    /// What moving a pipeline means.
    ResetPlan {
        /// The pipeline.
        name: String,
        /// The place.
        from: String,
    },
    /// Has the run do something that takes a while.
    Ask {
        /// The pipeline.
        name: String,
        /// What.
        asked: Asked,
    },
    /// How far that is.
    Look {
        /// The number of the request.
        id: i64,
        /// The pipeline.
        name: String,
        /// What was asked.
        asked: Asked,
        /// How long ago.
        since: Duration,
    },
    /// Cancels it.
    Cancel {
        /// The number of the request.
        id: i64,
        /// The pipeline.
        name: String,
    },
}

/// How a status is wished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Only this pipeline.
    pub name: Option<String>,
    /// One line, also about whether something runs at all.
    pub health: bool,
    /// Rates of the last seconds, as one status follows another.
    pub watched: bool,
    /// The most lag that is well.
    pub max_lag: Option<Duration>,
    /// How long a run that has just begun may lag.
    pub grace: Duration,
    /// What may not fit.
    pub allowed: Allowed,
}

/// Dead letters that are tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retry {
    /// Only those of this pipeline.
    pub name: Option<String>,
    /// Only these.
    pub ids: Vec<String>,
    /// Only what would be done.
    pub dry_run: bool,
}

/// Dead letters that are removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purge {
    /// Only those of this pipeline.
    pub name: Option<String>,
    /// Only these.
    pub ids: Vec<String>,
    /// Only older ones.
    pub before: Option<SystemTime>,
    /// Whether they are removed, and not only counted.
    pub yes: bool,
}

/// How far applying goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The difference is shown, and not even a state is made.
    Show,
    /// The difference is shown, to be applied next.
    Plan,
    /// It is applied, if this question is what is to be agreed to; if there is none, whatever is lost.
    Commit(Option<String>),
}

/// A configuration to be applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Apply {
    /// Its text.
    pub toml: String,
    /// What it is called in its mistakes.
    pub file: PathBuf,
    /// Whether what is applied and not in the text stays.
    pub keep: bool,
    /// How far.
    pub stage: Stage,
}

/// What somebody has to be allowed to ask a server for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// To look.
    Look,
    /// To change what can be changed back.
    Operate,
    /// To change what is run, and to remove.
    Administer,
}

impl Command {
    /// What it needs.
    pub fn need(&self) -> Need {
        match self {
            Command::Status(_)
            | Command::History { .. }
            | Command::Connectors
            | Command::Pipelines
            | Command::Pipeline { .. }
            | Command::Schema { .. }
            | Command::Promotable { .. }
            | Command::Letters { .. }
            | Command::Letter { .. }
            | Command::Export
            | Command::ReloadPlan { .. }
            | Command::ResetPlan { .. }
            | Command::Remove { dry_run: true, .. }
            | Command::Look { .. } => Need::Look,
            Command::Ask { asked: Asked::Reset { .. } | Asked::BeginAnew { .. }, .. } => Need::Administer,
            Command::Pause { .. } | Command::Retry(_) | Command::Ask { .. } | Command::Cancel { .. } => {
                Need::Operate
            }
            // An address may refer to secrets of the one who connects.
            Command::TestConnector { .. }
            | Command::Remove { .. }
            | Command::Purge(_)
            | Command::Apply(_) => Need::Administer,
        }
    }

    /// What is noted of it: what is done, and to which pipeline or connector; nothing of what only looks.
    pub fn noted(&self) -> Option<(&'static str, &str)> {
        match self {
            Command::TestConnector { name } => Some(("test connector", name)),
            Command::Pause { name, paused: true } => Some(("pause", name)),
            Command::Pause { name, paused: false } => Some(("resume", name)),
            Command::Remove { name, dry_run: false } => Some(("remove", name)),
            Command::Retry(Retry { name, dry_run: false, .. }) => {
                Some(("retry dead letters", name.as_deref().unwrap_or_default()))
            }
            Command::Purge(Purge { name, yes: true, .. }) => {
                Some(("purge dead letters", name.as_deref().unwrap_or_default()))
            }
            Command::Apply(Apply { stage: Stage::Commit(_), .. }) => Some(("apply", "")),
            Command::Apply(_) => Some(("plan", "")),
            Command::Ask { name, asked } => Some((asked.action(), name)),
            Command::Cancel { name, .. } => Some(("cancel", name)),
            _ => None,
        }
    }

    /// Whether it changes the configuration or settles letters: one at a time.
    pub fn is_alone(&self) -> bool {
        matches!(
            self,
            Command::Remove { dry_run: false, .. }
                | Command::Retry(_)
                | Command::Purge(_)
                | Command::Apply(Apply { stage: Stage::Commit(_), .. })
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_needs_most_and_is_noted() {
        let remove = |dry_run| Command::Remove { name: "orders".to_owned(), dry_run };
        assert_eq!((remove(true).need(), remove(true).noted()), (Need::Look, None));
        assert_eq!(
            (remove(false).need(), remove(false).noted()),
            (Need::Administer, Some(("remove", "orders")))
        );
        let ask = |asked| Command::Ask { name: "orders".to_owned(), asked };
        assert_eq!(ask(Asked::Reload).need(), Need::Operate);
        assert_eq!(ask(Asked::Reset { from: "now".to_owned() }).need(), Need::Administer);
        let sent = serde_json::to_string(&Call { command: remove(true), view: View::default() }).unwrap();
        assert!(sent.contains("\"remove\":{\"name\":\"orders\",\"dry_run\":true}"), "{sent}");
        assert!(serde_json::from_str::<Call>("{\"command\":\"connectors\"}").is_ok());
    }
}
