//! A cursor that the server keeps for one of our connections. Its reader closes it there when it stops early.

use bson::{Document, doc};
use mongodb::Client;
use mongodb::options::{SelectionCriteria, ServerAddress};
use tokio::runtime::Handle;

/// A cursor the server keeps for us; closed there if it is dropped before its end.
#[derive(Debug)]
pub(super) struct CursorGuard {
    /// 0 for none.
    pub(super) id: i64,
    client: Client,
    database: String,
    collection: String,
    server: ServerAddress,
}

impl CursorGuard {
    /// None yet; `database` and `collection` are those of the `getMore` that reads it.
    pub(super) fn new(
        client: Client,
        database: &str,
        collection: &str,
        server: ServerAddress,
    ) -> CursorGuard {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        CursorGuard { id: 0, client, database, collection, server }
    }
}

impl Drop for CursorGuard {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.id == 0 {
            return;
        }
        let command: Document = doc! { "killCursors": &self.collection, "cursors": [self.id] };
        let (client, database, server) = (self.client.clone(), self.database.clone(), self.server.clone());
        runtime.spawn(async move {
            let there =
                SelectionCriteria::Predicate(std::sync::Arc::new(move |info| *info.address() == server));
            let database = client.database(&database);
            if let Err(error) = database.run_command(command).selection_criteria(there).await {
                tracing::debug!(%error, "a cursor could not be closed; the server will");
            }
        });
    }
}
