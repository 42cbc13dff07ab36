//! Patterns of collections, as `orders*`, `crm.*` and `!tmp_*`: which collections of a source are meant.
//!
//! `*` stands for any characters, `?` for one, and a `!` in front leaves out. Nothing else makes a pattern of a name.
//! A pattern is for the collections of the database in the source's address. What stands before its first dot is another
//! database, unless a `*` or a `?` is in it. Where the address has no database, what stands before the first dot is a
//! pattern of databases. A pattern that leaves out and names no database holds for all of them.

use zenith_engine::Namespace;

/// What a name means that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// A collection of the address's database, whatever dots it has.
    Collection,
    /// `collection` or `database.collection`.
    Qualified,
}

/// Which collections are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    takes: Vec<Pattern>,
    leaves: Vec<Pattern>,
    /// The database of the address.
    database: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// As it was written.
    text: String,
    database: String,
    collection: String,
    is_plain: bool,
}

/// Whether a text is a pattern and no name.
pub fn is_pattern(text: &str) -> bool {
    text.starts_with('!') || has_wildcards(text)
}

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// What is wrong with patterns whatever their source is, in a sentence.
pub fn check(texts: &[String]) -> Result<(), String> {
    for text in texts {
        let body = text.strip_prefix('!').unwrap_or(text);
        if text.is_empty() {
            return Err("one of the patterns of collections is empty".to_owned());
        }
        if body.is_empty() {
            return Err("the pattern ! leaves out nothing: write behind the ! what it leaves out".to_owned());
        }
        if is_pattern(text) && (body.starts_with('.') || body.ends_with('.')) {
            return Err(format!("the pattern {text} has nothing on one side of its dot"));
        }
    }
    if texts.iter().all(|text| text.starts_with('!')) {
        return Err(format!(
            "there are only patterns that leave out ({}): add one that takes, such as *",
            texts.join(", ")
        ));
    }
    Ok(())
}

impl Patterns {
    /// Understands them; `database` is that of the source's address.
    ///
    /// # Errors
    /// One sentence about what is wrong with them.
    pub fn of(texts: &[String], database: Option<&str>, plain: Plain) -> Result<Patterns, String> {
        check(texts)?;
        let mut patterns =
            Patterns { takes: Vec::new(), leaves: Vec::new(), database: database.map(str::to_owned) };
        for text in texts {
            let pattern = Pattern::of(text, database, plain)?;
            match text.starts_with('!') {
                true => patterns.leaves.push(pattern),
                false => patterns.takes.push(pattern),
            }
        }
        let reaches = |leaves: &Pattern| {
            let mut takes = patterns.takes.iter();
            takes.any(|takes| {
                is_match(&takes.database, &leaves.database) || is_match(&leaves.database, &takes.database)
            })
        };
        match patterns.leaves.iter().find(|leaves| !reaches(leaves)) {
            Some(Pattern { text, database, .. }) => Err(format!(
                "the pattern {text} leaves out collections of the database {database}, of which none is taken{}",
                patterns.dot_hint(text, database)
            )),
            None => Ok(patterns),
        }
    }

    /// Whether a collection is meant.
    pub fn has(&self, namespace: &Namespace) -> bool {
        self.take(namespace) && !self.leaves.iter().any(|pattern| pattern.has(namespace))
    }

    /// Whether one of them takes a collection; another may leave it out.
    pub fn take(&self, namespace: &Namespace) -> bool {
        self.takes.iter().any(|pattern| pattern.has(namespace))
    }

    /// Whether a collection is meant by its name, and not only by a pattern.
    pub fn names(&self, namespace: &Namespace) -> bool {
        self.takes.iter().any(|pattern| pattern.is_plain && pattern.has(namespace))
    }

    /// Databases with collections that may be meant, or patterns of them.
    pub fn databases(&self) -> Vec<&str> {
        let mut databases: Vec<&str> = self.takes.iter().map(|pattern| pattern.database.as_str()).collect();
        databases.sort_unstable();
        databases.dedup();
        databases
    }

    /// What is wrong if one of them takes none of the collections that are there, in a sentence.
    pub fn idle(&self, there: &[Namespace]) -> Option<String> {
        let idle = self.takes.iter().find(|pattern| !there.iter().any(|namespace| pattern.has(namespace)))?;
        let Pattern { text, database, collection, is_plain } = idle;
        Some(match is_plain {
            true => format!("there is no collection {collection} in the database {database}"),
            false => {
                let place = match has_wildcards(database) {
                    true => "any database that this user may see".to_owned(),
                    false => format!("the database {database}"),
                };
                format!(
                    "the pattern {text} matches no collection of {place}{}",
                    self.dot_hint(text, database)
                )
            }
        })
    }

    /// What may have been meant by a pattern whose database is written in it.
    fn dot_hint(&self, text: &str, database: &str) -> String {
        let own = self.database.as_deref().filter(|own| *own != database && !has_wildcards(database));
        let Some(own) = own else { return String::new() };
        let (mark, body) = text.strip_prefix('!').map_or(("", text), |body| ("!", body));
        format!(
            ": what stands before the first dot is a database; write {mark}{own}.{body} for collections of {own}"
        )
    }
}

