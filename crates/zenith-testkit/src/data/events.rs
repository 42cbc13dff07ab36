//! The standard collection: events of a web shop, 12 top-level fields, 288 bytes on average.
//!
//! ```text
//! _id        ObjectId   ascending with the number of the document
//! session    int64      high cardinality
//! at         date       ascending, 40 ms apart on average
//! kind       string     12 values
//! country    string     24 values
//! user       string     high cardinality, of one length
//! path       string     high cardinality, 20 to 52 bytes
//! amount     double     0 to 500, two decimals
//! status     int32      6 values
//! mobile     bool
//! device     document   os, browser, version (string, string, int32)
//! tags       array      0 to 4 strings
//! ```

use super::bson_writer::DocumentWriter;
use super::random::Random;

/// 2024-01-01T00:00:00Z in milliseconds: when the first event happened.
const EPOCH_MS: i64 = 1_704_067_200_000;
/// Mean distance of two events.
const STEP_MS: i64 = 40;

const KINDS: [&str; 12] = [
    "page_view",
    "click",
    "scroll",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "purchase",
    "refund",
    "login",
    "logout",
    "error",
];
const COUNTRIES: [&str; 24] = [
    "US", "DE", "FR", "GB", "JP", "BR", "IN", "CN", "CA", "AU", "NL", "SE", "NO", "FI", "PL", "ES", "IT",
    "PT", "MX", "AR", "ZA", "NG", "KR", "TR",
];
const STATUSES: [i32; 6] = [200, 200, 200, 304, 404, 500];
const SYSTEMS: [&str; 5] = ["Windows", "macOS", "Linux", "iOS", "Android"];
const BROWSERS: [&str; 4] = ["Chrome", "Firefox", "Safari", "Edge"];
const SECTIONS: [&str; 8] = ["products", "search", "account", "cart", "help", "blog", "categories", "brands"];
const WORDS: [&str; 16] = [
    "wireless", "garden", "kitchen", "leather", "running", "vintage", "organic", "outdoor", "cotton",
    "ceramic", "portable", "digital", "wooden", "classic", "compact", "café",
];
const TAGS: [&str; 10] =
    ["new", "returning", "newsletter", "premium", "sale", "mobile-app", "affiliate", "beta", "vip", "trial"];

/// Appends the event of this number to `bytes`.
pub fn write(seed: u64, number: u64, bytes: &mut Vec<u8>) {
    let mut random = Random::of_document(seed, number);
    let mut document = DocumentWriter::begin(bytes);
    document.object_id("_id", object_id(seed, number));
    // The top bit goes, so that the number is never negative.
    document.int64("session", i64::try_from(random.next_u64() >> 1).unwrap_or_default());
    document.date("at", happened_ms(number) + i64::from(random.below(40)));
    document.string("kind", random.pick(&KINDS));
    document.string("country", random.pick(&COUNTRIES));
    let mut text = Text::default();
    text.push("user-");
    text.push_hex(random.next_u64());
    document.string("user", text.as_str());
    let mut text = Text::default();
    write_path(&mut random, &mut text);
    document.string("path", text.as_str());
    document.double("amount", f64::from(random.below(50_000)) / 100.0);
    document.int32("status", STATUSES[random.index(STATUSES.len())]);
    document.bool("mobile", random.below(2) == 1);
    document.document("device", |device| {
        device.string("os", random.pick(&SYSTEMS));
        device.string("browser", random.pick(&BROWSERS));
        device.int32("version", 90 + i32::try_from(random.below(50)).unwrap_or_default());
    });
    let tags = random.index(5);
    document.array("tags", tags, |array, _, name| array.string(name, random.pick(&TAGS)));
    document.end();
}

/// When an event happened, without its random part.
fn happened_ms(number: u64) -> i64 {
    EPOCH_MS + i64::try_from(number).unwrap_or_default() * STEP_MS
}

/// An ObjectId that ascends with the number: seconds, three bytes of the seed, the number's low 40 bits.
pub(super) fn object_id(seed: u64, number: u64) -> [u8; 12] {
    let seconds = u32::try_from(happened_ms(number) / 1_000).unwrap_or(u32::MAX);
    let mut id = [0; 12];
    id[..4].copy_from_slice(&seconds.to_be_bytes());
    id[4..7].copy_from_slice(&seed.to_be_bytes()[5..]);
    id[7..].copy_from_slice(&number.to_be_bytes()[3..]);
    id
}

/// `/section/word-word…/hex?ref=word`, of one or two words.
fn write_path(random: &mut Random, text: &mut Text) {
    text.push("/");
    text.push(random.pick(&SECTIONS));
    text.push("/");
    for _ in 0..1 + random.below(2) {
        text.push(random.pick(&WORDS));
        text.push("-");
    }
    text.push_hex(random.next_u64());
    if random.below(4) == 0 {
        text.push("?ref=");
        text.push(random.pick(&WORDS));
    }
}

/// A short text put together on the stack: the generator makes millions of them.
#[derive(Debug)]
struct Text {
    bytes: [u8; 128],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 128], length: 0 }
    }
}

impl Text {
    fn push(&mut self, part: &str) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part.as_bytes());
        self.length += part.len();
    }

    /// Eight hexadecimal digits.
    fn push_hex(&mut self, mut number: u64) {
        for place in &mut self.bytes[self.length..self.length + 8] {
            *place = b"0123456789abcdef"[usize::try_from(number & 15).unwrap_or_default()];
            number >>= 4;
        }
        self.length += 8;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_promised_shape_and_size() {
        let mut bytes = Vec::new();
        let count = 20_000;
        for number in 0..count {
            bytes.clear();
            write(42, number, &mut bytes);
            let document = bson::RawDocument::from_bytes(&bytes).unwrap();
            assert_eq!(bson::Document::try_from(document).unwrap().len(), 12);
        }
        bytes.clear();
        (0..count).for_each(|number| write(42, number, &mut bytes));
        let average = bytes.len() / usize::try_from(count).unwrap();
        assert!((286..=290).contains(&average), "{average} bytes on average");
    }

    #[test]
    fn identifiers_ascend_and_are_unique() {
        let ids: Vec<_> = (0..100_000).map(|number| object_id(1, number)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(object_id(1, (1 << 24) - 1) < object_id(1, 1 << 24));
    }
}
