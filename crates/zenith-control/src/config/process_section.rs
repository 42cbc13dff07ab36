//! `[state]` and `[memory]`: what a process needs before it has anything to run.

use std::path::Path;

use bytesize::ByteSize;
use zenith_engine::state::{PostgresAddress, is_literal};

use super::file::{Reader, Sections};
use super::{MEMORY_MIN, Process};

impl<'t> Reader<'t> {
    pub(super) fn process(&mut self, sections: &mut Sections<'t>) -> Process {
        let mut state = self.section(sections, "state");
        let mut memory = self.section(sections, "memory");
        let state_place = self.state(&mut state);
        self.no_more(&state, "[state]", &["path", "uri"]);
        let buffer = self.text_of(&mut memory, "buffer").and_then(|(at, text)| match text.parse() {
            Ok(size) if size >= MEMORY_MIN => Some(size),
            Ok(_) => {
                self.wrong(at, &format!("buffer is {text:?}, and at least 8MiB is needed"));
                None::<ByteSize>
            }
            Err(_) => {
                self.wrong(at, &format!("buffer is {text:?}, which is no size: write it as \"64MiB\""));
                None
            }
        });
        self.no_more(&memory, "[memory]", &["buffer"]);
        Process { state: state_place, memory: buffer, alerts: self.alerts(sections) }
    }

    fn state(&mut self, state: &mut Sections<'t>) -> Option<String> {
        let path = self.text_of(state, "path").map(|(_, path)| self.absolute(Path::new(&path)));
        let Some((at, uri)) = self.text_of(state, "uri") else {
            return path.map(|path| path.to_string_lossy().into_owned());
        };
        if path.is_some() {
            self.wrong(at, "the state has a path and a uri: leave one of them out");
        } else if !PostgresAddress::is_one(&uri) {
            self.wrong(
                at,
                "uri is an address as postgres://USER:${PASSWORD}@HOST/DATABASE; a file is a path",
            );
        } else if is_literal(&uri) {
            self.wrong(
                at,
                "uri has a password in it: write a reference such as ${STATE_PASSWORD} in its place",
            );
        }
        Some(uri)
    }
}
