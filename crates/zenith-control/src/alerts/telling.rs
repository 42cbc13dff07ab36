//! Looks at all pipelines now and then, and tells each webhook by a task of its own, so that none waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::keeper::Keeper;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looking may take this part of the time of one processor.
const LOOK_SHARE: u32 = 20;
/// How long what is being told, or is told last, may take at the end of a run.
const LAST_WITHIN: Duration = Duration::from_secs(8);

/// Those who are being told, by name.
type Tasks = BTreeMap<String, JoinHandle<()>>;

/// What tells until it is stopped, or has told for the last time.
pub struct Telling {
    keeper: Arc<Keeper>,
    /// No further look.
    ending: watch::Sender<bool>,
    /// No further message.
    stopping: watch::Sender<bool>,
    looking: JoinHandle<Tasks>,
}

impl Telling {
    /// Begins to tell.
    #[must_use]
    pub fn start(keeper: &Arc<Keeper>) -> Telling {
        let (ending, stopping) = (watch::Sender::new(false), watch::Sender::new(false));
        let looking = look_on(Arc::clone(keeper), ending.subscribe(), stopping.subscribe());
        Telling { keeper: Arc::clone(keeper), looking: tokio::spawn(looking), ending, stopping }
    }

    /// Tells nothing more, but waits until those have answered who are being told, so that the next run does not tell them
    /// again.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.ending.send_replace(true);
        let told = async { join_all(self.looking.await.unwrap_or_default().into_values()).await };
        if tokio::time::timeout(LAST_WITHIN, told).await.is_err() {
            tracing::warn!(
                "an alert was still on its way at the end; the next run sends it again if it is still so"
            );
        }
    }

    /// Looks once more, at the end of a run that ended by itself, and tells all, also those who were away.
    pub async fn finish(self) {
        self.ending.send_replace(true);
        let told = async {
            let mut tasks = self.looking.await.unwrap_or_default();
            self.keeper.look().await;
            let webhooks = self.keeper.webhooks();
            let telling = webhooks.iter().map(|(name, _)| {
                let (task, keeper, stopping) = (tasks.remove(name), &self.keeper, self.stopping.subscribe());
                async move {
                    if let Some(task) = task {
                        let _ = task.await;
                    }
                    keeper.tell(name, &stopping).await;
                }
            });
            join_all(telling).await
        };
        if tokio::time::timeout(LAST_WITHIN, told).await.is_err() {
            tracing::warn!(
                "not all alerts could be sent before the end; the next run sends what is still so"
            );
        }
    }
}

