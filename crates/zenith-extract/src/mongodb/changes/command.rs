//! The commands of a change stream: where they go, and the pipeline behind `$changeStream`.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md>

use std::collections::BTreeMap;

use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocumentBuf, Timestamp, rawdoc};

use crate::{Namespace, ResumeToken, Scope, StartAt, WatchOptions};

/// What the cursors of aggregations on no collection are called in `getMore`.
const NO_COLLECTION: &str = "$cmd.aggregate";

/// What a stream is to give, wherever it begins.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) scope: Scope,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) images: bool,
    /// Whether the server is asked to send large events in pieces.
    pub(super) split: bool,
    /// Whether what nobody here reads is left out of events.
    ///
    /// It costs the server more than it saves (see `examples/change_cost.rs`), so only for events that would be too
    /// large otherwise.
    pub(super) slim: bool,
}

/// Where a stream begins.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Now,
    /// Never `resumeAfter`, which refuses the token of an invalidation.
    After(ResumeToken),
    Time(Timestamp),
}

impl From<&StartAt> for Start {
    fn from(start: &StartAt) -> Start {
        match start {
            StartAt::Now => Start::Now,
            StartAt::Token(token) => Start::After(token.clone()),
            StartAt::Time(time) => Start::Time(*time),
        }
    }
}

impl Start {
    pub(super) fn time(&self) -> Option<Timestamp> {
        match self {
            Start::Now => None,
            Start::After(token) => token.cluster_time(),
            Start::Time(time) => Some(*time),
        }
    }
}

impl Stream {
    pub(super) fn new(options: &WatchOptions, split: bool) -> Stream {
        Stream {
            scope: options.scope.clone(),
            namespaces: options.namespaces.clone(),
            images: options.images,
            split,
            slim: false,
        }
    }

    /// The database its commands are sent to.
    pub(super) fn database(&self) -> &str {
        match &self.scope {
            Scope::Cluster => "admin",
            Scope::Database(database) => database,
            Scope::Collection(namespace) => &namespace.database,
        }
    }

    /// The collection of its `getMore`.
    pub(super) fn collection(&self) -> &str {
        match &self.scope {
            Scope::Cluster | Scope::Database(_) => NO_COLLECTION,
            Scope::Collection(namespace) => &namespace.collection,
        }
    }

    /// What is being done, for messages.
    pub(super) fn action(&self) -> String {
        let names: Vec<String> = self.namespaces.iter().map(Namespace::to_string).collect();
        let over = match &self.scope {
            Scope::Cluster => "through the whole deployment".to_owned(),
            Scope::Database(database) => format!("through the database {database}"),
            Scope::Collection(_) => "through the collection itself".to_owned(),
        };
        format!("follow the changes of {} {over}", names.join(", "))
    }

    /// The command that opens it, without `$db`. Its reply has no events: so it tells a place before the first one.
    pub(super) fn aggregate(&self, start: &Start) -> RawDocumentBuf {
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$changeStream": self.change_stream(start) });
        pipeline.push(rawdoc! { "$match": concerns(&self.namespaces) });
        if self.slim {
            pipeline.push(rawdoc! { "$unset": "updateDescription" });
        }
        if self.split {
            pipeline.push(rawdoc! { "$changeStreamSplitLargeEvent": {} });
        }
        let mut command = match &self.scope {
            Scope::Collection(namespace) => rawdoc! { "aggregate": namespace.collection.as_str() },
            Scope::Cluster | Scope::Database(_) => rawdoc! { "aggregate": 1 },
        };
        command.append(cstr!("pipeline"), pipeline);
        command.append(cstr!("cursor"), rawdoc! { "batchSize": 0 });
        command
    }

    fn change_stream(&self, start: &Start) -> RawDocumentBuf {
        let mut stage = RawDocumentBuf::new();
        if self.scope == Scope::Cluster {
            stage.append(cstr!("allChangesForCluster"), true);
        }
        if self.images {
            stage.append(cstr!("fullDocument"), "whenAvailable");
        }
        match start {
            Start::Now => {}
            Start::After(token) => stage.append(cstr!("startAfter"), token.as_document().to_owned()),
            Start::Time(time) => stage.append(cstr!("startAtOperationTime"), *time),
        }
        stage
    }
}

/// What concerns these collections: events of theirs, the renaming of others to their names, drops of their databases,
/// and the end of the stream.
fn concerns(namespaces: &[Namespace]) -> RawDocumentBuf {
    let mut databases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for namespace in namespaces {
        databases.entry(&namespace.database).or_default().push(&namespace.collection);
    }
    let mut any = RawArrayBuf::new();
    for (database, collections) in &databases {
        let mut names = RawArrayBuf::new();
        for collection in collections {
            names.push(*collection);
        }
        any.push(rawdoc! { "ns.db": *database, "ns.coll": { "$in": names.clone() } });
        any.push(rawdoc! { "operationType": "rename", "to.db": *database, "to.coll": { "$in": names } });
        any.push(rawdoc! { "operationType": "dropDatabase", "ns.db": *database });
    }
    any.push(rawdoc! { "operationType": "invalidate" });
    rawdoc! { "$or": any }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn stream(scope: Scope) -> Stream {
        let namespaces = vec![Namespace::new("shop", "orders"), Namespace::new("shop", "users")];
        Stream { scope, namespaces, images: false, split: false, slim: false }
    }

    fn aggregate(stream: &Stream, start: &Start) -> Document {
        bson::deserialize_from_slice(stream.aggregate(start).as_bytes()).unwrap()
    }

    #[test]
    fn a_stream_of_the_cluster_is_opened_on_admin() {
        let stream = stream(Scope::Cluster);
        assert_eq!((stream.database(), stream.collection()), ("admin", "$cmd.aggregate"));
        let command = aggregate(&stream, &Start::Now);
        assert_eq!(command.get_i32("aggregate").unwrap(), 1);
        assert_eq!(command.get_document("cursor").unwrap(), &doc! { "batchSize": 0 });
        let stage = command.get_array("pipeline").unwrap()[0].as_document().unwrap();
        assert_eq!(stage, &doc! { "$changeStream": { "allChangesForCluster": true } });
    }

    #[test]
    fn splitting_is_the_last_stage_and_tokens_are_started_after() {
        let mut stream = stream(Scope::Collection(Namespace::new("shop", "orders")));
        (stream.images, stream.split, stream.slim) = (true, true, true);
        let token = ResumeToken::new(rawdoc! { "_data": "82" }).unwrap();
        let command = aggregate(&stream, &Start::After(token));
        assert_eq!(command.get_str("aggregate").unwrap(), "orders");
        let pipeline = command.get_array("pipeline").unwrap();
        let stage = doc! { "fullDocument": "whenAvailable", "startAfter": { "_data": "82" } };
        assert_eq!(pipeline[0].as_document().unwrap(), &doc! { "$changeStream": stage });
        assert_eq!(pipeline[2].as_document().unwrap(), &doc! { "$unset": "updateDescription" });
        assert_eq!(pipeline[3].as_document().unwrap(), &doc! { "$changeStreamSplitLargeEvent": {} });
    }
}
