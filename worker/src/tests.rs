//! What the tests of this room share.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    time::{Chance, Clock, Timestamp},
};

use crate::{
    logs::{AttemptLog, LogWriter},
    process::Starter,
    python::Pool,
};

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "these tests run against real processes in real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Timestamp(i64::try_from(since.as_micros()).expect("before the year 292277"))
    }
}

/// Bits that differ from call to call.
#[derive(Debug, Default)]
pub(crate) struct Counting(std::sync::atomic::AtomicU64);

impl Chance for Counting {
    fn draw(&self) -> f64 {
        0.5
    }

    fn bits(&self) -> u128 {
        let serial = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u128::from(serial).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

/// A ticket of a run that is nowhere.
pub(crate) fn ticket() -> Ticket {
    let run = RunId::from_parts(Timestamp::from_millis(1), 7 << 64);
    Ticket { task: TaskKey { run, ordinal: Ordinal(0) }, attempt: Attempt(1) }
}

/// A log that nobody stores.
pub(crate) fn log() -> AttemptLog {
    AttemptLog::new(LogWriter::new(Arc::new(RealClock)), ticket())
}

/// Python hosts in a folder of their own.
pub(crate) fn pool(folder: &Path) -> Pool {
    Pool::new(Starter::new().expect("a thread"), python(), folder.to_owned(), 4)
}

/// The interpreter under test; another one, as one with pyarrow, by `TIDEMILL_TEST_PYTHON`.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("TIDEMILL_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// Waits until something is true, but not for ever.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs: there, and not merely a corpse that nobody has looked at.
pub(crate) fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
