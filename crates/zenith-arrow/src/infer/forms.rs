//! The form of keys: identifiers, dates, addresses and the like are data, not names of fields.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How many of the keys of a document look like data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// Those that no field is called.
    pub(super) data: usize,
    /// Whole numbers, which can be names.
    pub(super) numbers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Name,
    Number,
    Data,
}

/// Hexadecimal numbers that could be words have at least so many digits.
const HEX_LENGTH: usize = 8;
/// Random text that could be names has at least so many characters.
const TOKEN_LENGTH: usize = 16;

impl Forms {
    pub(super) fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Forms {
        let mut keys: Vec<(&str, Form)> = keys.into_iter().map(|key| (key, alone(key))).collect();
        // What one key does not say, several of one length may.
        together(&mut keys, is_hex, mixes_hex);
        together(&mut keys, is_token, is_random);
        let count = |form| keys.iter().filter(|(_, of_key)| *of_key == form).count();
        Forms { data: count(Form::Data), numbers: count(Form::Number) }
    }
}

/// What a single key shows.
fn alone(key: &str) -> Form {
    let data = [is_date, is_object_id, is_uuid, is_mail, is_ip, is_mac, is_url, is_phone];
    if data.iter().any(|is_data| is_data(key)) {
        Form::Data
    } else if is_number(key) {
        Form::Number
    } else {
        Form::Name
    }
}

/// Takes all keys of one length that `can_be` for data, where most of them are `surely`.
fn together(keys: &mut [(&str, Form)], can_be: fn(&str) -> bool, surely: fn(&str) -> bool) {
    let mut of_length: HashMap<usize, (usize, usize)> = HashMap::new();
    let considered = |key: &str, form: Form| form != Form::Data && can_be(key);
    for &(key, form) in keys.iter() {
        if considered(key, form) {
            let (all, sure) = of_length.entry(key.len()).or_default();
            *all += 1;
            *sure += usize::from(surely(key));
        }
    }
    for (key, form) in keys {
        let tells = of_length.get(&key.len()).is_some_and(|(all, sure)| sure * 2 > *all);
        if tells && considered(key, *form) {
            *form = Form::Data;
        }
    }
}

pub(super) fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(key: &str) -> bool {
    let digits = key.strip_prefix('-').unwrap_or(key);
    (1..=20).contains(&digits.len()) && all_digits(digits)
}

