//! Applies the definitions of a folder, and applies them again when they change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tidemill_api::Workbench;
use tidemill_api::definitions;
use tidemill_store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::definition;
use crate::error::CliError;
use crate::out::Out;
use crate::project::shown;
use crate::report;

const PERIOD: Duration = Duration::from_millis(500);

/// What is known of a file's content without reading it.
type Stamp = (SystemTime, u64);

/// Watches one folder.
pub(super) struct Watcher {
    folder: PathBuf,
    workbench: Arc<Workbench>,
    store: Store,
    bell: Arc<Notify>,
    out: Out,
    seen: BTreeMap<PathBuf, Stamp>,
}

impl Watcher {
    pub(super) fn new(folder: PathBuf, workbench: Arc<Workbench>, store: Store, bell: Arc<Notify>, out: Out) -> Self {
        Self { folder, workbench, store, bell, out, seen: BTreeMap::new() }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            self.look().await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn look(&mut self) {
        let files = definition::in_folder(&self.folder).unwrap_or_default();
        let gone: Vec<PathBuf> = self.seen.keys().filter(|path| !files.contains(path)).cloned().collect();
        for path in gone {
            self.seen.remove(&path);
            self.say(&format!("{} is gone; what it defined stays active", shown(&path)));
        }
        for path in files {
            let Ok(meta) = path.metadata() else { continue };
            let stamp = (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len());
            if self.seen.insert(path.clone(), stamp) == Some(stamp) {
                continue;
            }
            if let Err(error) = self.apply(&path).await {
                report::print(&self.out, &error);
            }
        }
    }

    async fn apply(&self, path: &std::path::Path) -> Result<(), CliError> {
        let checked = definition::check(&self.workbench, path).await?;
        let name = checked.compiled.pipeline.pipeline.clone();
        let before = self.store.active(&name).await?;
        if before.as_ref().is_some_and(|version| version.id == checked.compiled.version) {
            self.say(&format!("{name} is up to date"));
            return Ok(());
        }
        let origin = json!({"from": "file", "file": shown(path)});
        let version = definitions::apply(&self.store, &checked, origin).await?;
        self.bell.notify_one();
        self.say(&format!("applied {name}, version {}", version.number));
        Ok(())
    }

    fn say(&self, text: &str) {
        // Nobody may be reading any more; the server goes on.
        let _ = if self.out.json {
            self.out.value_line(&json!({"event": "pipelines", "message": text}))
        } else {
            self.out.line(text)
        };
    }
}
