//! Parts of a collection by `_id`, read by one command: where each begins, and what they are together.

use std::iter;

use bson::spec::ElementType;
use bson::{Bson, Document, RawBson, doc};

use super::Deployment;
use super::filter::Filter;
use super::positions::between;
use super::sample::{self, REPLY_DOCUMENTS};
use crate::batch::document_id;
use crate::id::class;
use crate::{ExtractError, Namespace};

/// The classes of types that an `_id` may have, in BSON order: a type of each, and all by the names that `$type` knows.
const CLASSES: [(ElementType, &[&str]); 14] = [
    (ElementType::MinKey, &["minKey"]),
    (ElementType::Null, &["null"]),
    (ElementType::Int32, &["number"]),
    (ElementType::String, &["string", "symbol"]),
    (ElementType::EmbeddedDocument, &["object"]),
    (ElementType::Binary, &["binData"]),
    (ElementType::ObjectId, &["objectId"]),
    (ElementType::Boolean, &["bool"]),
    (ElementType::DateTime, &["date"]),
    (ElementType::Timestamp, &["timestamp"]),
    (ElementType::DbPointer, &["dbPointer"]),
    (ElementType::JavaScriptCode, &["javascript"]),
    (ElementType::JavaScriptCodeWithScope, &["javascriptWithScope"]),
    (ElementType::MaxKey, &["maxKey"]),
];

/// The documents whose `_id` fits a filter, in one of the two directions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    filter: Option<Document>,
    direction: i32,
}

impl Part {
    /// From the smallest that fits upwards.
    fn first(filter: Option<Document>) -> Part {
        Part { filter, direction: 1 }
    }

    /// From the largest that fits downwards.
    fn last(filter: Option<Document>) -> Part {
        Part { filter, direction: -1 }
    }

    /// From a place upwards, within its class of types.
    fn from(place: &Bson) -> Part {
        Part::first(Some(doc! { "_id": { "$gte": place } }))
    }

    /// From a place downwards, without the place, within its class of types.
    fn below(place: &Bson) -> Part {
        Part::last(Some(doc! { "_id": { "$lt": place } }))
    }

    fn stages(&self, limit: i64, ids_only: bool) -> Vec<Document> {
        let mut stages: Vec<Document> = self.filter.iter().map(|filter| doc! { "$match": filter }).collect();
        stages.push(doc! { "$sort": { "_id": self.direction } });
        stages.push(doc! { "$limit": limit });
        if ids_only {
            stages.push(doc! { "$project": { "_id": 1 } });
        }
        stages
    }
}

/// The command that reads at most `limit` documents of each part, one part after the other. The caller says how many
/// come in one reply.
pub(super) fn command(namespace: &Namespace, parts: &[Part], limit: i64, ids_only: bool) -> Document {
    let mut pipeline = Vec::new();
    for part in parts {
        let stages = part.stages(limit, ids_only);
        if pipeline.is_empty() {
            pipeline = stages;
        } else {
            let union = doc! { "coll": &namespace.collection, "pipeline": stages };
            pipeline.push(doc! { "$unionWith": union });
        }
    }
    doc! { "aggregate": &namespace.collection, "pipeline": pipeline, "cursor": {} }
}

/// The `_id`s that the parts begin with; fewer than parts where some have none.
async fn starts(
    deployment: &Deployment,
    namespace: &Namespace,
    parts: &[Part],
) -> Result<Vec<RawBson>, ExtractError> {
    let command = command(namespace, parts, 1, true);
    let replied = u32::try_from(parts.len() + 1).unwrap_or(REPLY_DOCUMENTS);
    let found = sample::read(deployment, namespace, command, replied).await?;
    Ok(found.iter().filter_map(|document| document_id(document.as_bytes()).map(RawBson::from)).collect())
}

/// The smallest and the largest `_id` of documents that match; `None` if there is none, or one that is no valid BSON.
pub(super) async fn ends(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<Option<(RawBson, RawBson)>, ExtractError> {
    let matching = || filter.document().cloned();
    let found = starts(deployment, namespace, &[Part::first(matching()), Part::last(matching())]).await?;
    Ok(<[RawBson; 2]>::try_from(found).ok().map(Into::into))
}

/// All `_id`s of one class of types.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    smallest: Bson,
    largest: Bson,
    /// What distinguishes the class from others; nothing if there is no other.
    filter: Option<Document>,
}

impl Span {
    /// The start and places between: at most `count` parts less the end.
    fn upwards(&self, count: usize) -> Vec<Part> {
        let mut parts = vec![Part::first(self.filter.clone())];
        parts.extend(self.places(count).iter().map(Part::from));
        parts.truncate(count);
        parts
    }

    fn places(&self, parts: usize) -> Vec<Bson> {
        between(&self.smallest, &self.largest, parts.saturating_sub(2))
    }
}

