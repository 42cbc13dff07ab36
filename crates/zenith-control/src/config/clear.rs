//! Whether the settings of a pipeline are clear and go together.

use zenith_engine::{PipelineSettings, Refusal};

use super::file::{Places, Reader};
use crate::collections::{patterns, tables};
use crate::schedule;

impl Reader<'_> {
    /// One collection or several, and names for the tables of several.
    pub(super) fn collections_are_clear(&mut self, settings: &PipelineSettings, what: &str, at: &Places) {
        match (settings.collection.is_empty(), settings.collections.is_empty(), at.collections) {
            (true, true, None) => self.wrong(at.pipeline, &format!("{what} has no collection")),
            (true, true, Some(at)) => {
                self.wrong(
                    at,
                    &format!("collections of {what} is empty: write patterns such as \"orders*\""),
                );
            }
            (false, false, _) => {
                let reason = "has a collection and collections: leave one of the two out";
                self.wrong(at.pipeline, &format!("{what} {reason}"));
            }
            _ => {}
        }
        if settings.collections.is_empty() {
            return;
        }
        if let Err(sentence) = patterns::check(&settings.collections) {
            self.wrong(at.collections.unwrap_or(at.pipeline), &format!("collections of {what}: {sentence}"));
        }
        for (setting, template, at) in
            [("table", &settings.table, at.table), ("view", &settings.view, at.view)]
        {
            let at = at.unwrap_or_default();
            if let Err(reason) = tables::check(template)
                && !template.is_empty()
            {
                self.wrong(at, &format!("{setting} of {what} {reason}"));
            }
        }
    }

    /// Values that can be used, and settings that do not contradict each other.
    pub(super) fn settings_are_clear(&mut self, settings: &PipelineSettings, what: &str, at: &Places) {
        let place = |setting: &str| at.all.get(setting).copied().unwrap_or(at.pipeline);
        for (setting, number, reason) in settings.unusable_numbers() {
            self.wrong(at.pipeline, &format!("{setting} of {what} is {number}, and {reason}"));
        }
        if let Some((setting, path, reason)) = settings.options.unusable_path() {
            self.wrong(place(setting), &format!("{setting} of {what}: {path:?} {reason}"));
        }
        if let Some(reason) = settings.unusable_filter() {
            self.wrong(place("filter"), &format!("filter of {what}: {reason}"));
        }
        if let Some(Refusal { setting, value, reason }) = settings.contradiction() {
            self.wrong(place(setting), &format!("{setting} of {what} cannot be {value:?}: {reason}"));
        }
        if let Some((setting, reason)) = schedule::fault(settings) {
            self.wrong(place(setting), &format!("{setting} of {what}: {reason}"));
        }
        if !settings.view.is_empty() && settings.view_of("").is_none() {
            let mode = settings.mode.name();
            let reason = format!(
                "view of {what}: the mode {mode} has no view, only changes has, and a change log with snapshot = true"
            );
            self.wrong(at.pipeline, &reason);
        }
        if settings.options.dead_letters.is_empty() {
            self.wrong(at.pipeline, &format!("dead_letters of {what} is empty, and a name is needed"));
        }
    }
}
