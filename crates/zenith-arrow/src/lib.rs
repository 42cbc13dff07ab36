//! BSON to Arrow: schema inference, decoding into record batches, rebuilding documents.
//!
//! | item | role |
//! | --- | --- |
//! | [`infer::infer`] | a schema from sample documents |
//! | [`Schema`] | the columns and their fields |
//! | [`TransformOptions`], [`Transform`] | fields that are left out, and values that are masked |
//! | [`Decoder`] | documents to record batches, in one pass |
//! | [`ExtraCounts`] | counts of values that no column shows, by field and reason |
//! | [`extended_json`] | the language of the extra column and the notes column |
//! | [`rebuild()`], [`equal`] | documents from rows, and equality in value |
//!
//! This crate reads raw BSON bytes and never names a database.

pub mod decode;
pub mod extended_json;
pub mod fit;
pub mod infer;
pub mod rebuild;
pub mod schema;
pub mod transform;

pub use decode::{BadDocument, BadReason, DecodeError, Decoder, DecoderOptions, ExtraCounts, Surprise};
pub use rebuild::{Difference, RebuildError, equal, rebuild};
pub use schema::{Blank, DateRange, Field, GivenType, Kind, Limit, Schema, TextType, Twin, UuidOrder};
pub use transform::{Mask, PathError, PlainTransform, Salt, Transform, TransformOptions, Unwind, WHOLE_KEY};
