//! The time as the database tells it. Several hosts never agree on the time, and leases would suffer from that; so every
//! process asks the one database, and counts on from there by its own steady clock, which nobody sets.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tidemill_dag::time::{Clock, Timestamp};

use crate::{
    StoreError,
    db::{Columns, Db},
};

const NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(5);

/// An answer that took longer says too little about the present.
const PROMPT: Duration = Duration::from_millis(250);

/// The database's clock.
#[derive(Debug)]
pub(crate) struct DatabaseClock(Mutex<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    shown: Timestamp,
    at: Instant,
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.shown.after(reading.at.elapsed())
    }
}

impl DatabaseClock {
    /// Asks for the time, and goes on asking until the clock is dropped.
    pub async fn start(db: &Db) -> Result<Arc<Self>, StoreError> {
        let (reading, _) = ask(db).await?;
        let clock = Arc::new(Self(Mutex::new(reading)));
        tokio::spawn(keep(Arc::downgrade(&clock), db.clone()));
        Ok(clock)
    }
}

async fn keep(clock: Weak<DatabaseClock>, db: Db) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(clock) = clock.upgrade() else { return };
        // While the database is away, the steady clock has to do.
        if let Ok((reading, took)) = ask(&db).await
            && took < PROMPT
        {
            *clock.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
        }
    }
}

/// The answer was right at some moment between question and arrival; the middle errs least.
async fn ask(db: &Db) -> Result<(Reading, Duration), StoreError> {
    let asked = Instant::now();
    let rows = db.read("ask for the time", NOW, &[]).await?;
    let took = asked.elapsed();
    let row = rows.first().ok_or(StoreError::Closed)?;
    let shown: Timestamp = Columns::of(row, "clock").next("now")?;
    Ok((Reading { shown, at: asked + took / 2 }, took))
}

#[cfg(test)]
mod tests {
    use tidemill_testkit::Postgres;

    use super::*;

    #[tokio::test]
    async fn it_shows_the_databases_time() {
        let url = Postgres::shared().fresh().await.expect("a database");
        let db = Db::open(&url).await.expect("it opens");
        let clock = DatabaseClock::start(&db).await.expect("it tells the time");
        let before = clock.now();
        let (reading, _) = ask(&db).await.expect("it answers");
        let after = clock.now();
        let slack = Duration::from_millis(50);
        assert!(before <= after);
        assert!(reading.shown.after(slack) >= before && after.after(slack) >= reading.shown);
    }
}