/// Looks and tells until the end; then who is still being told.
async fn look_on(
    keeper: Arc<Keeper>,
    mut ending: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
) -> Tasks {
    let mut tasks = Tasks::new();
    loop {
        let begun = Instant::now();
        let looker = Arc::clone(&keeper);
        // One that has panicked has told why.
        let looking = tokio::spawn(async move { looker.look().await });
        tokio::select! {
            biased;
            _ = ending.wait_for(|ends| *ends) => return tasks,
            _ = looking => {}
        }
        // Of those who are slow only themselves see anything.
        let share = if keeper.reads_itself() { begun.elapsed() * LOOK_SHARE } else { Duration::ZERO };
        tasks.retain(|_, task| !task.is_finished());
        for (name, is_due) in keeper.webhooks() {
            if is_due && !tasks.contains_key(&name) {
                let (keeper, stopping, to) = (Arc::clone(&keeper), stopping.clone(), name.clone());
                tasks.insert(name, tokio::spawn(async move { keeper.tell(&to, &stopping).await }));
            }
        }
        tokio::select! {
            biased;
            _ = ending.wait_for(|ends| *ends) => return tasks,
            () = tokio::time::sleep(LOOK_EVERY.max(share)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::SystemTime;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use zenith_engine::state::{DynStateStore, MemoryStore, StateStore as _};

    use super::*;
    use crate::alerts::keeper::Reports;
    use crate::alerts::told::Book;
    use crate::config::alerts::{Alerts, Webhook};
    use crate::status::{Pipeline, Report};

    /// Somebody who is told; each body is answered after a time, with what `status` says of it.
    struct Receiver {
        folder: tempfile::TempDir,
        bodies: Arc<Mutex<Vec<String>>>,
    }

    impl Receiver {
        async fn start(after: Duration, status: fn(&str) -> u16) -> Receiver {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let address = listener.local_addr().unwrap();
            std::fs::write(folder.path().join("url"), format!("http://{address}/")).unwrap();
            let receiver = Receiver { folder, bodies: Arc::default() };
            let bodies = Arc::clone(&receiver.bodies);
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let body = body(&mut stream).await;
                    let status = status(&body);
                    bodies.lock().unwrap().push(body);
                    tokio::time::sleep(after).await;
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
            receiver
        }

        fn webhook(&self) -> Webhook {
            let url = format!("file:{}", self.folder.path().join("url").display());
            Webhook { url, ..Webhook::default() }
        }

        fn count(&self) -> usize {
            self.bodies.lock().unwrap().len()
        }

        async fn has(&self, count: usize) {
            let is_there = async {
                while self.count() < count {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), is_there).await.unwrap();
        }
    }

    async fn body(stream: &mut TcpStream) -> String {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut buffer).await.unwrap();
            bytes.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let (_, length) = head.split_once("content-length: ").unwrap();
            if body.len() >= length.lines().next().unwrap().parse().unwrap() {
                return body.to_owned();
            }
        }
    }

    fn keeper(webhooks: &[(&str, &Receiver)], failed: &[&str]) -> (Arc<Keeper>, DynStateStore) {
        let store = DynStateStore::new(MemoryStore::new());
        let webhooks = webhooks.iter().map(|(name, receiver)| ((*name).to_owned(), receiver.webhook()));
        let alerts = Alerts { webhooks: webhooks.collect(), ..Alerts::default() };
        let report = Arc::new(Report {
            running: true,
            at: SystemTime::now(),
            pipelines: failed.iter().map(|name| Pipeline::failed(name)).collect(),
            templates: Vec::new(),
            oplog_windows: BTreeMap::new(),
        });
        let reports = Reports::Latest(Box::new(move || {
            let report = Arc::clone(&report);
            Box::pin(async move { Some(report) })
        }));
        (Keeper::open(&alerts, reports, store.clone(), &[]).unwrap(), store)
    }

    async fn taken(store: &DynStateStore, webhook: &str) -> Vec<bool> {
        let book = Book::read(&store.alerts().await.unwrap());
        book.0.iter().filter(|told| told.webhook == webhook).map(|told| told.taken).collect()
    }

    #[tokio::test]
    async fn one_who_is_slow_delays_nobody_and_is_waited_for_at_the_end() {
        let slow = Receiver::start(Duration::from_secs(2), |_| 200).await;
        let quick = Receiver::start(Duration::ZERO, |_| 200).await;
        let (keeper, store) = keeper(&[("slow", &slow), ("quick", &quick)], &["a", "b", "c"]);
        let telling = Telling::start(&keeper);
        quick.has(3).await;
        slow.has(1).await;
        assert_eq!(slow.count(), 1);
        telling.stop().await;
        // The one on its way has been noted, and no other has followed it.
        assert_eq!((slow.count(), taken(&store, "slow").await), (1, vec![true]));
        assert_eq!(taken(&store, "quick").await, [true; 3]);
    }

    #[tokio::test]
    async fn a_message_that_is_refused_is_followed_by_others_and_one_who_is_away_is_not() {
        let strict =
            Receiver::start(Duration::ZERO, |body| if body.contains("\"a\"") { 400 } else { 200 }).await;
        let away = Receiver::start(Duration::ZERO, |_| 503).await;
        let (keeper, store) = keeper(&[("away", &away), ("strict", &strict)], &["a", "b"]);
        let telling = Telling::start(&keeper);
        strict.has(2).await;
        away.has(1).await;
        // The last time those are tried as well whose time has not come.
        telling.finish().await;
        assert_eq!((strict.count(), taken(&store, "strict").await), (2, vec![true; 2]));
        assert_eq!((away.count(), taken(&store, "away").await), (2, vec![false]));
        let bodies = away.bodies.lock().unwrap().clone();
        let key = |body: &str| body.split_once("\"key\":").unwrap().1.split(',').next().unwrap().to_owned();
        assert_eq!(key(&bodies[0]), key(&bodies[1]));
    }
}