fn all_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_hex(key: &str) -> bool {
    let has = |is: fn(&u8) -> bool| key.as_bytes().iter().any(is);
    key.len() >= HEX_LENGTH && all_hex(key) && !(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
}

/// Whether a letter stands behind a digit: `decade90` and `face0001` may be names.
fn mixes_hex(key: &str) -> bool {
    let digit = key.bytes().position(|byte| byte.is_ascii_digit());
    let letter = key.bytes().rposition(|byte| byte.is_ascii_alphabetic());
    digit.zip(letter).is_some_and(|(digit, letter)| digit < letter)
}

/// Base64, base64url, base32 and their like.
fn is_token(key: &str) -> bool {
    let text = key.trim_end_matches('=');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    key.len() >= TOKEN_LENGTH && key.len() - text.len() <= 2 && text.bytes().all(known)
}

/// Whether lower-case letters, upper-case letters and digits follow each other as they do in random text; in names they
/// come in groups.
fn is_random(key: &str) -> bool {
    let class = |byte: u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let mut seen = [false; 3];
    let (mut pairs, mut changes, mut numbers) = (0, 0, 0);
    let mut before = None;
    for class in key.bytes().map(class) {
        if let Some(class) = class {
            seen[class] = true;
            numbers += usize::from(class == 2 && before != Some(2));
        }
        if let (Some(before), Some(class)) = (before, class) {
            pairs += 1;
            changes += usize::from(before != class);
        }
        before = class;
    }
    match seen {
        [true, true, true] => changes * 5 >= pairs * if numbers > 1 { 2 } else { 3 },
        [true, false, true] | [false, true, true] => changes * 4 >= pairs,
        _ => false,
    }
}

fn is_object_id(key: &str) -> bool {
    key.len() == 24 && all_hex(key)
}

fn is_uuid(key: &str) -> bool {
    key.len() == 36 && key.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && key.split('-').all(all_hex)
}

fn is_mac(key: &str) -> bool {
    let parts = |mark: char| key.len() == 17 && key.split(mark).all(|part| part.len() == 2 && all_hex(part));
    parts(':') || parts('-')
}

/// Also with another mark for the points, which keys could not have in older versions.
fn is_mail(key: &str) -> bool {
    let printable = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let is_host = |host: &str| {
        host.find(['.', ',', '_']).is_some_and(|point| point > 0) && !host.ends_with(['.', ',', '_'])
    };
    key.split_once('@').is_some_and(|(name, host)| printable(name) && printable(host) && is_host(host))
}

fn is_ip(key: &str) -> bool {
    let address = key.split_once('/').filter(|(_, bits)| is_number(bits)).map_or(key, |(address, _)| address);
    let marked = |mark: char| address.replace(mark, ".").parse::<Ipv4Addr>().is_ok();
    ['.', '_', '-'].into_iter().any(marked) || address.parse::<Ipv6Addr>().is_ok()
}

/// An address with its protocol, a path, or a host that is called like one.
fn is_url(key: &str) -> bool {
    const HOSTS: [&str; 5] = [".com", ".org", ".edu", ".gov", ".co.uk"];
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_host = || {
        let known = key.starts_with("www.") || HOSTS.iter().any(|end| key.ends_with(end));
        known && key.split('.').all(is_label)
    };
    key.contains("://") || (key.starts_with('/') && key.len() > 1) || (key.contains('.') && is_host())
}

/// With the mark of an international number; without it a number.
fn is_phone(key: &str) -> bool {
    let Some(number) = key.strip_prefix('+') else { return false };
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    (7..=15).contains(&digits)
        && number.bytes().all(|byte| byte.is_ascii_digit() || b" -()./".contains(&byte))
}

/// Days, months, quarters and weeks, each with the year, and days with a time.
fn is_date(key: &str) -> bool {
    let number = |text: Option<&str>| text.filter(|text| all_digits(text)).and_then(|text| text.parse().ok());
    let within = |text: Option<&str>, from: u32, to: u32| {
        number(text).is_some_and(|number: u32| (from..=to).contains(&number))
    };
    let month = |at: usize| within(key.get(at..at + 2), 1, 12);
    let day = |at: usize| within(key.get(at..at + 2), 1, 31);
    let bytes = key.as_bytes();
    let mark = |byte: u8| b"-/_.".contains(&byte);
    let ends_or_goes_on = |at: usize| !bytes.get(at).is_some_and(|byte| byte.is_ascii_digit());
    match bytes {
        // 2024-05-06, and 2024-05-06T07:08:09Z
        [_, _, _, _, first, _, _, second, _, _, ..] if mark(*first) && first == second => {
            within(key.get(..4), 1_000, 2_999) && month(5) && day(8) && ends_or_goes_on(10)
        }
        // 06.05.2024, 5/6 of either order
        [_, _, first, _, _, second, _, _, _, _] if mark(*first) && first == second => {
            within(key.get(6..), 1_000, 2_999) && (month(3) && day(0) || month(0) && day(3))
        }
        // 2024-W05
        [_, _, _, _, b'-', b'W', _, _] => within(key.get(..4), 1_000, 2_999) && within(key.get(6..), 1, 53),
        // 20240506, and 20240506T0708
        [_, _, _, _, _, _, _, _] | [_, _, _, _, _, _, _, _, b'T', ..] => {
            within(key.get(..4), 1_900, 2_199) && month(4) && day(6)
        }
        // 2024-05
        [_, _, _, _, b'-' | b'/' | b'_', digit, _] if digit.is_ascii_digit() => {
            within(key.get(..4), 1_000, 2_999) && month(5)
        }
        // 2024-Q2, 2024Q2
        [_, _, _, _, b'-', b'Q', b'1'..=b'4'] | [_, _, _, _, b'Q', b'1'..=b'4'] => {
            within(key.get(..4), 1_000, 2_999)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_keys() {
        for key in [
            "0123456789abcdef01234567",
            "ABCDEFabcdefABCDEFabcdef",
            "00112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "2024-05",
            "2024/05",
            "2024_12",
            "2024-05-06",
            "2024/05/06",
            "2024_05_06",
            "2024.05.06",
            "20240506",
            "19991231",
            "20240506T070809Z",
            "2024-05-06T07:08:09Z",
            "2024-05-06T07:08:09.123+02:00",
            "2024-05-06 07:08",
            "06.05.2024",
            "06/05/2024",
            "12/31/2024",
            "2024-Q2",
            "2024Q4",
            "2024-W05",
            "a.b@example.org",
            "a+b@mail.example.co.uk",
            "joe@example_org",
            "joe@example,org",
            "127.0.0.1",
            "10_0_0_255",
            "192-168-0-1",
            "10.0.0.0/8",
            "::1",
            "2001:db8::8a2e:370:7334",
            "00:1b:44:11:3a:b7",
            "00-1B-44-11-3A-B7",
            "http://example.test/a",
            "https://example.org",
            "/",
            "/home",
            "/products/1",
            "www.example.test",
            "example.com",
            "shop.example.co.uk",
            "my-site.org",
            "+491701234567",
            "+1 (555) 010-9999",
        ] {
            let expected = if key == "/" { Form::Name } else { Form::Data };
            assert_eq!(alone(key), expected, "{key}");
        }
        for key in ["1", "0", "-12", "2024", "12345678901234567890", "20241399", "30000101", "491701234567"] {
            assert_eq!(alone(key), Form::Number, "{key}");
        }
        for key in [
            "",
            "-",
            "name",
            "1.5",
            "1.2.3",
            "a@b",
            "@a.b",
            "a@",
            "a@.b",
            "a@b.",
            "a b@c.d",
            "a@b c.d",
            "éé24-05",
            "2024-éa",
            "2024-13",
            "2024-00",
            "2024-5",
            "0123456789abcdef0123456g",
            "0123456789abcdef0123456",
            "2024-05-32",
            "2024-13-01",
            "2024-05-061",
            "2024-05/06",
            "99.99.2024",
            "2024-Q5",
            "2024-W99",
            "2024-x5",
            "year-month",
            "q1",
            "q4",
            "Q1",
            "eng",
            "fra",
            "en_US",
            "en-US",
            "added",
            "decade",
            "face",
            "feed",
            "bad",
            "decade90",
            "first_name",
            "address.city",
            "user.id",
            "price.net",
            "title.de",
            "com",
            ".com",
            "a..com",
            "300.1.1.1",
            "1.2.3.4.5",
            "1:2",
            "08:00",
            "a:b:c:d:e:f",
            "a/b",
            "n/a",
            "+",
            "+1",
            "+a5550109999",
            "v1.2.3",
            "utf8",
            "md5",
            "sha256",
            "x1",
            "line_1",
            "00112233-4455-6677-8899-aabbccddeefg",
        ] {
            assert_eq!(alone(key), Form::Name, "{key}");
        }
    }

    fn forms(keys: &[&str]) -> (usize, usize) {
        let Forms { data, numbers } = Forms::of(keys.iter().copied());
        (data, numbers)
    }

    #[test]
    fn keys_that_tell_together() {
        for keys in [
            // Hexadecimal: 8, 16, 32, 40, 64 digits.
            &["1f0c9a3e", "00d94b7c", "e3b0c442"][..],
            &["1F0C9A3E", "00D94B7C", "E3B0C442"],
            &["1f0c9a3e", "12345678", "e3b0c442"],
            &["1f0c9a3e", "deadbeef", "e3b0c442"],
            &["cbf29ce484222325", "9e3779b97f4a7c15", "0123456789abcdef"],
            &[
                "d41d8cd98f00b204e9800998ecf8427e",
                "900150983cd24fb0d6963f7d28e17f72",
                "0cc175b9c0f1b6a831c399e269772661",
            ],
            &["da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d"],
            // Base64 and base64url.
            &["3q2+7wAAAAABAgMEBQYHCA==", "W7Yk9Xw2LmPq0RtZ5vB8nA==", "mJ4sD1fGh7KlQ2wErT6yUi=="],
            &["dQw4w9WgXcQ-9bZkp7q19f0", "Zx81Kq_Lm20PaVr7TtYw5sB", "a1B2c3D4e5F6g7H8i9J0k1L"],
            &["V1StGXR8_Z5jdHi6B-myT", "k7Dq2_xN4bVw9sLp0Tz3R", "Uak3-Pf8Yc1Zt5Hn6Qm0e"],
            &["-MxYz12AbCdEfGh34IjK", "-NaB3kLm9PqRs7TuVw1x", "-OcD5eFg2HiJ8kLm4NoP"],
            // Base32 and the like.
            &["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "01H8XGJWBWBAQ4Z7M2K5N9P3TC"],
            &["cjld2cjxh0000qzrmn831i7rn", "ckx8v3b4t0001l5m2g7h9d6fa", "cl0k2j3h40002z9x8c7v6b5n4"],
        ] {
            assert_eq!(forms(keys), (keys.len(), 0), "{keys:?}");
        }
        for keys in [
            // Words that happen to be hexadecimal, names with numbers.
            &["fabaceae", "deadbeef", "feedface"][..],
            &["decade70", "decade80", "decade90"],
            &["face0001", "face0002", "face0003"],
            &["added", "decade", "face", "feed", "bad"],
            &["1f0c9a3", "00d94b7", "e3b0c44"],
            &["1f0c9A3e", "00d94B7c", "e3b0C442"],
            // Words of one length.
            &["addressLine1Text", "addressLine2Text", "addressLine3Text"],
            &["Address_Line_1_A", "Address_Line_2_A", "Address_Line_3_A"],
            &["address_line_one", "address_line_two", "country_iso_code"],
            &["ADDRESS_LINE_001", "ADDRESS_LINE_002", "ADDRESS_LINE_003"],
            &["numberOfEmployees", "numberOfCustomers", "averageOrderValue"],
            &["internationalization", "counterrevolutionary", "electroencephalogram"],
            &["iPhone13ProMaxCase", "iPhone14ProMaxCase", "iPhone15ProMaxCase"],
            &["utm_2024_campaign1", "utm_2024_campaign2", "utm_2024_campaign3"],
            &["q1", "q2", "q3", "q4"],
            &["eng", "fra", "deu"],
        ] {
            assert_eq!(forms(keys), (0, 0), "{keys:?}");
        }
        assert_eq!(forms(&["12345678", "87654321", "11112222"]), (0, 3));
        assert_eq!(forms(&["1", "name", "a@b.org", "1f0c9a3e", "00d94b7c"]), (3, 1));
    }
}
