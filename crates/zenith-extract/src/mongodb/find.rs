//! The `find` command of a scan, the same for either transport.

use bson::raw::cstr;
use bson::{RawBson, RawDocumentBuf, rawdoc};

use mongodb::options::ReadConcernLevel;

use super::filter::Filter;
use crate::id::same;
use crate::{IdBound, IdRange, Namespace, PartitionBounds, ReadConcern};

/// One cursor's worth of a partition.
///
/// `max` of the server leaves its bound out, so a range that ends with its bound takes two steps: the range, and the one
/// document at its end. So does a range that begins with a bound and has no other: the server fills in MaxKey for a
/// `max` that is not given, and MaxKey may be an `_id`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// All documents in the order of storage.
    Natural,
    /// The documents stored after a record, in the order of storage; each reply says which record it ends with.
    Records { after: Option<i64> },
    /// All documents in any order.
    Unordered,
    /// `min` ≤ `_id` < `max`, leaving out a first document whose `_id` is `min` if `skip_min`.
    Range { min: Option<RawBson>, skip_min: bool, max: Option<RawBson> },
    /// The document with exactly this `_id`.
    One(RawBson),
}

/// The steps that read the documents within `bounds`, in order.
pub(super) fn steps(bounds: &PartitionBounds) -> Vec<Step> {
    let range = match bounds {
        PartitionBounds::Natural => return vec![Step::Natural],
        PartitionBounds::Records(range) => return vec![Step::Records { after: range.after }],
        PartitionBounds::Unordered => return vec![Step::Unordered],
        PartitionBounds::IdRange(range) => range,
    };
    let mut steps = Vec::with_capacity(2);
    if let Some(range) = open_ended(range) {
        steps.push(range);
    }
    let last = match (&range.lower, &range.upper) {
        (_, IdBound::Included(value)) => Some(value.clone()),
        (IdBound::Included(_) | IdBound::Excluded(_), IdBound::Unbounded) => Some(RawBson::MaxKey),
        _ => None,
    };
    let left_out = |last: &RawBson| matches!(&range.lower, IdBound::Excluded(lower) if same(lower, last));
    steps.extend(last.filter(|last| !left_out(last)).map(Step::One));
    steps
}

/// The range without the value at its end. `None` if nothing is left: the server refuses equal bounds, and fills in
/// MinKey and MaxKey for one that is not given.
fn open_ended(range: &IdRange) -> Option<Step> {
    let min = range.lower.value().cloned();
    let max = range.upper.value().cloned();
    let bounded = min.is_some() || max.is_some();
    if bounded && same(min.as_ref().unwrap_or(&RawBson::MinKey), max.as_ref().unwrap_or(&RawBson::MaxKey)) {
        return None;
    }
    Some(Step::Range { min, skip_min: matches!(range.lower, IdBound::Excluded(_)), max })
}

/// The command for one step. `batch_documents` is the size of the first reply.
pub(super) fn command(
    namespace: &Namespace,
    step: &Step,
    filter: &Filter,
    batch_documents: Option<i32>,
    read_concern: Option<RawDocumentBuf>,
) -> RawDocumentBuf {
    let mut command = rawdoc! { "find": namespace.collection.as_str() };
    match step {
        Step::Natural => command.append(cstr!("hint"), rawdoc! { "$natural": 1 }),
        Step::Records { after } => {
            command.append(cstr!("hint"), rawdoc! { "$natural": 1 });
            command.append(cstr!("$_requestResumeToken"), true);
            if let Some(after) = after {
                command.append(cstr!("$_resumeAfter"), rawdoc! { "$recordId": *after });
            }
        }
        Step::Unordered => {}
        Step::Range { min, max, .. } => {
            command.append(cstr!("hint"), rawdoc! { "_id": 1 });
            if let Some(min) = min {
                command.append(cstr!("min"), rawdoc! { "_id": min.as_raw_bson_ref() });
            }
            if let Some(max) = max {
                command.append(cstr!("max"), rawdoc! { "_id": max.as_raw_bson_ref() });
            }
        }
        Step::One(value) => {
            let equal = rawdoc! { "$eq": value.as_raw_bson_ref() };
            command.append(cstr!("filter"), filter.and(rawdoc! { "_id": equal }));
            command.append(cstr!("limit"), 1_i32);
            command.append(cstr!("singleBatch"), true);
        }
    }
    if !matches!(step, Step::One(_)) {
        filter.add_to(&mut command);
    }
    if let Some(batch_documents) = batch_documents {
        command.append(cstr!("batchSize"), batch_documents);
    }
    // A cursor may be idle for as long as the other end takes; the session it belongs to is kept alive instead. Views are
    // aggregations, which do not know the option.
    if *step != Step::Unordered {
        command.append(cstr!("noCursorTimeout"), true);
    }
    if let Some(read_concern) = read_concern {
        command.append(cstr!("readConcern"), read_concern);
    }
    command
}

