//! A table that is there steers what is inferred: how wide a number is may look different in the next sample.

use arrow_schema::FieldRef;
use zenith_arrow::{Kind, Schema};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{Dialect, column_type};

use super::difference::same_values;

/// Widens the numbers of those columns that then have the type the table has for them.
///
/// Only widening: a narrower column would send values to the extra column that have had a place of their own.
pub(super) fn steer(schema: &mut Schema, table: &TableInfo, dialect: Dialect) {
    let fields = schema.to_arrow();
    for (field, arrow) in schema.fields.iter_mut().zip(fields.fields()) {
        let Some(there) = table.columns.iter().find(|there| there.name == field.name) else { continue };
        let fits =
            |arrow: &FieldRef| column_type(arrow, dialect).is_ok_and(|it| same_values(&there.data_type, &it));
        if fits(arrow) {
            continue;
        }
        for widen in [to_long, to_double] {
            let mut wider = field.clone();
            each_leaf(&mut wider.kind, widen);
            let alone = Schema::new(vec![wider.clone()]).to_arrow();
            if alone.fields().first().is_some_and(fits) {
                *field = wider;
                break;
            }
        }
    }
}

fn to_long(kind: &mut Kind) {
    if *kind == Kind::Int32 {
        *kind = Kind::Int64;
    }
}

fn to_double(kind: &mut Kind) {
    if matches!(kind, Kind::Int32 | Kind::Int64) {
        *kind = Kind::Double;
    }
}

fn each_leaf(kind: &mut Kind, change: fn(&mut Kind)) {
    match kind {
        Kind::Document(fields) => {
            fields.iter_mut().for_each(|field| each_leaf(&mut field.kind, change));
        }
        Kind::Array(element) => each_leaf(element, change),
        leaf => change(leaf),
    }
}

#[cfg(test)]
mod tests {
    use zenith_transport::ColumnInfo;

    use super::*;

    fn steered(kind: Kind, there: &str) -> Kind {
        let mut schema = Schema::new(vec![zenith_arrow::Field::new("n", kind)]);
        let table = TableInfo {
            columns: vec![ColumnInfo {
                name: "n".to_owned(),
                data_type: there.to_owned(),
                default_kind: String::new(),
            }],
            engine: "MergeTree".to_owned(),
            sorting_key: "_id".to_owned(),
            comment: String::new(),
            rows: 0,
            additions: Some(zenith_transport::ddl::Additions::default()),
        };
        steer(&mut schema, &table, Dialect::of_version((26, 7)));
        schema.fields.remove(0).kind
    }

    #[test]
    fn numbers_are_widened_to_what_the_table_has_and_never_narrowed() {
        assert_eq!(steered(Kind::Int32, "Nullable(Int64)"), Kind::Int64);
        assert_eq!(steered(Kind::Int64, "Nullable(Float64)"), Kind::Double);
        assert_eq!(steered(Kind::Int64, "Nullable(Int32)"), Kind::Int64);
        assert_eq!(steered(Kind::String, "Nullable(Int32)"), Kind::String);
        let list = Kind::Array(Box::new(Kind::Int32));
        assert_eq!(steered(list, "Array(Nullable(Int64))"), Kind::Array(Box::new(Kind::Int64)));
    }
}
