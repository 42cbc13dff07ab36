//! Schemas that are noted before the table has their columns: a run that ends on the way finds columns in the table that no
//! other schema explains.
//!
//! ```text
//! schema announced ─▶ ALTER TABLE ─▶ schema noted, with the statement
//! ```
//!
//! A statement that seems to have failed may have had its effect, and another one for other fields may have followed it: of
//! each announced schema counts what the table has (`schema::with_known`).

use zenith_arrow::{Field, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{SchemaVersion, StateStore};
use zenith_transport::{Sink, TableInfo};

use super::context::Context;
use super::schema::{DIALECTS, NEW_FIELDS};
use crate::Result;
use crate::promotion::{beyond, changed_columns, with_new_columns};
use crate::reload::confine;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Notes columns that come, or gain parts, before they do: a run that ends on the way finds a table of one of these schemas.
    pub(super) async fn announce(&self, now: &Schema, then: &Schema) -> Result<()> {
        let (added, grown) = changed_columns(now, then);
        // New ones come first, and by a statement of their own.
        if !added.is_empty() && !grown.is_empty() {
            self.note_schema(&with_new_columns(now, then), NEW_FIELDS, "").await?;
        }
        if !added.is_empty() || !grown.is_empty() {
            self.note_schema(then, NEW_FIELDS, "").await?;
        }
        Ok(())
    }
}

/// Whether a schema was noted before the table got it, which it may never have.
pub(super) fn is_announced(version: &SchemaVersion) -> bool {
    version.change.cause == NEW_FIELDS && version.change.statement.is_empty()
}

/// The schema with the fields that the table has a column for.
pub(super) fn there(now: &Schema, then: &Schema, table: &TableInfo) -> Schema {
    let of = |dialect| {
        let mut schema = then.clone();
        confine(&mut schema, table, dialect);
        schema
    };
    // By the dialect that the server speaks there are most.
    let most = DIALECTS.map(of).into_iter().max_by_key(|schema| beyond(schema, now).len());
    let mut schema = now.clone();
    if let Some(most) = most {
        take_there(&mut schema.fields, &then.fields, most.fields);
    }
    schema
}

/// Takes the fields over that the table has columns for. Where a column has other parts than it was to get, its field stays as
/// it is.
fn take_there(fields: &mut Vec<Field>, then: &[Field], there: Vec<Field>) {
    for mut field in there {
        let wanted = then.iter().find(|wanted| wanted.name == field.name);
        match fields.iter_mut().find(|known| known.name == field.name) {
            Some(known) if known.flat_parts().is_some() && field.flat_parts().is_some() => {
                let then = wanted.and_then(Field::flat_parts).unwrap_or_default();
                if let (Some(known), Some(parts)) = (known.flat_parts_mut(), field.flat_parts_mut()) {
                    take_there(known, then, std::mem::take(parts));
                }
            }
            Some(known) if wanted == Some(&field) => *known = field,
            Some(_) => {}
            None => fields.push(field),
        }
    }
}
