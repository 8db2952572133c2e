//! What the cache did, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// Counts since the start. No texts, no names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CacheStats {
    /// Requests that may not be kept or looked up.
    pub off: u64,
    /// Looked up, and nothing was served.
    pub misses: u64,
    /// Served: the same request.
    pub exact: u64,
    /// Served: a near request.
    pub semantic: u64,
    /// Offered as an example.
    pub examples: u64,
    /// Candidates that the guard turned down.
    pub guarded: u64,
    /// Requests that waited for an identical one and took its answer.
    pub joined: u64,
    /// Answers that were kept.
    pub kept: u64,
    /// Near answers that were compared with a fresh one.
    pub shadows: u64,
    /// Those of them that said something else.
    pub false_hits: u64,
    /// Failures of the embedding or of Redis; each was treated as a miss.
    pub failures: u64,
    /// Answers that made room for others.
    pub evicted: u64,
    /// Answers in memory.
    pub entries: usize,
    /// Bytes in memory, vectors included.
    pub bytes: usize,
    /// Namespaces with a tightened bound.
    pub tightened: usize,
}

impl CacheStats {
    /// The share of compared near answers that were wrong; `None` before the first comparison.
    pub fn false_hit_rate(&self) -> Option<f64> {
        (self.shadows > 0).then(|| self.false_hits as f64 / self.shadows as f64)
    }
}

#[derive(Default)]
pub(super) struct Counters {
    pub off: AtomicU64,
    pub misses: AtomicU64,
    pub exact: AtomicU64,
    pub semantic: AtomicU64,
    pub examples: AtomicU64,
    pub guarded: AtomicU64,
    pub joined: AtomicU64,
    pub kept: AtomicU64,
    pub shadows: AtomicU64,
    pub false_hits: AtomicU64,
    pub failures: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(super) fn snapshot(&self, entries: usize, bytes: usize, evicted: u64, tightened: usize) -> CacheStats {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        CacheStats {
            off: of(&self.off),
            misses: of(&self.misses),
            exact: of(&self.exact),
            semantic: of(&self.semantic),
            examples: of(&self.examples),
            guarded: of(&self.guarded),
            joined: of(&self.joined),
            kept: of(&self.kept),
            shadows: of(&self.shadows),
            false_hits: of(&self.false_hits),
            failures: of(&self.failures),
            evicted,
            entries,
            bytes,
            tightened,
        }
    }
}
