//! `[alerts]`: what somebody is to be told of, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::file::{Reader, Sections, listed, parted};
use super::reference;
use crate::failure::{Code, code};

/// What is to be told, and to whom. It is read from the file each time, and not applied: nothing of it is in the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// When something is an alert.
    pub limits: Limits,
    /// Who is told, by name.
    pub webhooks: BTreeMap<String, Webhook>,
}

/// When something is an alert.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A table that is further behind its collection, or waits for longer, is an alert.
    #[serde(with = "humantime_serde")]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5m")]
    pub lag: Duration,
    /// So is a pipeline whose changes MongoDB forgets within this time.
    #[serde(with = "humantime_serde")]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "6h")]
    pub oplog_headroom: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lag: Duration::from_secs(300), oplog_headroom: Duration::from_secs(6 * 3600) }
    }
}

/// Somebody who is told.
#[derive(Args, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// The address that is sent to, as a reference to a secret: `${NAME}`, `${file:PATH}` or `file:PATH`; by default required
    #[arg(long, default_value_t)]
    pub url: String,
    /// What is sent there.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Which alerts are sent; by default all
    #[arg(long, value_enum)]
    pub only: Vec<AlertKind>,
    /// With https: the certificate authorities to trust, a PEM file; by default those that are publicly known
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Webhook {
    /// Whoever knows the address can write there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Webhook").field("format", &self.format).finish_non_exhaustive()
    }
}

/// What a webhook understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An object with all that is known.
    #[default]
    Json,
    /// An object with one text, for Slack and what takes the same, such as Mattermost.
    Slack,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A pipeline has failed.
    Failed,
    /// A table is too far behind its collection.
    Lagging,
    /// MongoDB is about to forget changes that a pipeline needs.
    OplogHeadroom,
    /// Values went to the extra column in the last hour.
    ExtraValues,
    /// Documents became dead letters in the last hour.
    DeadLetters,
}

impl AlertKind {
    /// All of them, the worst first.
    pub const ALL: [AlertKind; 5] = [
        AlertKind::Failed,
        AlertKind::OplogHeadroom,
        AlertKind::Lagging,
        AlertKind::DeadLetters,
        AlertKind::ExtraValues,
    ];

    /// Its name in the configuration and in what is sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Failed => "failed",
            AlertKind::Lagging => "lagging",
            AlertKind::OplogHeadroom => "oplog-headroom",
            AlertKind::ExtraValues => "extra-values",
            AlertKind::DeadLetters => "dead-letters",
        }
    }

    /// Its code, which does not change between versions.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            AlertKind::Failed => code::ALERT_FAILED,
            AlertKind::Lagging => code::ALERT_LAGGING,
            AlertKind::OplogHeadroom => code::ALERT_OPLOG,
            AlertKind::ExtraValues => code::ALERT_EXTRA,
            AlertKind::DeadLetters => code::ALERT_LETTERS,
        }
    }
}

impl<'t> Reader<'t> {
    pub(super) fn alerts(&mut self, sections: &mut Sections<'t>) -> Alerts {
        let mut settings = self.section(sections, "alerts");
        let mut webhooks = BTreeMap::new();
        for (name, (span, value)) in self.section(&mut settings, "webhooks") {
            self.name_is_usable(span.start, &name);
            let at = span.start;
            let settings = self.table(&format!("alerts.webhooks.{name}"), value);
            let webhook = self.webhook(at, &format!("[alerts.webhooks.{name}]"), settings);
            webhooks.insert(name, webhook);
        }
        let names = reference::names::<Limits>();
        let (known, unknown) = parted(settings, |name| names.contains(name));
        self.no_more(&unknown, "[alerts]", &listed(&["webhooks"], &names));
        Alerts { limits: self.fields(&known), webhooks }
    }

