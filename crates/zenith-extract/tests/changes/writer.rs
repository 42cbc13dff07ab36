//! Makes the changes that tests ask for, by the driver.

use bson::{Bson, RawBson, RawDocument, RawDocumentBuf, doc};
use mongodb::{Client, ClientSession};
use zenith_extract::change_test_suite::ChangeWriter;
use zenith_extract::{MemoryChange, Namespace};

use crate::servers;

pub struct Writer {
    pub client: Client,
}

impl ChangeWriter for Writer {
    async fn write(&self, changes: Vec<MemoryChange>, together: bool) {
        let mut session = self.client.start_session().await.unwrap();
        if together {
            session.start_transaction().await.unwrap();
        }
        for change in changes {
            self.make(change, &mut session).await;
        }
        if together {
            session.commit_transaction().await.unwrap();
        }
    }

    async fn keep_images(&self, namespace: &Namespace) {
        let command =
            doc! { "collMod": &namespace.collection, "changeStreamPreAndPostImages": { "enabled": true } };
        self.client.database(&namespace.database).run_command(command).await.unwrap();
    }
}

impl Writer {
    async fn make(&self, change: MemoryChange, session: &mut ClientSession) {
        let at = |namespace: &Namespace| servers::collection(&self.client, namespace);
        match change {
            MemoryChange::Insert(namespace, document) => {
                at(&namespace).insert_one(document).session(session).await.unwrap();
            }
            MemoryChange::Update(namespace, document) => {
                let mut set: bson::Document = bson::deserialize_from_slice(document.as_bytes()).unwrap();
                set.remove("_id");
                let update = doc! { "$set": set };
                at(&namespace).update_one(by_id(&document), update).session(session).await.unwrap();
            }
            MemoryChange::Replace(namespace, document) => {
                at(&namespace).replace_one(by_id(&document), &document).session(session).await.unwrap();
            }
            MemoryChange::Delete(namespace, id) => {
                let filter = doc! { "_id": Bson::try_from(id).unwrap() };
                at(&namespace).delete_one(filter).session(session).await.unwrap();
            }
            MemoryChange::Drop(namespace) => at(&namespace).drop().await.unwrap(),
            MemoryChange::Rename(from, to) => {
                let command = doc! { "renameCollection": from.to_string(), "to": to.to_string() };
                self.client.database("admin").run_command(command).await.unwrap();
            }
            MemoryChange::DropDatabase(name) => self.client.database(&name).drop().await.unwrap(),
        }
    }
}

fn by_id(document: &RawDocumentBuf) -> bson::Document {
    let document: &RawDocument = document;
    let id = document.get("_id").unwrap().unwrap();
    doc! { "_id": Bson::try_from(RawBson::from(id)).unwrap() }
}
