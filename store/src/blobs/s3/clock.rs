//! The clock that requests are signed with.
//!
//! S3 turns away whoever signs with a time that is more than 15 minutes off. A worker whose machine has a wrong clock is as
//! good as any other, so a refusal whose `Date` is far from the time of the signature puts that time right, and the request is
//! sent again.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    config::{
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_async::time::TimeSource;
use tidemill_dag::time::Clock;

/// A refusal with a smaller difference than this has another reason.
const TOLERATED: u64 = 60_000;

/// This machine's clock, put right by the server's.
#[derive(Clone)]
pub(super) struct SigningClock {
    machine: Arc<dyn Clock>,
    /// Milliseconds that the server is ahead.
    ahead: Arc<AtomicI64>,
}

impl fmt::Debug for SigningClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningClock").field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

impl SigningClock {
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        Self { machine, ahead: Arc::default() }
    }

    /// Whether a refusal says that the signature's time is off; the next one is then right.
    fn learns(&self, signed: &str, date: &str) -> bool {
        let there = DateTime::from_str(date, DateTimeFormat::HttpDate).ok().and_then(millis);
        let (Some(signed), Some(there)) = (signing_time(signed), there) else { return false };
        if signed.abs_diff(there) < TOLERATED {
            return false;
        }
        let ahead = there.saturating_sub(self.machine.now().as_millis());
        self.ahead.store(ahead, Ordering::Relaxed);
        tracing::warn!(
            seconds = ahead / 1_000,
            "the S3 server's clock is ahead of this machine's by so much; requests are signed with the server's time"
        );
        true
    }
}

fn millis(time: DateTime) -> Option<i64> {
    time.to_millis().ok()
}

/// Reads `20261121T181500Z`.
fn signing_time(text: &str) -> Option<i64> {
    let part = |from, to| text.get(from..to);
    let (date, time) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(9, 11)?, part(11, 13)?, part(13, 15)?));
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2);
    millis(DateTime::from_str(&text, DateTimeFormat::DateTime).ok()?)
}

impl TimeSource for SigningClock {
    fn now(&self) -> SystemTime {
        let millis = self.machine.now().as_millis().saturating_add(self.ahead.load(Ordering::Relaxed));
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).unsigned_abs())
    }
}

impl ClassifyRetry for SigningClock {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let (Some(request), Some(response)) = (context.request(), context.response()) else {
            return RetryAction::NoActionIndicated;
        };
        let (signed, date) = (request.headers().get("x-amz-date"), response.headers().get("date"));
        match (response.status().as_u16(), signed, date) {
            (403, Some(signed), Some(date)) if self.learns(signed, date) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "a signature with a wrong time"
    }
}

#[cfg(test)]
mod tests {
    use tidemill_dag::time::Timestamp;
    use tidemill_testkit::ManualClock;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(text: &str) -> SystemTime {
        DateTime::from_str(text, DateTimeFormat::DateTime).expect("a time").try_into().expect("a time")
    }

    #[test]
    fn a_refusal_puts_the_time_right_until_the_machine_does() {
        let moment = millis(at("2026-11-21T17:15:00Z").into()).expect("a time");
        let machine = ManualClock::at(Timestamp::from_millis(moment));
        let clock = SigningClock::new(Arc::new(machine.clone()));
        let date = "Sat, 21 Nov 2026 18:15:00 GMT";
        assert!(clock.learns("20261121T171500Z", date));
        assert_eq!(clock.now(), at("2026-11-21T18:15:00Z"));
        assert!(!clock.learns("20261121T181500Z", date), "it is right now: there is another reason");
        machine.advance(HOUR);
        assert_eq!(clock.now(), at("2026-11-21T19:15:00Z"), "the machine's clock was set");
        assert!(clock.learns("20261121T191500Z", date));
        assert_eq!(clock.now(), at("2026-11-21T18:15:00Z"));
    }

    #[test]
    fn what_is_no_time_teaches_nothing() {
        let clock = SigningClock::new(Arc::new(ManualClock::default()));
        let before = clock.now();
        let date = "Sat, 21 Nov 2026 18:15:00 GMT";
        for (signed, date) in [("", date), ("2026", date), ("20261121T191500Z", "yesterday")] {
            assert!(!clock.learns(signed, date), "{signed} {date}");
        }
        assert_eq!(clock.now(), before);
    }
}
