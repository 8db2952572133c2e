//! How often each caller may call: a bucket per caller that fills evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tidemill_dag::time::Timestamp;

const WINDOW: f64 = 60.0;

/// The buckets.
#[derive(Debug)]
pub(crate) struct Limiter {
    quota: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

/// Whether one request fits, and what the caller is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// Whether it fits.
    pub allowed: bool,
    quota: u32,
    left: u32,
    /// Seconds until there is room for one more, or until the bucket is full again.
    wait: u32,
}

impl Limiter {
    /// So many requests per minute and caller.
    pub fn new(quota: u32) -> Self {
        Self { quota: quota.max(1), buckets: Mutex::default() }
    }

    /// Takes one request of a caller.
    pub fn take(&self, caller: &str, now: Timestamp) -> Verdict {
        let quota = f64::from(self.quota);
        // A poisoned lock is a panic of somebody who held it; the numbers are still numbers.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(caller.to_owned()).or_insert(Bucket { left: quota, at: now });
        let filled = now.since(bucket.at).as_secs_f64() * quota / WINDOW;
        *bucket = Bucket { left: (bucket.left + filled).min(quota), at: now.max(bucket.at) };
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        let missing = if allowed { quota - bucket.left } else { 1.0 - bucket.left };
        let wait = (missing * WINDOW / quota).ceil();
        Verdict { allowed, quota: self.quota, left: bucket.left as u32, wait: (wait as u32).max(1) }
    }
}

impl Verdict {
    /// Puts it into the headers of the answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("ratelimit-policy", format!("\"requests\";q={};w={WINDOW}", self.quota));
        put("ratelimit", format!("\"requests\";r={};t={}", self.left, self.wait));
        if !self.allowed {
            put("retry-after", self.wait.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let limiter = Limiter::new(60);
        let start = Timestamp::from_millis(1_000);
        for n in 0..60 {
            let verdict = limiter.take("ann", start);
            assert!(verdict.allowed && verdict.left == 59 - n);
        }
        let refused = limiter.take("ann", start);
        assert_eq!((refused.allowed, refused.left, refused.wait), (false, 0, 1));
        assert!(limiter.take("bob", start).allowed, "each caller has a bucket");
        let later = start.after(Duration::from_secs(1));
        assert!(limiter.take("ann", later).allowed);
        assert!(!limiter.take("ann", later).allowed);
        assert!(!limiter.take("ann", start).allowed, "a clock that goes back fills nothing");
        assert!(limiter.take("ann", later.after(Duration::from_secs(3_600))).left == 59);
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let limiter = Limiter::new(1);
        let now = Timestamp::from_millis(0);
        let mut headers = HeaderMap::new();
        limiter.take("ann", now).tell(&mut headers);
        assert!(headers.get("retry-after").is_none());
        limiter.take("ann", now).tell(&mut headers);
        assert_eq!(headers["retry-after"], "60");
        assert_eq!(headers["ratelimit"], "\"requests\";r=0;t=60");
        assert_eq!(headers["ratelimit-policy"], "\"requests\";q=1;w=60");
    }
}
