//! Paths made into a tree that a walk over a document follows, and the walk.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use zenith_bson::{DEPTH_MAX, Element, Elements, RawError, RawValue, tag};

use super::Mask;
use super::path::{Part, Path, Said};
use crate::extended_json::write_position;
use crate::schema::ID_KEY;

/// What becomes of the fields of a document.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// By key, the shorter ones first.
    names: Vec<(Box<[u8]>, Rule)>,
    /// A bit for the first byte of each of these keys, and for the length: most others are told from them by it.
    firsts: u64,
    lengths: u64,
    /// Of all other keys.
    other: Rule,
    /// Whether only what was named is kept. A key with dots then is no part of it.
    is_strict: bool,
}

/// What becomes of a value.
#[derive(Clone, Debug)]
enum Rule {
    Keep,
    Drop,
    Change(Box<Change>),
}

#[derive(Clone, Debug)]
struct Change {
    /// What becomes of the fields of it, or of the documents in it.
    inside: Option<Rules>,
    /// Whether it goes if there can be no fields in it.
    parts_only: bool,
    /// What happens to what is left of it.
    mask: Option<Mask>,
}

/// What is said of values further inside, at the rest of a path.
#[derive(Clone, Copy)]
struct Open<'p> {
    said: &'p Said,
    rest: &'p [Part],
}

impl Rules {
    /// Those of a whole document; `is_all` is whether it is wanted but for what is said.
    pub(super) fn new(said: &[(Path, Said)], is_all: bool) -> Rules {
        let open: Vec<Open<'_>> = said.iter().map(|(path, said)| Open { said, rest: &path.parts }).collect();
        let mut rules = rules(&open, is_all);
        // Where everything is kept that nothing is said of, it is kept as well.
        if rules.is_strict || !matches!(rules.other, Rule::Keep) {
            rules.set(ID_KEY.as_bytes().into(), Rule::Keep);
        }
        rules
    }

    fn set(&mut self, name: Box<[u8]>, rule: Rule) {
        self.firsts |= first_bit(&name);
        self.lengths |= length_bit(&name);
        let at = self.names.partition_point(|(other, _)| order(other, &name).is_lt());
        self.names.insert(at, (name, rule));
    }

    #[inline(always)]
    fn of(&self, key: &[u8]) -> &Rule {
        if self.firsts & first_bit(key) == 0 { &self.other } else { self.looked_up(key) }
    }

    #[inline(never)]
    fn looked_up(&self, key: &[u8]) -> &Rule {
        if key.contains(&b'.') { self.spelled(key) } else { self.named(key) }
    }

    #[inline]
    fn named(&self, key: &[u8]) -> &Rule {
        if self.lengths & length_bit(key) == 0 {
            return &self.other;
        }
        let found = self.names.binary_search_by(|(name, _)| order(name, key));
        found.ok().and_then(|index| self.names.get(index)).map_or(&self.other, |(_, rule)| rule)
    }

    /// Of a key with dots, which spells a path.
    #[cold]
    fn spelled(&self, key: &[u8]) -> &Rule {
        let mut rules = self;
        let mut parts = key.split(|byte| *byte == b'.').peekable();
        while let Some(part) = parts.next() {
            if rules.is_strict {
                return &Rule::Drop;
            }
            let rule = rules.named(part);
            let Rule::Change(change) = rule else { return rule };
            if parts.peek().is_none() {
                return rule;
            }
            match &change.inside {
                _ if change.mask.is_some() => return &Rule::Drop,
                Some(inside) => rules = inside,
                None => return rule,
            }
        }
        &Rule::Drop
    }

    /// Whether every value of a key goes.
    pub(super) fn drops(&self, key: &[u8]) -> bool {
        matches!(self.of(key), Rule::Drop)
    }

    /// Appends what becomes of a document, and says whether that is another; nothing is appended where it is not.
    pub(super) fn apply(&self, document: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool, RawError> {
        if depth > DEPTH_MAX {
            return Err(RawError::TooDeep);
        }
        let start = out.len();
        // What has been dealt with.
        let mut done = 0;
        for element in Elements::new(document)? {
            let element = element?;
            let rule = self.of(element.key);
            if matches!(rule, Rule::Keep) {
                continue;
            }
            let before = out.len();
            if done < element.start {
                out.extend_from_slice(document.get(done..element.start).unwrap_or_default());
            }
            let changes = match rule {
                Rule::Change(change) => change.apply(&element, depth, out)?,
                Rule::Keep | Rule::Drop => true,
            };
            if changes {
                done = element.range().end;
            } else {
                out.truncate(before);
            }
        }
        if done == 0 {
            return Ok(false);
        }
        out.extend_from_slice(document.get(done..).unwrap_or_default());
        set_length(start, out)?;
        Ok(true)
    }
}

impl Change {
    /// Appends what becomes of an element, if it does not go, and says whether that is another one.
    fn apply(&self, element: &Element<'_>, depth: usize, out: &mut Vec<u8>) -> Result<bool, RawError> {
        let value = element.value;
        if self.drops(value) {
            return Ok(true);
        }
        let at = begin(value.tag, element.key, out);
        let Some(mask) = self.mask.as_ref().filter(|_| !value.is_null()) else {
            return self.apply_inside(value, depth, out);
        };
        let tag = if self.inside.is_none() {
            mask.write(value, out)?
        } else {
            let start = out.len();
            self.apply_inside(value, depth, out)?;
            let left = out.split_off(start);
            mask.write(RawValue { tag: value.tag, bytes: &left }, out)?
        };
        if let Some(place) = out.get_mut(at) {
            *place = tag;
        }
        Ok(true)
    }

