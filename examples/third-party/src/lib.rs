//! A source, a sink and a transform that are none of Zenith's: files of JSON lines, folders of Arrow files, and lengths of texts.
//!
//! | | |
//! | --- | --- |
//! | [`JsonLines`] | a folder whose files are collections; each line is a document |
//! | [`ArrowFolder`] | a folder whose folders are tables; each insert is an Arrow IPC file |
//! | [`Lengths`] | a column with the length of a text |
//!
//! `cargo run -- FOLDER COLLECTION TARGET_FOLDER` copies one into the other. The tests run the suites that prove a source,
//! a sink and a transform: they are the first to write for one of your own.

mod arrow_folder;
mod json_lines;
mod lengths;

pub use arrow_folder::ArrowFolder;
pub use json_lines::JsonLines;
pub use lengths::Lengths;