    fn webhook(&mut self, at: usize, what: &str, settings: Sections<'t>) -> Webhook {
        let names = reference::names::<Webhook>();
        let (known, unknown) = parted(settings, |name| names.contains(name));
        self.no_more(&unknown, what, &listed(&[], &names));
        let mistakes = self.mistakes();
        let mut webhook: Webhook = self.fields(&known);
        if self.mistakes() > mistakes {
            return webhook;
        }
        let place = known.get("url").map_or(at, |(span, _)| span.start);
        if webhook.url.is_empty() {
            self.wrong(place, &format!("{what} has no url"));
        } else if !webhook.url.contains("${") && !webhook.url.starts_with("file:") {
            // It is not repeated here: whoever reads the message could write there.
            self.wrong(
                place,
                &format!(
                    "url of {what} is a secret and does not belong in the file: refer to it as \"${{NAME}}\" for an \
                     environment variable, or as \"file:PATH\""
                ),
            );
        }
        webhook.url = self.absolute_reference(&webhook.url);
        webhook.ca_file = webhook.ca_file.map(|path| self.absolute(&path));
        webhook
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{AlertKind, Format};
    use crate::config::file;

    fn parsed(text: &str) -> Result<super::Alerts, Vec<String>> {
        let parsed = file::parse(text, Path::new("/etc/zenith.toml"));
        parsed.map(|config| config.process.alerts).map_err(|mistakes| mistakes.0)
    }

    #[test]
    fn webhooks_and_limits_are_read() {
        assert_eq!(parsed("").unwrap(), super::Alerts::default());
        let alerts = parsed(
            "[alerts]\nlag = \"90s\"\n[alerts.webhooks.team]\nurl = \"${TEAM}\"\nformat = \"slack\"\n\
             only = [\"failed\", \"dead-letters\"]\n[alerts.webhooks.pager]\nurl = \"file:pager\"\nca_file = \"ca.pem\"\n",
        )
        .unwrap();
        assert_eq!(
            (alerts.limits.lag, alerts.limits.oplog_headroom.as_secs()),
            (Duration::from_secs(90), 21_600)
        );
        let team = &alerts.webhooks["team"];
        assert_eq!(
            (team.format, team.only.as_slice()),
            (Format::Slack, &[AlertKind::Failed, AlertKind::DeadLetters][..])
        );
        let pager = &alerts.webhooks["pager"];
        assert_eq!((pager.url.as_str(), pager.format), ("file:/etc/pager", Format::Json));
        assert_eq!(pager.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert!(!format!("{alerts:?}").contains("TEAM"));
    }

    #[test]
    fn what_a_server_takes_from_its_own_file_alone_is_named() {
        let uncounted = |text: &str| file::parse(text, Path::new("z.toml")).unwrap().process.uncounted();
        assert_eq!(uncounted("[sources.s]\nuri = \"mongodb://h/d\"\n"), None);
        let said = uncounted("[memory]\nbuffer = \"64MiB\"\n[alerts]\nlag = \"9m\"\n").unwrap();
        assert!(said.starts_with("[memory] and [alerts] of what was sent is not applied"), "{said}");
    }

    #[test]
    fn mistakes_have_a_line_and_no_secret() {
        let mistakes = parsed(
            "[alerts]\nlagg = \"1m\"\n[alerts.webhooks.a]\nurl = \"https://hooks.example/SECRET\"\n\
             [alerts.webhooks.b]\n[alerts.webhooks.c]\nurl = \"${C}\"\nformat = \"teams\"\n",
        )
        .unwrap_err();
        let expected = [
            "line 2: unknown setting lagg of [alerts]; did you mean lag?",
            "line 4: url of [alerts.webhooks.a] is a secret",
            "line 5: [alerts.webhooks.b] has no url",
            "line 8: format: unknown variant `teams`, expected `json` or `slack`",
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
        for part in expected {
            assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part}: {mistakes:?}");
        }
        assert!(!mistakes.concat().contains("SECRET"));
    }
}