/// The read concern as the command has it; `configured` is that of the connection string.
pub(super) fn read_concern(wanted: ReadConcern, configured: Option<&str>) -> Option<RawDocumentBuf> {
    match wanted {
        ReadConcern::Configured => configured.map(|level| rawdoc! { "level": level }),
        ReadConcern::Majority => Some(rawdoc! { "level": "majority" }),
        ReadConcern::MajorityAfter(time) => Some(rawdoc! { "level": "majority", "afterClusterTime": time }),
        ReadConcern::SnapshotAt(time) => Some(rawdoc! { "level": "snapshot", "atClusterTime": time }),
    }
}

/// The name of a level of the connection string.
pub(super) fn level(level: &ReadConcernLevel) -> &str {
    match level {
        ReadConcernLevel::Local => "local",
        ReadConcernLevel::Majority => "majority",
        ReadConcernLevel::Linearizable => "linearizable",
        ReadConcernLevel::Available => "available",
        ReadConcernLevel::Snapshot => "snapshot",
        ReadConcernLevel::Custom(name) => name,
        // The driver may learn new levels; the strongest of the usual ones is the safe reading of one.
        _ => "majority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_included_upper_bound_takes_a_step_of_its_own() {
        let range = |lower, upper| PartitionBounds::IdRange(IdRange { lower, upper });
        let (one, two) = (RawBson::Int32(1), RawBson::Int32(2));
        let between = Step::Range { min: Some(one.clone()), skip_min: true, max: Some(two.clone()) };
        assert_eq!(
            steps(&range(IdBound::Excluded(one.clone()), IdBound::Included(two.clone()))),
            [between, Step::One(two)]
        );
        assert_eq!(steps(&range(IdBound::Excluded(one.clone()), IdBound::Included(one.clone()))), []);
        assert_eq!(steps(&range(IdBound::Included(one.clone()), IdBound::Excluded(one.clone()))), []);
        assert_eq!(
            steps(&range(IdBound::Included(one.clone()), IdBound::Included(one.clone()))),
            [Step::One(one.clone())]
        );
        let rest = Step::Range { min: Some(one.clone()), skip_min: true, max: None };
        let bounds = range(IdBound::Excluded(one.clone()), IdBound::Unbounded);
        assert_eq!(steps(&bounds), [rest, Step::One(RawBson::MaxKey)]);
        assert_eq!(steps(&range(IdBound::Excluded(RawBson::MaxKey), IdBound::Unbounded)), []);
        assert_eq!(
            steps(&range(IdBound::Included(RawBson::MaxKey), IdBound::Unbounded)),
            [Step::One(RawBson::MaxKey)]
        );
        let smallest = range(IdBound::Unbounded, IdBound::Included(RawBson::MinKey));
        assert_eq!(steps(&smallest), [Step::One(RawBson::MinKey)]);
        let whole = Step::Range { min: None, skip_min: false, max: None };
        assert_eq!(steps(&range(IdBound::Unbounded, IdBound::Unbounded)), [whole]);
    }
}
