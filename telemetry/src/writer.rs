//! Keeps records that come where nobody may wait: they are handed over at once, and written in batches beside the path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::record::{Record, Records};

/// Records that wait at the most; what comes on top is lost, and counted. Some ten megabytes.
const WAITING: usize = 16_384;
/// Records of one batch.
const AT_ONCE: usize = 2_000;
/// A batch that is not full is written after this.
const SOON: Duration = Duration::from_millis(500);
/// Between tries to write; it doubles up to the most.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where records are handed over. Clones hand over to the same place.
#[derive(Clone)]
pub struct Offer {
    send: mpsc::Sender<Record>,
    lost: Arc<AtomicU64>,
}

impl Offer {
    /// Hands a record over, or loses it where too many wait already; it never waits.
    pub fn offer(&self, record: Record) {
        if self.send.try_send(record).is_err() {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::warn!(lost, "records are not kept: the place for them is away or too slow");
            }
        }
    }

    /// How many were lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Writes what is handed over until it is told to finish.
pub struct Writer {
    offer: Offer,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts writing. A place that is away is tried again and again; meanwhile records wait, as many as may.
    pub fn start(records: Arc<dyn Records>) -> Self {
        let (send, receive) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(write(records, receive, stopped));
        Self { offer: Offer { send, lost: Arc::default() }, stop, task }
    }

    /// Where records are handed over.
    pub fn offer(&self) -> Offer {
        self.offer.clone()
    }

    /// Takes nothing new and writes what waits, as far as there is time. Answers with how many records were lost before; what
    /// still waits when the time is over is lost too, which the log tells.
    pub async fn finish(self, within: Duration) -> u64 {
        let Self { offer, stop, mut task } = self;
        let lost = offer.lost();
        // It ends on its own only where every record is written.
        let _ = stop.send(());
        if tokio::time::timeout(within, &mut task).await.is_err() {
            tracing::warn!("records are not kept: the place for them did not take them in time");
            task.abort();
        }
        lost
    }
}

async fn write(records: Arc<dyn Records>, mut receive: mpsc::Receiver<Record>, mut stop: oneshot::Receiver<()>) {
    let (mut batch, mut prepared, mut stopping) = (Vec::with_capacity(AT_ONCE), false, false);
    loop {
        let came = tokio::select! {
            came = receive.recv_many(&mut batch, AT_ONCE) => came,
            _ = &mut stop, if !stopping => {
                stopping = true;
                receive.close();
                continue;
            }
        };
        if came == 0 {
            return;
        }
        // More may be on the way: a row at a time would cost the place more than it is worth.
        let fill = async { while batch.len() < AT_ONCE && receive.recv_many(&mut batch, AT_ONCE).await > 0 {} };
        let _ = tokio::time::timeout(SOON, fill).await;
        let mut pause = PAUSE;
        loop {
            let done = async {
                if !prepared {
                    records.prepare().await?;
                }
                prepared = true;
                records.write(&batch).await
            };
            let Err(error) = done.await else { break };
            tracing::warn!(%error, records = batch.len(), "records are not kept yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        batch.clear();
    }
}
