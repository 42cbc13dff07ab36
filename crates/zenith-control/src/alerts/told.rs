//! What was told to whom, and what is to be told next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::config::alerts::{AlertKind, Webhook};
use crate::time::rfc3339;

/// Somebody was told that something is wrong, or is about to be, and not yet that it is right again.
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
    /// The pipeline as `zenith.toml` names it.
    #[serde(default)]
    pub name: String,
    /// What its messages are known by, from the first that is wrong of that name to the last that is right again.
    #[serde(default)]
    pub key: String,
    /// Whether the webhook has taken it; it is noted before it is sent, so that what is sent again is the same.
    #[serde(default = "yes")]
    pub taken: bool,
}

/// Versions before noted only what was taken.
fn yes() -> bool {
    true
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

/// All pipelines at one moment.
#[derive(Clone, Debug)]
pub struct Look {
    /// The moment.
    pub at: SystemTime,
    /// Those that are watched.
    pub seen: AllSeen,
    /// Those that are applied, also those that are not watched.
    pub applied: BTreeSet<String>,
}

impl Look {
    /// How a pipeline stands that somebody was told of; `None` if it is not known.
    fn of(&self, told: &Told) -> Option<&Standing> {
        self.seen.get(&told.pipeline)?.standings.get(&told.alert)
    }

    /// That it is right again, or gone, in a sentence.
    fn end_of(&self, told: &Told) -> Option<String> {
        match self.of(told) {
            Some(Standing::Right(sentence)) => Some(sentence.clone()),
            None if !self.applied.contains(&told.pipeline) => {
                Some(format!("{} is no longer there", told.pipeline))
            }
            Some(Standing::Wrong(..) | Standing::Unclear) | None => None,
        }
    }

    /// As `zenith.toml` names a pipeline.
    fn name_of(&self, pipeline: &str) -> String {
        let template = self.seen.get(pipeline).and_then(|seen| seen.template.clone());
        template.unwrap_or_else(|| pipeline.to_owned())
    }
}

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
    /// The same from the first beginning to the end, and for what is sent again.
    pub key: String,
    /// One for each collection, at least one.
    pub about: Vec<About>,
}

impl News {
    fn told(&self, webhook: &str, about: &About, taken: bool) -> Told {
        Told {
            webhook: webhook.to_owned(),
            pipeline: about.pipeline.clone(),
            alert: self.alert,
            since: about.since.clone(),
            name: self.name.clone(),
            key: self.key.clone(),
            taken,
        }
    }
}

impl Told {
    fn is_of(&self, webhook: &str, pipeline: &str, alert: AlertKind) -> bool {
        self.webhook == webhook && self.pipeline == pipeline && self.alert == alert
    }
}

/// One alert of one pipeline as `zenith.toml` names it.
#[derive(Default)]
struct Group {
    key: Option<String>,
    begins: Vec<About>,
    ends: Vec<About>,
    goes_on: bool,
}

impl Group {
    fn news(self, alert: AlertKind, name: String, instance: &str) -> Option<News> {
        let resolved = self.begins.is_empty();
        let about = match resolved {
            true if self.goes_on => return None,
            true => self.ends,
            false => self.begins,
        };
        let since = about.iter().map(|about| about.since.as_str()).min()?;
        let key = self.key.unwrap_or_else(|| format!("{instance}/{name}/{}/{since}", alert.name()));
        Some(News { alert, resolved, name, key, about })
    }
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

