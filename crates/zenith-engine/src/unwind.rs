//! Arrays that are unwound into rows: what tells the rows of one document apart, and what goes along with it.

use std::sync::Arc;

use zenith_arrow::{Field, Schema, Unwind};
use zenith_transport::ddl::{expressions, identifier};

use crate::Result;
use crate::layout::KEY;
use crate::policies::Mode;
use crate::settings::PipelineSettings;
use crate::table_options::TableOptions;
use crate::table_shape::{Refusal, TableShape};
use crate::transforms::unusable;

/// Why a change log has no unwound array.
const OF_A_LOG: &str = "a change log has one row for each change, and an update would have to have one for each element of before \
    and after: take mode = \"changes\", or arrayJoin(items) in queries of the log";

impl TableOptions {
    /// The column with the number of the element, if an array is unwound.
    pub(crate) fn index_column(&self) -> Option<String> {
        let field = Unwind::index_of(self.unwind.as_ref()?);
        let renamed = self.rename.iter().find(|(name, _)| *name == field);
        Some(renamed.map_or(field, |(_, column)| column.clone()))
    }

    /// The field of that column.
    pub(crate) fn index_field(&self) -> Option<String> {
        self.unwind.as_ref().map(|path| Unwind::index_of(path))
    }

    /// That column of a table that is there, which keeps the name it was made with.
    pub(crate) fn index_column_of<'s>(&self, schema: &'s Schema) -> Option<&'s str> {
        column_of(schema, &self.index_field()?)
    }

    /// What makes rows of documents, after they have been changed.
    pub(crate) fn unwinding(&self) -> Result<Option<Arc<Unwind>>> {
        let unwind = self.unwind.as_ref().map(|path| Unwind::new(path)).transpose().map_err(unusable)?;
        Ok(unwind.map(Arc::new))
    }

    /// The shape of the table: where an array is unwound, the number of the element belongs to its key.
    pub(crate) fn shape_of(&self, shape: &TableShape) -> TableShape {
        let Some(column) = self.index_column() else { return shape.clone() };
        let said = shape.order_by.iter().flat_map(|said| expressions(said).unwrap_or_else(|| vec![said]));
        let mut key: Vec<String> = said.map(str::to_owned).collect();
        for name in [KEY, &column] {
            if !key.iter().any(|part| part == name || *part == identifier(name)) {
                key.push(identifier(name));
            }
        }
        TableShape { order_by: key, ..shape.clone() }
    }
}

/// The column of a field of the top level.
pub(crate) fn column_of<'s>(schema: &'s Schema, field: &str) -> Option<&'s str> {
    schema.fields.iter().find(|known| known.name == field).map(Field::column_name)
}

impl PipelineSettings {
    /// Why no array can be unwound, if one is to be.
    pub(crate) fn unwind_refusal(&self) -> Option<Refusal> {
        let path = self.options.unwind.as_ref()?;
        (self.mode == Mode::ChangeLog).then(|| Refusal {
            setting: "unwind",
            value: path.clone(),
            reason: OF_A_LOG.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(unwind: &str, rename: &[(&str, &str)]) -> TableOptions {
        let owned = |(name, column): &(&str, &str)| ((*name).to_owned(), (*column).to_owned());
        TableOptions {
            unwind: Some(unwind.to_owned()),
            rename: rename.iter().map(owned).collect(),
            ..TableOptions::default()
        }
    }

    #[test]
    fn the_number_of_the_element_ends_the_key() {
        let key = |options: &TableOptions, order_by: &[&str]| {
            let order_by = order_by.iter().map(|&part| part.to_owned()).collect();
            options.shape_of(&TableShape { order_by, ..TableShape::default() }).order_by
        };
        let items = options("order.items", &[]);
        assert_eq!(key(&items, &[]), ["`_id`", "`items_index`"]);
        assert_eq!(key(&items, &["tenant, toDate(at)"]), ["tenant", "toDate(at)", "`_id`", "`items_index`"]);
        assert_eq!(key(&items, &["items_index", "_id"]), ["items_index", "_id"]);
        assert_eq!(key(&options("items", &[("items_index", "line")]), &[]), ["`_id`", "`line`"]);
        assert_eq!(key(&TableOptions::default(), &["a"]), ["a"]);
    }

    #[test]
    fn a_change_log_is_not_unwound() {
        let settings =
            |mode| PipelineSettings { mode, options: options("items", &[]), ..PipelineSettings::default() };
        assert!(settings(Mode::ChangeLog).contradiction().is_some_and(|refusal| refusal.setting == "unwind"));
        for mode in [Mode::Changes, Mode::Full, Mode::IdCursor] {
            assert_eq!(settings(mode).contradiction(), None);
        }
    }
}
