//! The collection of garbage, now and then. Of all processes that ask, one does it.

use std::sync::Arc;
use std::time::Duration;

use tidemill_store::blobs::Blobs;
use tidemill_store::{Collected, Retention, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// The turn's name.
const CHORE: &str = "collect";

/// Removes what is old.
pub struct Collector {
    /// The state.
    pub store: Store,
    /// Where data sets are.
    pub blobs: Arc<dyn Blobs>,
    /// How long things are kept.
    pub retention: Retention,
    /// How often to look.
    pub every: Duration,
}

impl Collector {
    /// Looks again and again until `shutdown`. Trouble is logged and the next turn tries again.
    pub async fn run(self, shutdown: CancellationToken) {
        let pause = (self.every / 4).clamp(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            // A collection that is dropped half way is one that goes on with the next turn.
            let looked = tokio::select! {
                () = shutdown.cancelled() => return,
                looked = self.look() => looked,
            };
            match looked {
                Ok(None) => {}
                Ok(Some(done)) if done == Collected::default() => tracing::debug!("there was nothing to remove"),
                Ok(Some(done)) => tracing::info!(?done, "removed what is old"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "old data could not be removed");
                }
            }
        }
    }

    /// One look; none if it is another process' turn.
    ///
    /// # Errors
    /// The state or the place for blobs failed.
    pub async fn look(&self) -> Result<Option<Collected>, StoreError> {
        if !self.store.turn(CHORE, self.every).await? {
            return Ok(None);
        }
        self.store.collect(&*self.blobs, self.retention, false).await.map(Some)
    }
}
