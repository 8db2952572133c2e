//! Backfills: the runs of partitions whose turn it is.

use serde_json::json;
use tidemill_dag::backfill::BackfillEvent;
use tidemill_dag::diagnostic::chain;
use tidemill_dag::id::RunId;
use tidemill_dag::spec::{Concurrency, OnOverlap, Priority};
use tidemill_store::{NewRun, NewTask, Store, StoreError, TriggerKind};

use crate::SchedulerError;
use crate::scheduler::{Round, Settings, run_with};

/// Creates the runs of every partition whose turn it is. Any number of schedulers may do so at once: a partition has one run.
///
/// They go at low priority, so that what the clock and the world ask for goes first.
pub(crate) async fn start_turns(store: &Store, settings: &Settings, round: &mut Round) -> Result<(), SchedulerError> {
    for id in store.backfills_alive().await? {
        let (backfill, turns) = store.backfill_turns(&id).await?;
        if turns.is_empty() {
            continue;
        }
        let any = match run_with(&store.version(&backfill.version).await?, backfill.params.clone(), settings) {
            Ok(any) => any,
            Err(SchedulerError::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(backfill = id, error = %chain(&error), "a backfill cannot go on and is paused");
                store.move_backfill(&id, BackfillEvent::Pause).await?;
                continue;
            }
        };
        for turn in turns {
            let low = |task: &NewTask| NewTask { priority: Priority::Low, ..task.clone() };
            let run = NewRun {
                id: RunId::from_parts(settings.clock.now(), settings.chance.bits()),
                trigger: TriggerKind::Backfill,
                trigger_data: json!({"backfill": id, "partition": turn.place}),
                interval: Some(turn.interval),
                // A partition is neither left out nor does it throw others out.
                concurrency: Concurrency { on_overlap: OnOverlap::Queue, ..any.concurrency.clone() },
                started_by: backfill.created_by.clone(),
                priority: Priority::Low,
                tasks: any.tasks.iter().map(low).collect(),
                ..any.clone()
            };
            match store.start_partition(&id, turn.place, run).await {
                Ok(created) if created.existed => {}
                Ok(created) => round.fired.push(created.run),
                // It was paused or cancelled meanwhile.
                Err(StoreError::BackfillMove { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
