//! Several `mongod` that elect a primary, for killing it.

use std::time::{Duration, Instant};

use bson::doc;
use mongodb::Client;

use super::mongod::{self, MongoOptions, MongoServer, REPLICA_SET, Topology};
use crate::error::{Error, Result};

/// How long an election may take; with the timeouts set at the start it takes two to four seconds.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A replica set of several members on loopback ports, without passwords or TLS.
#[derive(Debug)]
pub struct ReplicaSet {
    members: Vec<MongoServer>,
}

impl ReplicaSet {
    /// Starts `count` members with 256 MiB of cache each and waits for the primary.
    pub async fn start(count: usize) -> Result<Self> {
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let options = MongoOptions {
                topology: Topology::Member,
                cache_mib: 256,
                oplog_mib: 990,
                ..Default::default()
            };
            members.push(MongoServer::start(options).await?);
        }
        let first =
            members.first().ok_or_else(|| Error::Malformed("a replica set needs a member".to_owned()))?;
        let configuration: Vec<_> = (0_i32..)
            .zip(&members)
            .map(|(id, member)| doc! { "_id": id, "host": format!("127.0.0.1:{}", member.port()) })
            .collect();
        let client = first.direct_client(false).await?;
        mongod::initiate(&client, &configuration).await?;
        client.shutdown().immediate(true).await;
        let set = Self { members };
        set.primary().await?;
        Ok(set)
    }

    /// The members, in the order of their `_id` in the set's configuration.
    pub fn members(&mut self) -> &mut [MongoServer] {
        &mut self.members
    }

    /// Connection string of the whole set.
    #[must_use]
    pub fn uri(&self) -> String {
        let hosts: Vec<_> =
            self.members.iter().map(|member| format!("127.0.0.1:{}", member.port())).collect();
        format!("mongodb://{}/?replicaSet={REPLICA_SET}", hosts.join(","))
    }

    /// A driver's client that follows the primary.
    pub async fn client(&self) -> Result<Client> {
        mongod::connect(&self.uri()).await
    }

    /// Waits for a primary; its index among [`members`](Self::members).
    pub async fn primary(&self) -> Result<usize> {
        let deadline = Instant::now() + ELECTION_TIMEOUT;
        while Instant::now() < deadline {
            for (index, member) in self.members.iter().enumerate() {
                if !member.identity().is_alive() {
                    continue;
                }
                let client = member.direct_client(false).await?;
                // A member may die or refuse while the set changes; then it is not the primary.
                let is_primary = mongod::is_writable_primary(&client).await.unwrap_or(false);
                client.shutdown().immediate(true).await;
                if is_primary {
                    return Ok(index);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Error::Server(format!("no primary among {} members", self.members.len())))
    }

    /// Kills the primary with SIGKILL; its index, for [`MongoServer::restart`]. Others elect a new one in a few seconds.
    pub async fn kill_primary(&mut self) -> Result<usize> {
        let primary = self.primary().await?;
        self.members[primary].kill()?;
        Ok(primary)
    }
}