/// The classes of types that the `_id`s between two ends are of.
pub(super) async fn spans(
    deployment: &Deployment,
    namespace: &Namespace,
    (smallest, largest): (RawBson, RawBson),
) -> Result<Vec<Span>, ExtractError> {
    let class_of = |id: &RawBson| class(id.element_type());
    if class_of(&smallest) == class_of(&largest) {
        let smallest = comparable(deployment, namespace, value(smallest)).await?;
        return Ok(vec![Span { smallest, largest: value(largest), filter: None }]);
    }
    let filter = |names: &[&str]| Some(doc! { "_id": { "$type": names } });
    let parts = CLASSES.iter().flat_map(|(_, names)| [Part::first(filter(names)), Part::last(filter(names))]);
    let parts: Vec<Part> = parts.collect();
    let mut found = starts(deployment, namespace, &parts).await?.into_iter();
    let mut spans = Vec::new();
    // A class that is there has both a first and a last.
    while let (Some(smallest), Some(largest)) = (found.next(), found.next()) {
        let names = CLASSES.iter().find(|(one, _)| class(*one) == class_of(&smallest));
        let filter = names.and_then(|(_, names)| filter(names));
        let smallest = comparable(deployment, namespace, value(smallest)).await?;
        spans.push(Span { smallest, largest: value(largest), filter });
    }
    Ok(spans)
}

/// The smallest `_id`, or the one after it if it is NaN: an index has NaN before all numbers, but no comparison finds it.
async fn comparable(
    deployment: &Deployment,
    namespace: &Namespace,
    smallest: Bson,
) -> Result<Bson, ExtractError> {
    let is_nan = match &smallest {
        Bson::Double(number) => number.is_nan(),
        Bson::Decimal128(number) => number.to_string() == "NaN",
        _ => false,
    };
    if !is_nan {
        return Ok(smallest);
    }
    let numbers = [Part::from(&Bson::Double(f64::NEG_INFINITY))];
    let next = starts(deployment, namespace, &numbers).await?.into_iter().next();
    Ok(next.map_or(smallest, value))
}

/// The largest `_id` of a document that matches.
pub(super) async fn largest(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<Option<RawBson>, ExtractError> {
    let last = Part::last(filter.document().cloned());
    Ok(starts(deployment, namespace, &[last]).await?.pop())
}

/// At most `count` parts that end where the next one begins, with only the documents that match: however few these are, no
/// document is looked at twice.
pub(super) fn divided(spans: &[Span], count: usize, filter: &Filter) -> Vec<Part> {
    let of_span = |(span, share): (&Span, usize)| {
        let places = between(&span.smallest, &span.largest, share.saturating_sub(1));
        let lower = iter::once(None).chain(places.iter().map(Some));
        let upper = places.iter().map(Some).chain([None]);
        let within = lower.zip(upper).map(|bounds| match bounds {
            (None, None) => span.filter.clone().unwrap_or_default(),
            (None, Some(below)) => doc! { "_id": { "$lt": below } },
            (Some(from), None) => doc! { "_id": { "$gte": from } },
            (Some(from), Some(below)) => doc! { "_id": { "$gte": from, "$lt": below } },
        });
        within.map(|within| Part::first(Some(filter.and_document(within)))).collect::<Vec<Part>>()
    };
    spans.iter().zip(shares(count, spans.len())).filter(|(_, share)| *share > 0).flat_map(of_span).collect()
}

/// At most `count` parts, evenly over the spans; those that are read downwards are the last.
pub(super) fn spread(spans: &[Span], count: usize) -> Vec<Part> {
    let shares = || spans.iter().zip(shares(count, spans.len()));
    let upwards = shares().flat_map(|(span, share)| span.upwards(share));
    let downwards = shares().filter(|(_, share)| *share > 1).map(|(span, _)| Part::last(span.filter.clone()));
    upwards.chain(downwards).collect()
}

/// The value; null, beside which there are no places, for one that is no valid BSON.
fn value(id: RawBson) -> Bson {
    Bson::try_from(id).unwrap_or(Bson::Null)
}

/// So many of a whole for each.
fn shares(whole: usize, each: usize) -> impl Iterator<Item = usize> {
    (0..each).map(move |number| (whole + each - 1 - number) / each)
}

/// Other parts than the `count` of [`spread`], for spans whose `_id`s are not spread evenly.
///
/// Looks at what lies right below each place and from it on. Between two places there is nothing, or there are documents
/// of which both ends are known then: new places are computed within each of these. `read` says whether a document has
/// been read upwards.
pub(super) async fn narrower(
    deployment: &Deployment,
    namespace: &Namespace,
    spans: &[Span],
    count: usize,
    read: impl Fn(&Bson) -> bool,
) -> Result<Vec<Part>, ExtractError> {
    let mut cells = Vec::new();
    for (span, share) in spans.iter().zip(shares(count, spans.len())) {
        let around: Vec<Part> =
            span.places(share).iter().flat_map(|place| [Part::below(place), Part::from(place)]).collect();
        if around.is_empty() {
            continue;
        }
        let found = starts(deployment, namespace, &around).await?;
        if found.len() != around.len() {
            // The order is that of a collation, or documents have gone meanwhile.
            continue;
        }
        let mut ends = iter::once(span.smallest.clone())
            .chain(found.into_iter().map(value))
            .chain([span.largest.clone()]);
        let mut before = None;
        while let (Some(first), Some(last)) = (ends.next(), ends.next()) {
            // Where nothing lies between two places, the same document lies below both. And whatever was read from a place
            // on and has come to the last before the next place has left nothing out.
            if before.as_ref() != Some(&last) && !read(&last) {
                cells.push((first, last.clone()));
            }
            before = Some(last);
        }
    }
    let places = cells.iter().zip(shares(count, cells.len()));
    let places = places.flat_map(|((first, last), share)| between(first, last, share));
    Ok(places.map(|place| Part::from(&place)).collect())
}
