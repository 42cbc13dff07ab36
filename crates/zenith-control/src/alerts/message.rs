//! What is sent: one object with all that is known, or one text.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::standing::remedy;
use super::told::News;
use crate::config::alerts::Format;
use crate::failure::{Code, code};
use crate::time::rfc3339;

/// Collections of one message that are named.
const NAMED_MAX: usize = 10;
/// Characters of the sentence of one collection.
const SENTENCE_MAX: usize = 500;

/// A message, apart from its form.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    status: &'static str,
    alert: &'static str,
    code: Code,
    pipeline: String,
    collections: Vec<String>,
    count: usize,
    sentence: String,
    remedy: String,
    since: String,
    at: String,
    instance: String,
    key: String,
}

impl Message {
    /// What there is to tell; `instance` says which Zenith tells it.
    #[must_use]
    pub fn of(news: &News, instance: &str, at: SystemTime) -> Message {
        let count = news.about.len();
        let sentences = news.about.iter().take(NAMED_MAX).map(|about| bounded(&about.sentence));
        let mut sentence = sentences.collect::<Vec<_>>().join("\n");
        if count > NAMED_MAX {
            sentence.push_str(&format!("\nand {} more collections", count - NAMED_MAX));
        }
        Message {
            status: if news.resolved { "resolved" } else { "firing" },
            alert: news.alert.name(),
            code: news.alert.code(),
            pipeline: news.name.clone(),
            collections: news.about.iter().take(NAMED_MAX).map(|about| about.pipeline.clone()).collect(),
            count,
            sentence,
            remedy: if news.resolved { String::new() } else { remedy(news.alert, &news.name) },
            since: news.about.iter().map(|about| about.since.as_str()).min().unwrap_or_default().to_owned(),
            at: rfc3339(at),
            instance: instance.to_owned(),
            key: news.key.clone(),
        }
    }

    /// One that says that nothing is wrong.
    #[must_use]
    pub fn sample(webhook: &str, instance: &str, at: SystemTime) -> Message {
        Message {
            status: "firing",
            alert: "test",
            code: code::SAMPLE,
            pipeline: String::new(),
            collections: Vec::new(),
            count: 0,
            sentence: format!("this is a test of the webhook {webhook}; nothing is wrong"),
            remedy: "Nothing needs to be done".to_owned(),
            since: rfc3339(at),
            at: rfc3339(at),
            instance: instance.to_owned(),
            key: format!("{instance}/test/{}", rfc3339(at)),
        }
    }

    /// The body of a request.
    #[must_use]
    pub fn body(&self, format: Format) -> String {
        match format {
            Format::Json => self.json(),
            Format::Slack => json!({ "text": self.text() }),
        }
        .to_string()
    }

    fn json(&self) -> Value {
        json!({
            "status": self.status,
            "alert": self.alert,
            "code": self.code.to_string(),
            "pipeline": self.pipeline,
            "collections": self.collections,
            "count": self.count,
            "message": self.sentence,
            "remedy": if self.remedy.is_empty() { Value::Null } else { self.remedy.as_str().into() },
            "since": self.since,
            "at": self.at,
            "instance": self.instance,
            "key": self.key,
        })
    }

    fn text(&self) -> String {
        let mark = match (self.alert, self.status) {
            ("test", _) => ":information_source:",
            (_, "resolved") => ":white_check_mark: Resolved:",
            _ => ":rotating_light:",
        };
        let mut text = format!("{mark} {}", escaped(&self.sentence));
        if !self.remedy.is_empty() {
            text.push_str(&format!("\n{}", escaped(&self.remedy)));
        }
        let about =
            if self.pipeline.is_empty() { String::new() } else { format!("pipeline {}, ", self.pipeline) };
        text.push_str(&format!("\n_{about}{}, since {}, on {}_", self.code, self.since, self.instance));
        text
    }
}

/// The beginning of a sentence; some quote whole documents.
fn bounded(sentence: &str) -> String {
    match sentence.char_indices().nth(SENTENCE_MAX) {
        Some((end, _)) => format!("{}…", sentence.get(..end).unwrap_or_default()),
        None => sentence.to_owned(),
    }
}

/// Slack reads these three as marks.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::told::About;
    use crate::config::alerts::AlertKind;

    fn news(count: usize, resolved: bool) -> News {
        let about = |number: usize| About {
            pipeline: format!("shop.c{number}"),
            sentence: format!("shop.c{number} failed: <no> & nothing"),
            since: format!("2026-01-0{}T00:00:00Z", 9 - number % 9),
        };
        News {
            alert: AlertKind::Failed,
            resolved,
            name: "shop".to_owned(),
            key: "db1/shop/failed/2026-01-01T00:00:00Z".to_owned(),
            about: (0..count).map(about).collect(),
        }
    }

    #[test]
    fn an_object_has_everything_and_a_text_what_a_person_needs() {
        let message = Message::of(&news(1, false), "db1", SystemTime::UNIX_EPOCH);
        let json: Value = serde_json::from_str(&message.body(Format::Json)).unwrap();
        assert_eq!(
            (&json["status"], &json["code"], &json["count"]),
            (&json!("firing"), &json!("ZEN-9001"), &json!(1))
        );
        assert_eq!(json["message"], "shop.c0 failed: <no> & nothing");
        assert!(json["remedy"].as_str().unwrap().contains("zenith status shop"), "{json}");
        let text: Value = serde_json::from_str(&message.body(Format::Slack)).unwrap();
        let text = text["text"].as_str().unwrap();
        assert!(text.starts_with(":rotating_light: shop.c0 failed: &lt;no&gt; &amp; nothing\n"), "{text}");
        assert!(text.ends_with("_pipeline shop, ZEN-9001, since 2026-01-09T00:00:00Z, on db1_"), "{text}");
    }

    #[test]
    fn many_collections_are_one_message_of_a_bounded_length() {
        let message = Message::of(&news(1_000, true), "db1", SystemTime::UNIX_EPOCH);
        let json: Value = serde_json::from_str(&message.body(Format::Json)).unwrap();
        assert_eq!(
            (&json["count"], json["collections"].as_array().unwrap().len()),
            (&json!(1_000), NAMED_MAX)
        );
        assert_eq!((&json["status"], &json["remedy"]), (&json!("resolved"), &Value::Null));
        assert!(json["message"].as_str().unwrap().ends_with("\nand 990 more collections"));
        assert!(message.body(Format::Slack).len() < 2_000);
        let mut long = news(1, false);
        long.about[0].sentence = "é".repeat(10_000);
        let json: Value =
            serde_json::from_str(&Message::of(&long, "db1", SystemTime::UNIX_EPOCH).body(Format::Json))
                .unwrap();
        assert_eq!(json["message"].as_str().unwrap().chars().count(), SENTENCE_MAX + 1);
    }
}
