//! What time causes: sleepers wake, leases end, queued runs start, lost tickets are sent again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidemill_dag::{
    id::{TaskKey, Ticket, WorkerId},
    state::Event,
    time::Timestamp,
};

use crate::{
    Store, StoreError, Swept,
    control::{key, keys, tickets},
    db::{Batch, Columns, Row, Sql, batch, tried},
    door::{Offer, priority, publish},
};

const DUE: &str =
    "SELECT run_id, ordinal FROM tasks WHERE state = 'waiting' AND wake_at <= $1 ORDER BY wake_at LIMIT $2";

const LEASE_OVER: &str =
    "SELECT run_id, ordinal FROM tasks WHERE state = 'running' AND lease_until <= $1 ORDER BY lease_until LIMIT $2";

const WITH_QUEUED: &str = "SELECT p.name FROM pipelines AS p WHERE EXISTS \
                           (SELECT 1 FROM runs AS r WHERE r.pipeline = p.name AND r.state = 'queued') ORDER BY p.name";

/// The oldest offers are repeated first. A row that is being claimed right now needs no second ticket.
const OFFER_AGAIN: Sql = Sql {
    sqlite: "UPDATE tasks SET offered_at = $1 WHERE state = 'ready' AND (run_id, ordinal) IN \
             (SELECT run_id, ordinal FROM tasks WHERE state = 'ready' AND standby IS NULL AND offered_at < $2 \
             AND queue NOT IN (SELECT value FROM json_each($4)) ORDER BY offered_at LIMIT $3) \
             RETURNING run_id, ordinal, attempt, queue, priority",
    postgres: "UPDATE tasks AS t SET offered_at = $1 FROM \
               (SELECT run_id, ordinal FROM tasks WHERE state = 'ready' AND standby IS NULL AND offered_at < $2 \
               AND queue NOT IN (SELECT jsonb_array_elements_text($4::jsonb)) ORDER BY offered_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS old WHERE t.run_id = old.run_id AND t.ordinal = old.ordinal \
               RETURNING t.run_id, t.ordinal, t.attempt, t.queue, t.priority",
};

/// Rows are locked in the order of their keys, as the door writes them.
const BEAT: Sql = Sql {
    sqlite: "UPDATE tasks SET lease_until = $1 WHERE owner = $2 AND state = 'running' RETURNING run_id, ordinal, attempt",
    postgres: "UPDATE tasks AS t SET lease_until = $1 FROM \
               (SELECT run_id, ordinal FROM tasks WHERE owner = $2 AND state = 'running' ORDER BY run_id, ordinal \
               FOR NO KEY UPDATE) AS held WHERE t.run_id = held.run_id AND t.ordinal = held.ordinal \
               RETURNING t.run_id, t.ordinal, t.attempt",
};

/// Which of these tickets are still good.
const STILL_READY: Sql = batch!(
    [run_id run, ordinal int, attempt int]
    "SELECT t.run_id, t.ordinal, t.attempt, t.queue, t.priority FROM input AS i CROSS JOIN tasks AS t",
    "WHERE t.run_id = i.run_id AND t.ordinal = i.ordinal AND t.attempt = i.attempt AND t.state = 'ready' AND t.standby IS NULL"
);

const CURRENT: &str = "SELECT attempt FROM tasks WHERE run_id = $1 AND ordinal = $2 AND attempt = $3 AND owner = $4 \
                       AND state = 'running' AND lease_until > $5";

#[cfg(test)]
pub(crate) const STATEMENTS: [(Sql, u8); 6] = [
    (STILL_READY, 1),
    (Sql { sqlite: DUE, postgres: DUE }, 2),
    (Sql { sqlite: LEASE_OVER, postgres: LEASE_OVER }, 2),
    (OFFER_AGAIN, 4),
    (BEAT, 2),
    (Sql { sqlite: CURRENT, postgres: CURRENT }, 5),
];

/// At most so many tasks in one transaction.
const AT_ONCE: u32 = 500;
/// At most so many tickets are sent again in one go; the transport has a limit too.
const OFFERS: u32 = 5_000;
/// So many goes at most make one sweep, where everything is to be sent.
const GOES: usize = 4;
/// A ticket that nobody came with for so long is taken for lost.
const SILENCE: Duration = Duration::from_secs(5);

/// What a store remembers between its sweeps.
#[derive(Debug, Default)]
pub(crate) struct SweepMemory {
    /// What the transport's epoch was when everything was last sent; none when that is to be done.
    epoch: Mutex<Option<String>>,
}

impl SweepMemory {
    /// Whether everything has been sent in this epoch.
    fn knows(&self, epoch: &str) -> bool {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(epoch)
    }

    /// Everything is to be sent with the next sweep.
    pub fn forget(&self) {
        self.remember(None);
    }

    fn remember(&self, epoch: Option<String>) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = epoch;
    }
}