    fn drops(&self, value: RawValue<'_>) -> bool {
        self.parts_only && !matches!(value.tag, tag::DOCUMENT | tag::ARRAY)
    }

    /// Appends a value without what goes of the inside of it, and says whether anything does.
    fn apply_inside(&self, value: RawValue<'_>, depth: usize, out: &mut Vec<u8>) -> Result<bool, RawError> {
        let changes = match (&self.inside, value.tag) {
            (Some(inside), tag::DOCUMENT) => inside.apply(value.bytes, depth + 1, out)?,
            (Some(_), tag::ARRAY) => self.apply_to_array(value.bytes, depth + 1, out)?,
            _ => false,
        };
        if !changes {
            out.extend_from_slice(value.bytes);
        }
        Ok(changes)
    }

    /// Appends an array without what goes of its elements, if anything does.
    fn apply_to_array(&self, array: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool, RawError> {
        if depth > DEPTH_MAX {
            return Err(RawError::TooDeep);
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let (mut position, mut changes) = (0, false);
        let mut key = Vec::new();
        for element in Elements::new(array)? {
            let value = element?.value;
            if self.drops(value) {
                changes = true;
                continue;
            }
            key.clear();
            write_position(&mut key, position);
            begin(value.tag, &key, out);
            changes |= self.apply_inside(value, depth, out)?;
            position += 1;
        }
        if !changes {
            out.truncate(start);
            return Ok(false);
        }
        out.push(0);
        set_length(start, out)?;
        Ok(true)
    }
}

#[inline]
fn first_bit(key: &[u8]) -> u64 {
    key.first().map_or(0, |first| 1 << (first & 63))
}

#[inline]
fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() & 63)
}

/// Lengths tell most keys apart with less than their bytes do.
#[inline]
fn order(one: &[u8], other: &[u8]) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Begins an element; gives back where its type stands.
fn begin(tag: u8, key: &[u8], out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.push(tag);
    out.extend_from_slice(key);
    out.push(0);
    at
}

/// Writes the length of the document that is all behind `start`.
fn set_length(start: usize, out: &mut [u8]) -> Result<(), RawError> {
    let document = out.get_mut(start..).unwrap_or_default();
    let length = i32::try_from(document.len()).map_err(|_| RawError::Truncated)?;
    if let Some(prefix) = document.first_chunk_mut() {
        *prefix = length.to_le_bytes();
    }
    Ok(())
}

/// What becomes of the fields of a document, by what is said of them. `is_all` is whether it is wanted as a whole.
fn rules(open: &[Open<'_>], is_all: bool) -> Rules {
    let names: BTreeSet<&[u8]> = open
        .iter()
        .filter_map(|open| match open.rest.first() {
            Some(Part::Name(name)) => Some(&**name),
            _ => None,
        })
        .collect();
    let inside = |key: Option<&[u8]>| {
        let is_of = |first: &Part| match first {
            Part::Name(name) => key == Some(&**name),
            Part::Any => true,
        };
        let inside = open.iter().filter_map(|open| {
            let (first, rest) = open.rest.split_first()?;
            is_of(first).then_some(Open { rest, ..*open })
        });
        rule(&inside.collect::<Vec<_>>(), is_all)
    };
    let other = inside(None);
    // Where a key with dots is something else than any other key, each is looked at.
    let is_plain = matches!((&other, is_all), (Rule::Drop, _) | (Rule::Keep, true));
    let firsts = if is_plain { 0 } else { u64::MAX };
    let mut rules = Rules { names: Vec::new(), firsts, lengths: 0, other, is_strict: !is_all };
    for name in names {
        rules.set(name.into(), inside(Some(name)));
    }
    rules
}

/// What becomes of a value, by what is said of it and of what is in it.
fn rule(open: &[Open<'_>], is_all: bool) -> Rule {
    let mut here = open.iter().filter(|open| open.rest.is_empty()).map(|open| open.said);
    if here.clone().any(|said| matches!(said, Said::Exclude)) {
        return Rule::Drop;
    }
    let is_all = is_all || here.clone().any(|said| matches!(said, Said::Include));
    let mask = here.find_map(|said| match said {
        Said::Mask(mask) => Some(mask.clone()),
        _ => None,
    });
    let is_of_inside =
        |open: &&Open<'_>| !open.rest.is_empty() && (!is_all || !matches!(open.said, Said::Include));
    let inside: Vec<Open<'_>> = open.iter().filter(is_of_inside).copied().collect();
    if !is_all && !inside.iter().any(|open| matches!(open.said, Said::Include)) {
        return Rule::Drop;
    }
    if inside.is_empty() && mask.is_none() {
        return Rule::Keep;
    }
    let inside = (!inside.is_empty()).then(|| rules(&inside, is_all));
    Rule::Change(Box::new(Change { inside, parts_only: !is_all, mask }))
}
