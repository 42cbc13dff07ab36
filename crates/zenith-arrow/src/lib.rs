//! BSON to Arrow: schema inference, decoding into record batches, rebuilding documents.
//!
//! | item | role |
//! | --- | --- |
//! | [`Schema`] | which column each field has |
//!
//! This crate reads raw BSON bytes and never names a database.

pub mod decode;
pub mod extended_json;
pub mod fit;
pub mod infer;
pub mod raw;
pub mod rebuild;
pub mod schema;

pub use decode::{BadDocument, DecodeError, Decoder, DecoderOptions, ExtraCounts, Surprise};
pub use rebuild::{Difference, RebuildError, equal, rebuild};
pub use schema::{Blank, DateRange, Field, Kind, Schema, TextType, Twin, UuidOrder};