impl Pattern {
    fn of(text: &str, own: Option<&str>, plain: Plain) -> Result<Pattern, String> {
        let (leaves_out, body) = (text.starts_with('!'), text.strip_prefix('!').unwrap_or(text));
        let is_plain = !is_pattern(text);
        let written = body.split_once('.').filter(|(before, _)| own.is_none() || !has_wildcards(before));
        let (database, collection) = match written {
            Some(written) if !(is_plain && plain == Plain::Collection && own.is_some()) => written,
            _ if leaves_out => ("*", body),
            _ => match own {
                Some(own) => (own, body),
                None => {
                    return Err(format!(
                        "{text} names no database, and neither does the address of the source: write it as \
                         DATABASE.{text}, or name a database in the address"
                    ));
                }
            },
        };
        let (database, collection) = (database.to_owned(), collection.to_owned());
        Ok(Pattern { text: text.to_owned(), database, collection, is_plain })
    }

    fn has(&self, namespace: &Namespace) -> bool {
        is_match(&self.database, &namespace.database) && is_match(&self.collection, &namespace.collection)
    }
}

/// Whether a pattern is one of this text, from its beginning to its end.
fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last `*` stands, and up to where it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while of < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(known) if *known == '?' || *known == text[of] => (at, of) = (at + 1, of + 1),
            _ => match &mut star {
                Some((place, reached)) => {
                    *reached += 1;
                    (at, of) = (*place + 1, *reached);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str], database: Option<&str>) -> Result<Patterns, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Patterns::of(&texts, database, Plain::Qualified)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, matching, other) in [
            ("*", &["", "a", "a.b"][..], &[][..]),
            ("a*", &["a", "ab", "a.b"], &["", "ba"]),
            ("*a", &["a", "ba", "aa"], &["ab"]),
            ("a*b*c", &["abc", "axbxc", "abbc", "abcbc"], &["acb", "abcd"]),
            ("a?", &["ab", "a*", "aé"], &["a", "abc"]),
            ("", &[""], &["a"]),
            ("a.b", &["a.b"], &["axb"]),
        ] {
            for text in matching {
                assert!(is_match(pattern, text), "{pattern} {text}");
            }
            for text in other {
                assert!(!is_match(pattern, text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_dot_separates_the_database() {
        for (texts, database, taken, left) in [
            (&["*"][..], Some("shop"), &["shop.orders", "shop.fs.files"][..], &["crm.orders"][..]),
            (&["shop.*"], Some("shop"), &["shop.orders"], &["crm.orders"]),
            (&["*", "!tmp_*"], Some("shop"), &["shop.orders"], &["shop.tmp_1"]),
            (&["*", "crm.*", "!tmp_*"], Some("shop"), &["crm.orders"], &["crm.tmp_1", "shop.tmp_1"]),
            (&["*", "crm.*", "!crm.tmp_*"], Some("shop"), &["shop.tmp_1"], &["crm.tmp_1"]),
            (&["*.bak"], Some("shop"), &["shop.orders.bak"], &["crm.bak", "shop.bak"]),
            (&["*", "!*.bak"], Some("shop"), &["shop.bak"], &["shop.orders.bak"]),
            (&["*.orders"], None, &["crm.orders", "shop.orders"], &["shop.old.orders"]),
            (&["sh?p.*"], None, &["shop.orders"], &["crm.orders"]),
            (&["orders", "crm.users"], Some("shop"), &["shop.orders", "crm.users"], &["shop.users"]),
            (&["shop.fs.*"], Some("shop"), &["shop.fs.files"], &["fs.files"]),
        ] {
            let patterns = patterns(texts, database).unwrap();
            for name in taken {
                assert!(patterns.has(&name.parse().unwrap()), "{texts:?} {name}");
            }
            for name in left {
                assert!(!patterns.has(&name.parse().unwrap()), "{texts:?} {name}");
            }
        }
        let names = ["a.b".to_owned()];
        let copied = Patterns::of(&names, Some("shop"), Plain::Collection).unwrap();
        assert!(copied.has(&Namespace::new("shop", "a.b")) && copied.names(&Namespace::new("shop", "a.b")));
        assert!(!copied.has(&Namespace::new("a", "b")));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (texts, database, part) in [
            (&[""][..], Some("shop"), "is empty"),
            (&["!"], Some("shop"), "leaves out nothing"),
            (&["!a*", "!b"], Some("shop"), "only patterns that leave out (!a*, !b)"),
            (&["a*."], Some("shop"), "one side of its dot"),
            (&["a*"], None, "write it as DATABASE.a*"),
            (&["*", "!fs.*"], Some("shop"), "write !shop.fs.* for collections of shop"),
        ] {
            let sentence = patterns(texts, database).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_told() {
        let there = [Namespace::new("shop", "orders"), Namespace::new("shop", "fs.files")];
        let idle = |texts: &[&str]| patterns(texts, Some("shop")).unwrap().idle(&there);
        assert_eq!(idle(&["ord*", "shop.fs.*", "orders"]), None);
        assert_eq!(idle(&["*", "x*"]).unwrap(), "the pattern x* matches no collection of the database shop");
        assert!(idle(&["fs.*"]).unwrap().ends_with("write shop.fs.* for collections of shop"));
        assert_eq!(idle(&["users"]).unwrap(), "there is no collection users in the database shop");
    }
}