    /// What a webhook does not know yet, the worst first. Of several collections the end is told once all are right.
    #[must_use]
    pub fn news(&self, name: &str, webhook: &Webhook, look: &Look, instance: &str) -> Vec<News> {
        let mut groups: BTreeMap<(AlertKind, String), Group> = BTreeMap::new();
        let told: Vec<&Told> = self.0.iter().filter(|told| told.webhook == name).collect();
        for told in &told {
            let of = if told.name.is_empty() { look.name_of(&told.pipeline) } else { told.name.clone() };
            let group = groups.entry((told.alert, of)).or_default();
            if !told.key.is_empty() {
                group.key = Some(told.key.clone());
            }
            match look.end_of(told) {
                _ if !told.taken => {}
                Some(sentence) => {
                    let (pipeline, since) = (told.pipeline.clone(), told.since.clone());
                    group.ends.push(About { pipeline, sentence, since });
                }
                None => group.goes_on = true,
            }
        }
        for (pipeline, of) in &look.seen {
            for (alert, standing) in &of.standings {
                let Standing::Wrong(sentence, since) = standing else { continue };
                let told = told.iter().find(|told| told.pipeline == *pipeline && told.alert == *alert);
                let is_wanted = webhook.only.is_empty() || webhook.only.contains(alert);
                if !is_wanted || told.is_some_and(|told| told.taken) {
                    continue;
                }
                let since = told.map_or_else(|| rfc3339(since.unwrap_or(look.at)), |told| told.since.clone());
                let about = About { pipeline: pipeline.clone(), sentence: sentence.clone(), since };
                groups.entry((*alert, look.name_of(pipeline))).or_default().begins.push(about);
            }
        }
        let groups = groups.into_iter();
        groups.filter_map(|((alert, name), group)| group.news(alert, name, instance)).collect()
    }

    /// Notes that something is about to be sent, and says whether that was not noted yet.
    pub fn begin(&mut self, webhook: &str, news: &News) -> bool {
        let is_noted = |about: &&About| {
            let mut all = self.0.iter();
            all.any(|told| told.is_of(webhook, &about.pipeline, news.alert))
        };
        let new: Vec<Told> = match news.resolved {
            true => Vec::new(),
            false => news
                .about
                .iter()
                .filter(|about| !is_noted(about))
                .map(|about| news.told(webhook, about, false))
                .collect(),
        };
        let is_new = !new.is_empty();
        self.0.extend(new);
        is_new
    }

    /// Notes that a webhook has taken it.
    pub fn note(&mut self, webhook: &str, news: &News) {
        for about in &news.about {
            self.0.retain(|told| !told.is_of(webhook, &about.pipeline, news.alert));
            if !news.resolved {
                self.0.push(news.told(webhook, about, true));
            }
        }
    }

