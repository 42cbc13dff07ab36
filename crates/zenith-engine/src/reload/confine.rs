//! Columns of a table that may not change: fields that it has no column for go to the extra one.

use zenith_arrow::schema::ID_KEY;
use zenith_arrow::{Field, Kind, Schema};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{Dialect, TypeParts, column_type, parts, same_values};

use super::given;
use super::table_types::{is_column_of, scalar};

/// Leaves only fields that the table has a column of their type for; where a document has other parts than the table, it
/// gets those of the table. What has no column goes to the extra one.
pub(crate) fn confine(schema: &mut Schema, table: &TableInfo, dialect: Dialect) {
    let is_of = |kind: &Kind, there: &str| {
        let arrow = Schema::new(vec![Field::new("value", kind.clone())]).to_arrow();
        let wanted = arrow.fields().first().map(|arrow| column_type(arrow, dialect));
        wanted.is_some_and(|wanted| wanted.is_ok_and(|wanted| same_values(there, &wanted)))
    };
    let dates = schema.dates;
    let column = |name: &str| table.columns.iter().find(|there| there.name == name);
    let keep_twin = |field: &mut Field| {
        field.twin.take_if(|twin| {
            let kind = Kind::Text { usual: twin.usual };
            !column(&twin.name)
                .is_some_and(|there| there.default_kind.is_empty() && is_of(&kind, &there.data_type))
        });
    };
    schema
        .fields
        .iter_mut()
        .filter(|field| field.flat.is_some())
        .for_each(|field| each_flat(field, &keep_twin));
    schema.retain_columns(|field| {
        if field.column_name() == ID_KEY {
            return true;
        }
        keep_twin(field);
        let Some(there) = column(field.column_name()).filter(|there| there.default_kind.is_empty()) else {
            return false;
        };
        if is_column_of(field, &there.data_type, dialect) || given::is_there(field, &there.data_type, dates) {
            return true;
        }
        match confined(&field.kind, &there.data_type, &is_of) {
            Some(kind) => field.kind = kind,
            None => return false,
        }
        true
    });
}

/// Does this with a flat document, and with those in it.
fn each_flat(field: &mut Field, change: &dyn Fn(&mut Field)) {
    change(field);
    for part in field.flat_parts_mut().into_iter().flatten().filter(|part| part.flat.is_some()) {
        each_flat(part, change);
    }
}

/// The kind of a column, or of a part of one, of this type.
fn confined(kind: &Kind, there: &str, is_of: &impl Fn(&Kind, &str) -> bool) -> Option<Kind> {
    if is_of(kind, there) {
        return Some(kind.clone());
    }
    let kind = match (parts(there), kind) {
        (TypeParts::Fields(there), Kind::Document(fields)) => {
            let of_part = |(name, there): &(String, &str)| {
                let known = fields.iter().find(|field| field.name == *name);
                let kind = known.and_then(|field| confined(&field.kind, there, is_of));
                Some(Field::new(name, kind.or_else(|| scalar(there, is_of))?))
            };
            Kind::Document(there.iter().map(of_part).collect::<Option<_>>()?)
        }
        (TypeParts::Elements(there), Kind::Array(element)) => {
            Kind::Array(Box::new(confined(element, there, is_of)?))
        }
        _ => scalar(there, is_of)?,
    };
    is_of(&kind, there).then_some(kind)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn table(columns: &[(&str, &str)]) -> TableInfo {
        TableInfo::of_columns(columns.iter().copied())
    }

    fn document<const N: usize>(fields: [(&str, Kind); N]) -> Kind {
        Kind::Document(fields.into_iter().map(|(name, kind)| Field::new(name, kind)).collect())
    }

    #[test]
    fn a_table_that_may_not_change_confines_the_columns() {
        let of = |fields: Vec<Field>, columns: &[(&str, &str)]| {
            let mut schema = Schema::new(fields);
            confine(&mut schema, &table(columns), Dialect::of_version((26, 7)));
            schema.fields
        };
        let fields = vec![
            Field::new("_id", Kind::Int64),
            Field::new("n", Kind::Int64),
            Field::new("new", Kind::Bool),
            Field::new("other", Kind::Bool),
            Field::new("sub", document([("b", Kind::String), ("new", Kind::Bool)])),
        ];
        let there = [
            ("_id", "Int64"),
            ("n", "Nullable(Int64)"),
            ("gone", "Nullable(String)"),
            ("other", "Nullable(Int32)"),
            ("sub", "Tuple(a Nullable(Int64), b Nullable(String))"),
        ];
        let confined = of(fields, &there);
        let names: Vec<&str> = confined.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["_id", "n", "other", "sub"]);
        assert_eq!(confined[2].kind, Kind::Int32);
        assert_eq!(confined[3].kind, document([("a", Kind::Int64), ("b", Kind::String)]));
    }
}
