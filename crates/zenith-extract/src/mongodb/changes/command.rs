//! The commands of a change stream: where they go, and the pipeline behind `$changeStream`.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/change-streams/change-streams.md>

use std::collections::BTreeSet;

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBson, RawDocumentBuf, Timestamp, rawdoc};

use crate::{Namespace, ResumeToken, Scope, StartAt, WatchOptions};

/// What the cursors of aggregations on no collection are called in `getMore`.
const NO_COLLECTION: &str = "$cmd.aggregate";

/// What a stream is to give, wherever it begins.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) scope: Scope,
    /// None: all of the scope.
    pub(super) namespaces: Vec<Namespace>,
    pub(super) images: bool,
    /// Whether the server is asked to send large events in pieces.
    pub(super) split: bool,
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
    pub(super) fn new(options: &WatchOptions, images: bool, split: bool) -> Stream {
        Stream { scope: options.scope.clone(), namespaces: options.namespaces.clone(), images, split }
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

    /// The command that opens it, without `$db`. Its reply has no events, so it gives a place before the first one.
    pub(super) fn aggregate(&self, start: &Start) -> RawDocumentBuf {
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$changeStream": self.change_stream(start) });
        if let Some(concerns) = self.concerns() {
            pipeline.push(rawdoc! { "$match": concerns });
        }
        // Nobody here reads it, and an image beside it could make the event too large. It costs the server nothing.
        pipeline.push(rawdoc! { "$unset": "updateDescription" });
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

    /// What is let through: events of the collections, the renaming of others to their names, drops of their databases,
    /// and the end of the stream. Everything, of a stream of one collection.
    ///
    /// The server looks for names in the oplog already, and for whole ones at the least cost: of the forms measured (see
    /// `examples/change_cost.rs`) `ns` as one document took it 13.2 s of processor time a million events, `ns.db` and
    /// `ns.coll` 14.2 s, no filter 10.7 s; and a million events of other collections 2.2 s and 3.4 s.
    fn concerns(&self) -> Option<RawDocumentBuf> {
        if matches!(self.scope, Scope::Collection(_)) || self.namespaces.is_empty() {
            return None;
        }
        let names = || {
            self.namespaces.iter().map(|namespace| {
                rawdoc! { "db": namespace.database.as_str(), "coll": namespace.collection.as_str() }.into()
            })
        };
        let databases: BTreeSet<&str> = self.namespaces.iter().map(|one| one.database.as_str()).collect();
        let databases = databases.into_iter().map(RawBson::from);
        let mut any = RawArrayBuf::new();
        any.push(rawdoc! { "ns": one_of(names()) });
        any.push(rawdoc! { "to": one_of(names()) });
        any.push(rawdoc! { "operationType": "dropDatabase", "ns.db": one_of(databases) });
        if let Scope::Database(_) = &self.scope {
            any.push(rawdoc! { "operationType": "invalidate" });
        }
        Some(rawdoc! { "$or": any })
    }
}

/// The condition to be one of these.
fn one_of(values: impl IntoIterator<Item = RawBson>) -> RawBson {
    let mut values: Vec<RawBson> = values.into_iter().collect();
    match values.pop() {
        Some(only) if values.is_empty() => only,
        last => {
            let mut all = RawArrayBuf::new();
            values.into_iter().chain(last).for_each(|value| all.push(value));
            RawBson::Document(rawdoc! { "$in": all })
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn stream(scope: Scope) -> Stream {
        let namespaces = vec![Namespace::new("shop", "orders"), Namespace::new("shop", "users")];
        Stream { scope, namespaces, images: false, split: false }
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
        let stage = command.get_array("pipeline").unwrap()[1].as_document().unwrap();
        let names = doc! { "$in": [{ "db": "shop", "coll": "orders" }, { "db": "shop", "coll": "users" }] };
        let dropped = doc! { "operationType": "dropDatabase", "ns.db": "shop" };
        assert_eq!(stage, &doc! { "$match": { "$or": [{ "ns": names.clone() }, { "to": names }, dropped] } });
    }

    #[test]
    fn splitting_is_the_last_stage_and_tokens_are_started_after() {
        let mut stream = stream(Scope::Collection(Namespace::new("shop", "orders")));
        (stream.images, stream.split) = (true, true);
        let token = ResumeToken::new(rawdoc! { "_data": "82" }).unwrap();
        let command = aggregate(&stream, &Start::After(token));
        assert_eq!(command.get_str("aggregate").unwrap(), "orders");
        let pipeline = command.get_array("pipeline").unwrap();
        let stage = doc! { "fullDocument": "whenAvailable", "startAfter": { "_data": "82" } };
        assert_eq!(pipeline[0].as_document().unwrap(), &doc! { "$changeStream": stage });
        assert_eq!(pipeline[1].as_document().unwrap(), &doc! { "$unset": "updateDescription" });
        assert_eq!(pipeline[2].as_document().unwrap(), &doc! { "$changeStreamSplitLargeEvent": {} });
    }
}
