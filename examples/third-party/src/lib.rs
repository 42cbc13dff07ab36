//! A source and a sink that are none of Zenith's: files of JSON lines, and folders of Arrow files.
//!
//! | | |
//! | --- | --- |
//! | [`JsonLines`] | a folder whose files are collections; each line is a document |
//! | [`ArrowFolder`] | a folder whose folders are tables; each insert is an Arrow IPC file |
//!
//! `cargo run -- FOLDER COLLECTION TARGET_FOLDER` copies one into the other. The tests run the suites that prove a source
//! and a sink: they are the first to write for one of your own.

mod arrow_folder;
mod json_lines;

pub use arrow_folder::ArrowFolder;
pub use json_lines::JsonLines;