impl Store {
    /// One pass over everything that time causes. The first pass of a process, and the first after the transport lost what
    /// it held, sends the tickets of all ready tasks.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let now = self.desk.clock.now();
        let woken = self.tell_due(DUE, now, &Event::Due).await?;
        let leases_lost = self.tell_due(LEASE_OVER, now, &Event::LeaseOver).await?;
        let mut runs_started = 0;
        for row in self.desk.db.read("look for queued runs", WITH_QUEUED, &[]).await? {
            let pipeline: String = Columns::of(&row, "pipelines").next("name")?;
            let (started, after) = self.desk.start_queued(&pipeline).await?;
            runs_started += started as usize;
            self.desk.follow_up(after).await;
        }
        let stopped = self.desk.keep_time(now).await?;
        self.desk.take_turns(self.desk.waited_for().await?).await;
        let offered = self.offer_what_is_missing(now).await?;
        Ok(Swept { offered, leases_lost, woken, runs_started, stopped })
    }

    async fn tell_due(&self, find: &'static str, now: Timestamp, event: &Event) -> Result<usize, StoreError> {
        let mut told = 0;
        loop {
            let rows = self.desk.db.read("look for what is due", find, &[now.into(), AT_ONCE.into()]).await?;
            let tasks: Vec<TaskKey> = keys(&rows)?;
            let moved = self.tell_all(&tasks, event).await?;
            told += moved;
            if tasks.len() < AT_ONCE as usize || moved == 0 {
                return Ok(told);
            }
        }
    }

    /// Sends what was not sent lately, or everything where the transport may have lost it. While the transport cannot
    /// be reached there is no use in that.
    async fn offer_what_is_missing(&self, now: Timestamp) -> Result<usize, StoreError> {
        let condition = match self.desk.transport.condition().await {
            Ok(condition) => condition,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no tickets can be sent");
                self.sweeps.remember(None);
                return Ok(0);
            }
        };
        let all = !self.sweeps.knows(&condition.epoch);
        let (silence, goes) = if all { (Duration::ZERO, GOES) } else { (SILENCE, 1) };
        if all {
            self.forget_workers(now).await?;
        }
        let mut offered = 0;
        for _ in 0..goes {
            let some = self.offer_again(now, silence, &condition.full).await?;
            offered += some;
            if some < OFFERS as usize {
                break;
            }
        }
        self.sweeps.remember(Some(condition.epoch));
        Ok(offered)
    }

    async fn offer_again(&self, now: Timestamp, silence: Duration, full: &[String]) -> Result<usize, StoreError> {
        let micros = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(now.0.saturating_sub(micros));
        let full = serde_json::Value::from(full).to_string();
        let args = [now.into(), before.into(), OFFERS.into(), full.as_str().into()];
        let rows = tried!(self.desk.db.change("offer ready tasks again", OFFER_AGAIN, &args).await)?;
        publish(&*self.desk.transport, offers(&rows)?).await;
        Ok(rows.len())
    }

    /// Sends tickets on that were taken and not used, so that they need not wait for the sweep.
    pub async fn pass_on(&self, tickets: &[Ticket]) -> Result<(), StoreError> {
        if tickets.is_empty() {
            return Ok(());
        }
        let mut input = Batch::default();
        for Ticket { task, attempt } in tickets {
            input.row().set("run_id", task.run).set("ordinal", task.ordinal).set("attempt", *attempt);
        }
        let rows = self.desk.db.read("look which tickets are good", STILL_READY, &[input.arg()]).await?;
        publish(&*self.desk.transport, offers(&rows)?).await;
        Ok(())
    }

    /// Renews every lease of a worker and returns what it still holds. What the worker works on and is not in the answer,
    /// it has lost: it must stop. What was claimed for the worker by a call whose answer got lost is handed back.
    pub async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Vec<Ticket>, StoreError> {
        let until = self.desk.clock.now().after(lease);
        let args = [until.into(), worker.0.as_str().into()];
        let rows = tried!(self.desk.db.change("renew leases", BEAT, &args).await)?;
        let mut held = tickets(&rows)?;
        for report in self.desk.unheard(worker, &held) {
            let ticket = report.ticket;
            self.complete(report).await?;
            held.retain(|it| *it != ticket);
        }
        Ok(held)
    }

    /// Whether the attempt still holds its lease; asked right before a sink commits.
    pub async fn still_current(&self, ticket: Ticket, worker: &WorkerId) -> Result<bool, StoreError> {
        let Ticket { task, attempt } = ticket;
        let now = self.desk.clock.now();
        let args = [task.run.into(), task.ordinal.into(), attempt.into(), worker.0.as_str().into(), now.into()];
        Ok(!self.desk.db.read("look at a lease", CURRENT, &args).await?.is_empty())
    }
}

/// Reads rows of a ticket and where it goes.
fn offers(rows: &[Row]) -> Result<Vec<Offer>, StoreError> {
    let offer = |row| {
        let mut columns = Columns::of(row, "tasks");
        let ticket = Ticket { task: key(&mut columns)?, attempt: columns.next("attempt")? };
        Ok(Offer { ticket, queue: columns.next("queue")?, priority: priority(columns.next("priority")?) })
    };
    rows.iter().map(offer).collect()
}
