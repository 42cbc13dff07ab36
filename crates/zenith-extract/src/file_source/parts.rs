//! Which bytes of a file a partition is.

use bson::RawBson;

use super::input::DataFile;
use super::pieces::{Filled, Pieces, to_u64};
use super::survey::{Buffer, Survey, blocking};
use crate::batch::document_id;
use crate::id::same;
use crate::{ExtractError, IdBound, IdRange, Namespace, PartitionBounds, PartitionStrategy, RecordRange};

/// Bytes of a file, counted unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    /// From the first byte to wherever the file ends.
    pub(super) const WHOLE: Span = Span { start: 0, end: u64::MAX };
}

/// Divides a file into at most so many parts.
///
/// Its order of storage by bytes: a record has the number of the byte it ends with. By `_id` it is not divided, as there is
/// no order by it.
pub(super) fn divide(survey: &Survey, desired: usize, strategy: PartitionStrategy) -> Vec<PartitionBounds> {
    if strategy == PartitionStrategy::IdRanges {
        return vec![PartitionBounds::IdRange(IdRange::default())];
    }
    let ends = cuts(survey, desired);
    if ends.is_empty() {
        return vec![PartitionBounds::Natural];
    }
    RecordRange::split_at(&survey.file.name(), ends).into_iter().map(PartitionBounds::Records).collect()
}

/// Where to cut a file into so many parts of about the same size.
fn cuts(survey: &Survey, desired: usize) -> Vec<i64> {
    let parts = to_u64(desired.max(1));
    let mut cuts: Vec<i64> = (1..parts)
        .filter_map(|part| {
            let aim = u64::try_from(u128::from(survey.bytes) * u128::from(part) / u128::from(parts)).ok()?;
            let place = survey.places.partition_point(|&place| place < aim);
            i64::try_from(*survey.places.get(place)?).ok().filter(|&place| place > 0)
        })
        .collect();
    cuts.dedup();
    cuts
}

/// The bytes of a part of the order of storage.
pub(super) fn bytes_of(range: &RecordRange, survey: &Survey) -> Result<Span, ExtractError> {
    let name = survey.file.name();
    if range.server != name {
        let reason = format!("it is of {}, and this is {name}", range.server);
        return Err(ExtractError::InvalidPartition { reason });
    }
    let place = |record: Option<i64>| record.and_then(|record| u64::try_from(record).ok());
    let end = place(range.until).map_or(survey.bytes, |until| until.min(survey.bytes));
    Ok(Span { start: place(range.after).unwrap_or(0).min(end), end })
}

/// The bytes between the documents that have the bounds of a range as their `_id`.
pub(super) async fn locate(
    namespace: &Namespace,
    range: &IdRange,
    file: DataFile,
    survey: &Survey,
) -> Result<Span, ExtractError> {
    let whole = Span { start: 0, end: survey.bytes };
    if *range == IdRange::default() {
        return Ok(whole);
    }
    let wanted = [range.lower.value().cloned(), range.upper.value().cloned()];
    let [lower, upper] = blocking(namespace, move || places_of(file, &wanted)).await?;
    let start = match &range.lower {
        IdBound::Unbounded => whole.start,
        IdBound::Included(id) => found(lower, id)?.start,
        IdBound::Excluded(id) => found(lower, id)?.end,
    };
    let end = match &range.upper {
        IdBound::Unbounded => whole.end,
        IdBound::Included(id) => found(upper, id)?.end,
        IdBound::Excluded(id) => found(upper, id)?.start,
    };
    Ok(Span { start: start.min(end), end })
}

fn found(place: Option<Span>, id: &RawBson) -> Result<Span, ExtractError> {
    let missing = || format!("no document of the dump has the _id {id:?}, which it begins or ends with");
    place.ok_or_else(|| ExtractError::InvalidPartition { reason: missing() })
}

/// Where the first documents with these `_id`s are.
fn places_of(file: DataFile, wanted: &[Option<RawBson>; 2]) -> Result<[Option<Span>; 2], ExtractError> {
    let mut pieces = Pieces::open(file, Span::WHOLE)?;
    let mut buffer = Buffer::default();
    let mut places = [None; 2];
    loop {
        let mut start = pieces.offset();
        let frame = match pieces.fill(buffer.bytes())? {
            Filled::Documents(frame) => frame,
            Filled::Larger(bytes) => {
                buffer.grow(bytes);
                continue;
            }
            Filled::End => return Ok(places),
        };
        for document in frame.documents(buffer.bytes()) {
            let end = start + to_u64(document.len());
            for (place, wanted) in places.iter_mut().zip(wanted) {
                let is_wanted = |wanted: &RawBson| {
                    document_id(document).is_some_and(|id| {
                        id.element_type() == wanted.element_type() && same(&RawBson::from(id), wanted)
                    })
                };
                if place.is_none() && wanted.as_ref().is_some_and(is_wanted) {
                    *place = Some(Span { start, end });
                }
            }
            start = end;
        }
        if places.iter().zip(wanted).all(|(place, wanted)| place.is_some() || wanted.is_none()) {
            return Ok(places);
        }
    }
}
