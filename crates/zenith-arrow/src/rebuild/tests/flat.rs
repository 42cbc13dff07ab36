//! Documents whose parts are columns of their own.

use bson::doc;

use super::decoded;
use crate::infer::{Flat, InferOptions, infer};
use crate::schema::{Field, Kind};
use crate::{equal, rebuild};

/// A document whose column of a part is never NULL, and which is missing, null, empty, another value or itself.
#[test]
fn parts_that_are_never_null_are_told_from_missing_documents() {
    let documents = [
        doc! { "_id": 1, "d": { "a": "x", "in": { "n": 5 } } },
        doc! { "_id": 2 },
        doc! { "_id": 3, "d": {} },
        doc! { "_id": 4, "d": null },
        doc! { "_id": 5, "d": "other" },
        doc! { "_id": 6, "d": { "a": "" } },
        doc! { "_id": 7, "d": { "in": { "n": 0, "new": 1 } } },
        doc! { "_id": 8, "d": { "in": { "n": "no" } } },
    ];
    let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
    for keep_nulls in [false, true] {
        let flat = Some(Flat { separator: "_".to_owned(), levels: 9, arrays_as_text: false });
        let options = InferOptions { flat, keep_nulls, ..InferOptions::default() };
        let mut schema = infer([&bytes[0][..]], &options).schema;
        schema.retain_columns(|field| {
            *field = std::mem::replace(field, Field::new("", Kind::Bool)).required();
            true
        });
        let names: Vec<&str> = schema.columns().map(Field::column_name).collect();
        assert_eq!(names, ["_id", "d_a", "d_in_n"]);
        for (document, bytes) in documents.iter().zip(&bytes) {
            let row = decoded(&schema, bytes);
            assert!(row.columns().iter().all(|column| column.null_count() == 0));
            let rebuilt = rebuild(&schema, &row, 0).unwrap();
            assert_eq!(equal(document, &rebuilt, keep_nulls).map_err(|found| found.to_string()), Ok(()));
        }
    }
}
