//! Which database a target leads to, as its server says: two addresses may lead to one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use zenith_engine::Pool;

use crate::config::{Connector, names};
use crate::connect;

/// How long a server may take to say which it is.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// What servers have said of targets.
#[derive(Clone, Debug, Default)]
pub struct Databases(BTreeMap<String, (Connector, String)>);

impl Databases {
    /// Asks the servers of these targets side by side. Of those that do not answer only the address is known.
    pub async fn of(targets: &BTreeMap<String, Connector>, pool: &Pool) -> Databases {
        let mut databases = Databases::default();
        databases.ask(targets, pool).await;
        databases
    }

    /// Asks those that have not been asked, or did not answer. One target has no other to be compared with.
    pub async fn ask(&mut self, targets: &BTreeMap<String, Connector>, pool: &Pool) {
        self.0.retain(|name, (connector, _)| targets.get(name) == Some(connector));
        let mut asked = JoinSet::new();
        for (name, connector) in targets.iter().filter(|(name, _)| !self.0.contains_key(*name)) {
            // An address that cannot be used is told where it is used.
            let Ok(sink) = connect::sink(name, connector, pool, None) else { continue };
            let (name, connector) = (name.clone(), connector.clone());
            if targets.len() > 1 {
                asked.spawn(async move {
                    let answer = tokio::time::timeout(ASK_TIMEOUT, sink.identity()).await;
                    Some((name, (connector, answer.ok()?.ok()?)))
                });
            }
        }
        self.0.extend(asked.join_all().await.into_iter().flatten());
    }

    /// The database of a target.
    pub fn database(&self, target: &str, connector: &Connector) -> String {
        let said = self.0.get(target).map(|(_, said)| said.clone());
        said.unwrap_or_else(|| names::database_of(connector))
    }
}
