//! Rows that only say that a place has been left, where the rows of documents that are gone stay: if the document's own row is
//! refused, it has left nothing, and the row it had says that it is gone.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use zenith_transport::Scalar;

use super::key::key;
use crate::layout::MOVED_COLUMN;
use crate::{EngineError, Result};

/// The rows of a batch apart from those that say what is left, which come first in it.
pub(crate) fn apart(batch: &RecordBatch) -> Result<(Option<RecordBatch>, Option<RecordBatch>)> {
    let moved = batch.column_by_name(MOVED_COLUMN).and_then(|moved| moved.as_primitive_opt::<UInt8Type>());
    let moved: &[u8] = moved.ok_or(EngineError::Worker { worker: "rows of places that are left" })?.values();
    let left = moved.iter().take_while(|moved| **moved == 1).count();
    let part = |from: usize, rows: usize| (rows > 0).then(|| batch.slice(from, rows));
    Ok((part(left, batch.num_rows() - left), part(0, left)))
}

/// The rows that are not of these documents, in order.
pub(crate) fn of_others(batch: &RecordBatch, keys: &HashSet<Scalar>) -> Result<Vec<RecordBatch>> {
    let mut others = Vec::new();
    let mut start = 0;
    for row in 0..=batch.num_rows() {
        if row == batch.num_rows() || keys.contains(&key(batch, row)?) {
            if row > start {
                others.push(batch.slice(start, row - start));
            }
            start = row + 1;
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, UInt8Array};

    use super::*;

    #[test]
    fn what_documents_leave_goes_without_those_that_are_refused() {
        let columns: [(&str, ArrayRef); 2] = [
            ("_id", Arc::new(Int64Array::from(vec![1, 2, 3, 2, 4, 1]))),
            (MOVED_COLUMN, Arc::new(UInt8Array::from(vec![1, 1, 1, 1, 0, 0]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let (rows, left) = apart(&batch).unwrap();
        let ids = |batch: &RecordBatch| {
            batch.column(0).as_primitive::<arrow_array::types::Int64Type>().values().to_vec()
        };
        assert_eq!((ids(&rows.unwrap()), ids(left.as_ref().unwrap())), (vec![4, 1], vec![1, 2, 3, 2]));
        let others = |keys: &[i64]| {
            let keys = keys.iter().map(|key| Scalar::Int64(*key)).collect();
            of_others(left.as_ref().unwrap(), &keys).unwrap().iter().map(ids).collect::<Vec<_>>()
        };
        assert_eq!(others(&[]), [[1, 2, 3, 2]]);
        assert_eq!(others(&[2]), [vec![1], vec![3]]);
        assert_eq!(others(&[1, 2, 3]), Vec::<Vec<i64>>::new());
    }
}
