//! The text of an overlay, written as a document is walked: an object shaped like the document, of which only those
//! parts are there that something is said of.

use crate::extended_json::{LITERAL_KEY, is_reserved_key, write_string};
use crate::raw::RawError;
use crate::schema::{DUPLICATES_KEY, ELEMENTS_KEY};

/// What a value is called in its document or array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'d> {
    Name(&'d [u8]),
    Position(usize),
}

/// A text that grows.
#[derive(Default)]
pub(super) struct Overlay<'d> {
    out: Vec<u8>,
    levels: Vec<Level<'d>>,
    /// Levels, from the outermost, that are open in the text.
    opened: usize,
}

/// A document or array that the walk is in.
struct Level<'d> {
    key: Key<'d>,
    is_array: bool,
    /// Where its text begins.
    start: usize,
    entries: usize,
    reserved: bool,
}

impl<'d> Overlay<'d> {
    /// Goes on behind `out`, with the document as the outermost level.
    pub(super) fn new(out: Vec<u8>) -> Overlay<'d> {
        let mut overlay = Overlay { out, levels: Vec::with_capacity(8), opened: 0 };
        overlay.enter(Key::Name(b""), false);
        overlay
    }

    /// The text so far.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.leave(&[]);
        self.out
    }

    /// Goes into a document or an array. Nothing is written unless something is said in there.
    pub(super) fn enter(&mut self, key: Key<'d>, is_array: bool) {
        self.levels.push(Level { key, is_array, start: 0, entries: 0, reserved: false });
    }

    /// Leaves the level entered last; whether anything was said in it. `duplicates` are the pairs of earlier values of
    /// its repeated keys, each as an object, with commas between them.
    pub(super) fn leave(&mut self, duplicates: &[u8]) -> bool {
        if !duplicates.is_empty() {
            // They are keys and values of UTF-8 already.
            let _ = self.open();
        }
        let is_open = self.opened == self.levels.len();
        let Some(level) = self.levels.pop() else { return false };
        if !is_open {
            return false;
        }
        self.opened -= 1;
        self.out.extend_from_slice(if level.is_array { b"}}" } else { b"}" });
        if level.reserved {
            let literal = format!("{{\"{LITERAL_KEY}\":");
            self.out.splice(level.start..level.start, literal.into_bytes());
            self.out.push(b'}');
        }
        if !duplicates.is_empty() {
            let mut front = format!("\"{DUPLICATES_KEY}\":[").into_bytes();
            front.extend_from_slice(duplicates);
            front.push(b']');
            if level.entries > 0 {
                front.push(b',');
            }
            self.out.splice(level.start + 1..=level.start, front);
        }
        true
    }

    /// Begins an entry of the level at hand; its value is to be appended to the text returned.
    pub(super) fn entry(&mut self, key: Key<'d>) -> Result<&mut Vec<u8>, RawError> {
        self.open()?;
        if let Some(level) = self.levels.last_mut() {
            write_key(&mut self.out, level, key)?;
        }
        Ok(&mut self.out)
    }

    /// Opens all levels that are not.
    fn open(&mut self) -> Result<(), RawError> {
        while self.opened < self.levels.len() {
            let (outer, inner) = self.levels.split_at_mut(self.opened);
            let Some(level) = inner.first_mut() else { break };
            if let Some(outer) = outer.last_mut() {
                write_key(&mut self.out, outer, level.key)?;
            }
            level.start = self.out.len();
            self.out.push(b'{');
            if level.is_array {
                write_string(&mut self.out, ELEMENTS_KEY.as_bytes())?;
                self.out.extend_from_slice(b":{");
            }
            self.opened += 1;
        }
        Ok(())
    }
}

fn write_key(out: &mut Vec<u8>, level: &mut Level<'_>, key: Key<'_>) -> Result<(), RawError> {
    if level.entries > 0 {
        out.push(b',');
    }
    level.entries += 1;
    match key {
        Key::Name(name) => {
            level.reserved |= is_reserved_key(name);
            write_string(out, name)?;
        }
        Key::Position(position) => out.extend_from_slice(format!("\"{position}\"").as_bytes()),
    }
    out.push(b':');
    Ok(())
}
