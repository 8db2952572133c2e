//! Limits that hold: before a call the most it may take is reserved, after it what it took is counted. What is spent
//! and reserved together never passes a limit, however many calls run at once and however many processes share the
//! ledger.

mod bound;
mod memory;
mod redis;
mod rules;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tidemill_dag::time::Clock;

use crate::error::GatewayError;

pub use bound::{embed_bound, estimate, prompt_bound, prompt_counted};
pub use memory::MemoryLedger;
pub use redis::RedisLedger;
pub use rules::Rules;

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A customer, by its tier.
    Tenant,
    /// A user of a customer.
    User,
    /// A key.
    Key,
    /// A pipeline of a customer.
    Pipeline,
    /// A run of a customer.
    Run,
}

impl Scope {
    /// As people and Redis see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Key => "key",
            Self::Pipeline => "pipeline",
            Self::Run => "run",
        }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Calls.
    Requests,
    /// Tokens of requests and answers.
    Tokens,
    /// Millionths of the currency.
    Money,
}

impl Measure {
    /// As people and Redis see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }
}

/// What a call takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Calls.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
    /// Millionths of the currency.
    pub micros: u64,
}

impl Amount {
    /// The part that a limit counts.
    pub const fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests => self.requests,
            Measure::Tokens => self.tokens,
            Measure::Money => self.micros,
        }
    }
}

/// What is counted together: the identity of a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Meter {
    /// What it is about.
    pub scope: Scope,
    /// Whose.
    pub tenant: Arc<str>,
    /// The name within the tenant.
    pub name: Arc<str>,
    /// The length of the window; `None`: for ever.
    pub per: Option<Duration>,
    /// What is counted.
    pub measure: Measure,
}

/// A limit on a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Which counter.
    pub meter: Meter,
    /// At most this.
    pub cap: u64,
}

impl Limit {
    /// The refusal of a call.
    pub(crate) fn refusal(&self, used: u64, wanted: u64, retry_after: Option<Duration>) -> GatewayError {
        let Meter { scope, name, per, measure, .. } = &self.meter;
        let per = per.map_or_else(String::new, |per| format!(" per {}", tidemill_dag::time::Span(per)));
        GatewayError::Limited {
            subject: format!("{} {name}", scope.name()),
            measure: format!("{}{per}", measure.name()),
            used,
            cap: self.cap,
            wanted,
            retry_after: if wanted > self.cap { None } else { retry_after },
        }
    }
}

/// How a counter stands after a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What is counted.
    pub measure: Measure,
    /// At most this.
    pub cap: u64,
    /// What may still be reserved.
    pub left: u64,
    /// When all of it may be again, if nothing more is spent.
    pub reset: Option<Duration>,
}

/// Where spending is counted.
#[derive(Debug)]
pub enum Ledger {
    /// In this process.
    Memory(MemoryLedger),
    /// In Redis, shared.
    Redis(RedisLedger),
}

impl Ledger {
    /// Reserves, or says which limit stands in the way; then nothing is reserved. `lease` is how long a reservation
    /// stays whose process died.
    ///
    /// # Errors
    /// A limit is reached, or the ledger does not answer.
    pub async fn reserve(
        self: &Arc<Self>,
        limits: Arc<[Limit]>,
        amount: Amount,
        lease: Duration,
    ) -> Result<(Hold, Vec<Standing>), GatewayError> {
        let (ticket, standing) = match &**self {
            Self::Memory(ledger) => (0, ledger.reserve(&limits, amount)?),
            Self::Redis(ledger) => ledger.reserve(&limits, amount, lease).await?,
        };
        let hold = Hold { ledger: Arc::clone(self), limits, reserved: amount, worst: amount, ticket, open: true };
        Ok((hold, standing))
    }

    /// Waits until every settlement that is on its way has arrived.
    pub async fn settled(&self) {
        if let Self::Redis(ledger) = self {
            ledger.open.close();
            ledger.open.wait().await;
        }
    }
}

/// A reservation. Dropped without a settlement it is settled at its worst: what is not known to be unspent is spent.
#[derive(Debug)]
pub struct Hold {
    ledger: Arc<Ledger>,
    limits: Arc<[Limit]>,
    reserved: Amount,
    worst: Amount,
    ticket: u128,
    open: bool,
}

impl Hold {
    /// What was reserved.
    pub const fn reserved(&self) -> Amount {
        self.reserved
    }

    /// From now on, being dropped costs this.
    pub const fn assume(&mut self, worst: Amount) {
        self.worst = worst;
    }

    /// Counts what was taken. In Redis this happens beside the path of the answer: until then the reservation stands,
    /// which is more.
    pub fn settle(mut self, actual: Amount) {
        self.close(actual);
    }

    fn close(&mut self, actual: Amount) {
        if !std::mem::take(&mut self.open) || self.limits.is_empty() {
            return;
        }
        match &*self.ledger {
            Ledger::Memory(ledger) => ledger.settle(&self.limits, self.reserved, actual),
            Ledger::Redis(ledger) => {
                // Without a runtime the process is ending, and the lease gives the reservation back.
                let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
                let (shared, limits) = (Arc::clone(&self.ledger), Arc::clone(&self.limits));
                let (ticket, reserved) = (self.ticket, self.reserved);
                let settling = async move {
                    if let Ledger::Redis(ledger) = &*shared {
                        ledger.settle(&limits, ticket, reserved, actual).await;
                    }
                };
                drop(ledger.open.spawn_on(settling, &runtime));
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.close(self.worst);
    }
}

/// The ledger of a process alone.
pub fn in_memory(clock: Arc<dyn Clock>) -> Arc<Ledger> {
    Arc::new(Ledger::Memory(MemoryLedger::new(clock)))
}