    /// Forgets what has ended before a webhook took it, and says whether there was any.
    pub fn forget_past(&mut self, webhook: &str, look: &Look) -> bool {
        let before = self.0.len();
        self.0.retain(|told| told.taken || told.webhook != webhook || look.end_of(told).is_none());
        self.0.len() < before
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
    use std::time::Duration;

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

    fn look(standings: &[(&str, Standing)]) -> Look {
        let seen = seen(standings);
        let applied = seen.keys().filter(|name| *name != "gone").cloned().collect();
        Look { at: SystemTime::UNIX_EPOCH + Duration::from_secs(5), seen, applied }
    }

    fn right(sentence: &str) -> Standing {
        Standing::Right(sentence.to_owned())
    }

    fn news(book: &Book, look: &Look) -> Vec<News> {
        book.news("team", &Webhook::default(), look, "db1")
    }

    fn took(book: &mut Book, look: &Look) -> Vec<News> {
        let all = news(book, look);
        all.iter().for_each(|news| book.note("team", news));
        all
    }

    #[test]
    fn each_is_told_once_and_resolved_once_also_over_a_restart() {
        let mut book = Book::default();
        let failing = look(&[("a", wrong("a failed")), ("b", Standing::Unclear), ("gone", wrong("x"))]);
        let first = news(&book, &failing);
        assert_eq!(first.len(), 2);
        assert!(!first[0].resolved && first[0].about[0].sentence == "a failed");
        assert_eq!(first[0].about[0].since, "1970-01-01T00:00:00Z");
        // What was not taken is told again, what was taken is not.
        assert_eq!(took(&mut book, &failing), first);
        assert_eq!(news(&book, &failing), []);
        let mut book = Book::read(&book.text());
        assert_eq!(news(&book, &look(&[("a", Standing::Unclear), ("gone", wrong("x"))])), []);
        let ended = took(&mut book, &look(&[("a", right("a runs again"))]));
        let sentences: Vec<&str> = ended.iter().map(|news| news.about[0].sentence.as_str()).collect();
        assert_eq!(sentences, ["a runs again", "gone is no longer there"]);
        assert_eq!(book, Book::default());
        // One that came and went before it was taken was never told.
        assert_eq!(news(&book, &look(&[("a", right("a runs again"))])), []);
    }

    #[test]
    fn a_beginning_its_repetition_and_its_end_have_one_key() {
        let at = |seconds| {
            look(&[(
                "a",
                Standing::Wrong(
                    "a lags".to_owned(),
                    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
                ),
            )])
        };
        let mut book = Book::default();
        let first = news(&book, &at(7)).remove(0);
        assert_eq!(first.key, "db1/a/failed/1970-01-01T00:00:07Z");
        assert!(book.begin("team", &first) && !book.begin("team", &first));
        // What it is lagging behind has moved on, and the process was killed meanwhile.
        let mut book = Book::read(&book.text());
        let again = took(&mut book, &at(60)).remove(0);
        assert_eq!((&again.key, &again.about[0].since), (&first.key, &first.about[0].since));
        assert_eq!(took(&mut book, &look(&[("a", right("a is there"))])).remove(0).key, first.key);
        // The next time is another alert.
        assert_eq!(news(&book, &at(90))[0].key, "db1/a/failed/1970-01-01T00:01:30Z");
        // One that ended before anybody took it is not told, and the next is another one as well.
        assert!(book.begin("team", &first));
        let ended = look(&[("a", right("a is there"))]);
        assert!(news(&book, &ended).is_empty() && book.forget_past("team", &ended) && book.0.is_empty());
    }

    #[test]
    fn collections_of_one_template_end_together_with_the_key_of_the_first() {
        let both = |a, b| look(&[("shop.a", a), ("shop.b", b)]);
        let mut book = Book::default();
        let first = took(&mut book, &both(wrong("a"), right("b"))).remove(0);
        let second = took(&mut book, &both(Standing::Unclear, wrong("b"))).remove(0);
        assert_eq!((second.about.len(), &second.key), (1, &first.key));
        assert_eq!(news(&book, &both(right("a"), wrong("b"))), []);
        assert_eq!(news(&book, &both(right("a"), Standing::Unclear)), []);
        // One of them is gone meanwhile.
        let ended = took(&mut book, &look(&[("shop.b", right("b"))])).remove(0);
        assert_eq!((ended.resolved, ended.about.len(), ended.name.as_str()), (true, 2, "shop"));
        assert_eq!((&ended.key, book), (&first.key, Book::default()));
    }

    #[test]
    fn what_a_version_before_has_noted_is_resolved() {
        let text =
            r#"[{"webhook":"team","pipeline":"shop.a","alert":"failed","since":"2026-01-02T03:04:05Z"}]"#;
        let ended = news(&Book::read(text), &look(&[("shop.a", right("a"))])).remove(0);
        assert_eq!((ended.resolved, ended.name.as_str()), (true, "shop"));
    }

    #[test]
    fn collections_of_one_template_are_told_together_and_only_what_is_wanted() {
        let all = look(&[("shop.a", wrong("a")), ("shop.b", wrong("b")), ("other", wrong("c"))]);
        let news = news(&Book::default(), &all);
        let names: Vec<(&str, usize)> = news.iter().map(|it| (it.name.as_str(), it.about.len())).collect();
        assert_eq!(names, [("other", 1), ("shop", 2)]);
        let only = Webhook { only: vec![AlertKind::Lagging], ..Webhook::default() };
        assert_eq!(Book::default().news("team", &only, &all, "db1"), []);
    }

    #[test]
    fn webhooks_that_are_gone_are_forgotten_and_each_has_its_own_page() {
        let all = look(&[("a", wrong("a"))]);
        let news = |book: &Book, name| book.news(name, &Webhook::default(), &all, "db1");
        let mut book = Book::default();
        let first = news(&book, "one");
        book.note("one", &first[0]);
        assert_eq!((news(&book, "one").len(), news(&book, "two").len()), (0, 1));
        assert!(book.keep(|name| name == "two") && book.0.is_empty() && !book.keep(|_| true));
    }
}
