//! Documents whose parts are columns of their own: a field of a schema and a column of its table are not the same there.

use super::{Field, Kind, Schema};

impl Schema {
    /// The fields that have columns of their own, in the order of these.
    pub fn columns(&self) -> impl Iterator<Item = &Field> {
        let mut columns = Vec::with_capacity(self.fields.len());
        self.fields.iter().for_each(|field| field.columns_into(&mut columns));
        columns.into_iter()
    }

    /// The field of the column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Field> {
        self.columns().find(|field| field.column_name() == name)
    }

    /// Keeps those of the fields with columns that are wanted, and may change them. A document without any of its columns goes.
    pub fn retain_columns(&mut self, mut keep: impl FnMut(&mut Field) -> bool) {
        self.fields.retain_mut(|field| field.retain_columns(&mut keep));
    }

    /// Whether there are documents whose parts are columns of their own.
    #[must_use]
    pub fn has_flat(&self) -> bool {
        self.fields.iter().any(|field| field.flat.is_some())
    }

    /// The same in which each document is one column, of parts that are called as their columns were.
    #[must_use]
    pub fn as_tuples(&self) -> Schema {
        Schema { fields: self.fields.iter().map(Field::as_tuple).collect(), ..self.clone() }
    }

    /// The keys that lead to the field of a column.
    #[must_use]
    pub fn keys_of(&self, column: &str) -> Option<Vec<&str>> {
        keys_of(&self.fields, column)
    }

    /// The column that shows the field of a path, or has it as a part, and how much of the path leads to it.
    #[must_use]
    pub fn column_at<'p>(&self, path: &'p str) -> Option<(&Field, &'p str)> {
        column_at(&self.fields, path, 0)
    }
}

impl Field {
    /// The document's parts, where they are columns of their own.
    #[must_use]
    pub fn flat_parts(&self) -> Option<&[Field]> {
        match (&self.kind, &self.flat) {
            (Kind::Document(parts), Some(_)) => Some(parts),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn flat_parts_mut(&mut self) -> Option<&mut Vec<Field>> {
        match (&mut self.kind, &self.flat) {
            (Kind::Document(parts), Some(_)) => Some(parts),
            _ => None,
        }
    }

    /// What the names of the columns of its parts begin with; `None` where these have none of their own.
    #[must_use]
    pub fn prefix(&self) -> Option<String> {
        let separator = self.flat.as_ref().filter(|_| self.flat_parts().is_some())?;
        Some(format!("{}{separator}", self.column_name()))
    }

    /// Whether a column of it is never NULL: it shows the default of its type also where the whole document is missing.
    #[must_use]
    pub fn has_required(&self) -> bool {
        self.required || self.flat_parts().is_some_and(|parts| parts.iter().any(Field::has_required))
    }

    fn as_tuple(&self) -> Field {
        match self.flat_parts() {
            Some(parts) => {
                let kind = Kind::Document(parts.iter().map(Field::as_tuple).collect());
                Field { kind, flat: None, ..self.clone() }
            }
            None => self.clone(),
        }
    }

    /// It, or those of its parts that have columns.
    fn columns_into<'f>(&'f self, columns: &mut Vec<&'f Field>) {
        match self.flat_parts() {
            Some(parts) => parts.iter().for_each(|part| part.columns_into(columns)),
            None => columns.push(self),
        }
    }

    pub(crate) fn retain_columns(&mut self, keep: &mut dyn FnMut(&mut Field) -> bool) -> bool {
        match self.flat_parts_mut() {
            Some(parts) => {
                parts.retain_mut(|part| part.retain_columns(keep));
                !parts.is_empty()
            }
            None => keep(self),
        }
    }
}

fn keys_of<'f>(fields: &'f [Field], column: &str) -> Option<Vec<&'f str>> {
    fields.iter().find_map(|field| match field.flat_parts() {
        Some(parts) => {
            let mut keys = keys_of(parts, column)?;
            keys.insert(0, &field.name);
            Some(keys)
        }
        None => (field.column_name() == column).then(|| vec![field.name.as_str()]),
    })
}

fn column_at<'f, 'p>(fields: &'f [Field], path: &'p str, from: usize) -> Option<(&'f Field, &'p str)> {
    let rest = path.get(from..)?;
    fields.iter().find_map(|field| {
        let after = rest.strip_prefix(field.name.as_str())?;
        let end = from + field.name.len();
        match field.flat_parts() {
            Some(parts) if after.starts_with('.') => column_at(parts, path, end + 1),
            Some(_) => None,
            None => (after.is_empty() || after.starts_with('.')).then(|| (field, &path[..end])),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(name: &str, parts: Vec<Field>) -> Field {
        Field { flat: Some("_".to_owned()), ..Field::new(name, Kind::Document(parts)) }
    }

    fn named(name: &str, column: &str) -> Field {
        Field { column: Some(column.to_owned()), ..Field::new(name, Kind::Int64) }
    }

    #[test]
    fn parts_of_documents_are_found_by_columns_and_paths() {
        let inner = Field { column: Some("a_in".to_owned()), ..flat("in", vec![named("x.y", "a_in_x.y")]) };
        let tuple = Kind::Document(vec![Field::new("p", Kind::Bool)]);
        let fields = vec![Field::new("_id", Kind::Int64), flat("a", vec![named("b", "a_b"), inner])];
        let mut schema = Schema::new([fields, vec![Field::new("t", tuple)]].concat());
        let names: Vec<&str> = schema.columns().map(Field::column_name).collect();
        assert_eq!(names, ["_id", "a_b", "a_in_x.y", "t"]);
        assert_eq!(schema.keys_of("a_in_x.y"), Some(vec!["a", "in", "x.y"]));
        assert_eq!(schema.keys_of("a"), None);
        let at = |path| schema.column_at(path).map(|(field, path)| (field.column_name(), path));
        assert_eq!(at("a.b"), Some(("a_b", "a.b")));
        assert_eq!(at("a.b.more"), Some(("a_b", "a.b")));
        assert_eq!(at("a.in.x.y"), Some(("a_in_x.y", "a.in.x.y")));
        assert_eq!(at("t.p"), Some(("t", "t")));
        assert_eq!((at("a"), at("a.new"), at("ab")), (None, None, None));
        let saved = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&saved).unwrap(), schema);
        schema.retain_columns(|field| field.column_name() != "a_b" && field.column_name() != "a_in_x.y");
        assert_eq!(schema.fields.len(), 2);
    }
}
