//! A session's share of the engine's memory.
//!
//! Every session spills at its own share, so that what one task needs does not depend on what others do; together
//! they never exceed the whole.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use datafusion::{
    common::{Result, resources_datafusion_err},
    execution::memory_pool::{
        FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
    },
};

/// How many consumers an error about memory names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// All memory that queries may reserve.
#[derive(Debug)]
pub(super) struct Whole {
    limit: usize,
    used: AtomicUsize,
}

impl Whole {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn try_take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// One session's part of it.
#[derive(Debug)]
pub(super) struct Share {
    own: TrackConsumersPool<FairSpillPool>,
    whole: Arc<Whole>,
}

impl Share {
    pub(super) fn new(bytes: usize, whole: Arc<Whole>) -> Self {
        Self { own: TrackConsumersPool::new(FairSpillPool::new(bytes), NAMED_CONSUMERS), whole }
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &'static str {
        "share"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.whole.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.whole.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        if self.whole.try_take(additional) {
            return Ok(());
        }
        self.own.shrink(reservation, additional);
        Err(resources_datafusion_err!(
            "Failed to allocate additional {additional} bytes for {} with {} bytes already allocated for this \
             reservation - other tasks use {} of {} bytes",
            reservation.consumer().name(),
            reservation.size(),
            self.whole.used(),
            self.whole.limit
        ))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(f)
    }
}
