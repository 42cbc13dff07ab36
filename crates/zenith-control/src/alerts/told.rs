//! What was told to whom, and what is to be told next.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::config::alerts::{AlertKind, Webhook};
use crate::time::rfc3339;

/// Somebody was told that something is wrong, and not yet that it is right again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The webhook.
    pub webhook: String,
    /// The pipeline.
    pub pipeline: String,
    /// What is wrong.
    pub alert: AlertKind,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// All that was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book(pub Vec<Told>);

/// How one pipeline stands in all respects.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The pipeline of several collections that it belongs to.
    pub template: Option<String>,
    /// How it stands.
    pub standings: BTreeMap<AlertKind, Standing>,
}

/// How all pipelines stand that are watched, by name.
pub type AllSeen = BTreeMap<String, Seen>;

/// One pipeline in something that is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The pipeline.
    pub pipeline: String,
    /// What is wrong, or right again, in a sentence.
    pub sentence: String,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// Something that is to be told, of one pipeline, or of several that are of the same template.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// What it is about.
    pub alert: AlertKind,
    /// Whether it is right again.
    pub resolved: bool,
    /// The pipeline as `zenith.toml` names it.
    pub name: String,
    /// One for each collection, at least one.
    pub about: Vec<About>,
}

impl Book {
    /// Understands what [`Book::text`] wrote; what another version wrote is nothing.
    #[must_use]
    pub fn read(text: &str) -> Book {
        Book(serde_json::from_str(text).unwrap_or_default())
    }

    /// As the state keeps it.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// What a webhook does not know yet. `exists` tells of pipelines that are not watched whether they are there at all.
    #[must_use]
    pub fn news(
        &self,
        name: &str,
        webhook: &Webhook,
        seen: &AllSeen,
        exists: &dyn Fn(&str) -> bool,
        now: SystemTime,
    ) -> Vec<News> {
        let mut news: BTreeMap<(AlertKind, bool, String), Vec<About>> = BTreeMap::new();
        let mut add = |alert, resolved, seen: Option<&Seen>, about: About| {
            let of = seen.and_then(|seen| seen.template.clone()).unwrap_or_else(|| about.pipeline.clone());
            news.entry((alert, resolved, of)).or_default().push(about);
        };
        let told: Vec<&Told> = self.0.iter().filter(|told| told.webhook == name).collect();
        for told in &told {
            let (pipeline, since) = (told.pipeline.clone(), told.since.clone());
            let seen = seen.get(&told.pipeline);
            let sentence = match seen.and_then(|seen| seen.standings.get(&told.alert)) {
                Some(Standing::Right(sentence)) => sentence.clone(),
                None if !exists(&told.pipeline) => format!("{pipeline} is no longer there"),
                Some(Standing::Wrong(..) | Standing::Unclear) | None => continue,
            };
            add(told.alert, true, seen, About { pipeline, sentence, since });
        }
        let is_told =
            |pipeline: &str, alert| told.iter().any(|told| told.pipeline == pipeline && told.alert == alert);
        for (pipeline, of) in seen {
            for (alert, standing) in &of.standings {
                let Standing::Wrong(sentence, since) = standing else { continue };
                let is_wanted = webhook.only.is_empty() || webhook.only.contains(alert);
                if !is_wanted || is_told(pipeline, *alert) {
                    continue;
                }
                let since = rfc3339(since.unwrap_or(now));
                let about = About { pipeline: pipeline.clone(), sentence: sentence.clone(), since };
                add(*alert, false, Some(of), about);
            }
        }
        let news = news.into_iter();
        news.map(|((alert, resolved, name), about)| News { alert, resolved, name, about }).collect()
    }

    /// Notes that a webhook has taken it.
    pub fn note(&mut self, webhook: &str, news: &News) {
        for about in &news.about {
            self.0.retain(|told| {
                told.webhook != webhook || told.pipeline != about.pipeline || told.alert != news.alert
            });
            if !news.resolved {
                self.0.push(Told {
                    webhook: webhook.to_owned(),
                    pipeline: about.pipeline.clone(),
                    alert: news.alert,
                    since: about.since.clone(),
                });
            }
        }
    }

    /// Forgets webhooks that are not there any more, and says whether there were any.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|told| is_there(&told.webhook));
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(standings: &[(&str, Standing)]) -> AllSeen {
        let of = |(name, standing): &(&str, Standing)| {
            let template = name.split_once('.').map(|(template, _)| template.to_owned());
            let standings = BTreeMap::from([(AlertKind::Failed, standing.clone())]);
            ((*name).to_owned(), Seen { template, standings })
        };
        standings.iter().map(of).collect()
    }

    fn wrong(sentence: &str) -> Standing {
        Standing::Wrong(sentence.to_owned(), Some(SystemTime::UNIX_EPOCH))
    }

    #[test]
    fn each_is_told_once_and_resolved_once_also_over_a_restart() {
        let (webhook, now) = (Webhook::default(), SystemTime::now());
        let mut book = Book::default();
        let news = |book: &Book, of: &AllSeen| book.news("team", &webhook, of, &|name| name != "gone", now);
        let failing = seen(&[("a", wrong("a failed")), ("b", Standing::Unclear), ("gone", wrong("x"))]);
        let first = news(&book, &failing);
        assert_eq!(first.len(), 2);
        assert!(!first[0].resolved && first[0].about[0].sentence == "a failed");
        assert_eq!(first[0].about[0].since, "1970-01-01T00:00:00Z");
        // What was not taken is told again, what was taken is not.
        assert_eq!(news(&book, &failing), first);
        first.iter().for_each(|news| book.note("team", news));
        assert_eq!(news(&book, &failing), []);
        let mut book = Book::read(&book.text());
        assert_eq!(news(&book, &seen(&[("a", Standing::Unclear), ("gone", wrong("x"))])), []);
        let ended = news(&book, &seen(&[("a", Standing::Right("a runs again".to_owned()))]));
        let sentences: Vec<&str> = ended.iter().map(|news| news.about[0].sentence.as_str()).collect();
        assert_eq!(sentences, ["a runs again", "gone is no longer there"]);
        ended.iter().for_each(|news| book.note("team", news));
        assert_eq!(book, Book::default());
        // One that came and went before it was taken was never told.
        assert_eq!(news(&book, &seen(&[("a", Standing::Right("a runs again".to_owned()))])), []);
    }

    #[test]
    fn collections_of_one_template_are_told_together_and_only_what_is_wanted() {
        let now = SystemTime::now();
        let all = seen(&[("shop.a", wrong("a")), ("shop.b", wrong("b")), ("other", wrong("c"))]);
        let news = Book::default().news("team", &Webhook::default(), &all, &|_| true, now);
        let names: Vec<(&str, usize)> = news.iter().map(|it| (it.name.as_str(), it.about.len())).collect();
        assert_eq!(names, [("other", 1), ("shop", 2)]);
        let only = Webhook { only: vec![AlertKind::Lagging], ..Webhook::default() };
        assert_eq!(Book::default().news("team", &only, &all, &|_| true, now), []);
    }

    #[test]
    fn webhooks_that_are_gone_are_forgotten_and_each_has_its_own_page() {
        let now = SystemTime::now();
        let all = seen(&[("a", wrong("a"))]);
        let news = |book: &Book, name| book.news(name, &Webhook::default(), &all, &|_| true, now);
        let mut book = Book::default();
        let first = news(&book, "one");
        book.note("one", &first[0]);
        assert_eq!((news(&book, "one").len(), news(&book, "two").len()), (0, 1));
        assert!(book.keep(|name| name == "two") && book.0.is_empty() && !book.keep(|_| true));
    }
}
