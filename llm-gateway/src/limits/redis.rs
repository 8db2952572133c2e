use std::sync::Arc;
use std::time::Duration;

use redis::Script;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tidemill_dag::time::Chance;
use tokio_util::task::TaskTracker;

use super::memory::REMEMBERED;
use super::{Amount, Limit, Standing};
use crate::error::GatewayError;
use crate::secret::Secret;

/// Lua counts in doubles: this is the largest whole number they all hold.
const LARGEST: u64 = 1 << 53;
/// A settlement that fails is tried again so often, with this pause; then the lease gives the reservation back.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// No answer within this time is no answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counters in Redis, shared by processes. One script per step, so that each is all or nothing.
pub struct RedisLedger {
    connection: ConnectionManager,
    chance: Arc<dyn Chance>,
    prefix: String,
    reserve: Script,
    settle: Script,
    /// Settlements on their way.
    pub(super) open: TaskTracker,
}

impl std::fmt::Debug for RedisLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisLedger")
    }
}

impl RedisLedger {
    /// Connects when it is first needed, and again whenever the connection is lost.
    ///
    /// # Errors
    /// The address is not one of Redis.
    pub fn connect(url: &Secret, prefix: &str, chance: Arc<dyn Chance>) -> Result<Self, GatewayError> {
        // The address may hold a password: the message must not repeat it.
        let wrong = |_| GatewayError::Config {
            path: "gateway.ledger.redis".to_owned(),
            reason: "it is not an address of Redis, as in redis://127.0.0.1:6379".to_owned(),
        };
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE))
            .set_number_of_retries(2);
        let client = redis::Client::open(url.expose()).map_err(wrong)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(wrong)?;
        let script = |step: &str| {
            let shared = include_str!("ledger.lua").replace("REMEMBERED", &REMEMBERED.as_millis().to_string());
            Script::new(&format!("{shared}\n{step}"))
        };
        Ok(Self {
            connection,
            chance,
            prefix: prefix.to_owned(),
            reserve: script(include_str!("reserve.lua")),
            settle: script(include_str!("settle.lua")),
            open: TaskTracker::new(),
        })
    }

    /// The two keys of a counter. All of a tenant are in one slot of a Redis cluster.
    fn keys(&self, limit: &Limit) -> [String; 2] {
        let meter = &limit.meter;
        let per = meter.per.map_or(0, |per| per.as_millis());
        // A name may hold any sign; the length in front keeps two names from making one key.
        let (scope, measure, name) = (meter.scope.name(), meter.measure.name(), &meter.name);
        let key = format!("{}:{{{}}}:{scope}:{}:{name}:{per}:{measure}", self.prefix, meter.tenant, name.len());
        let leases = format!("{key}:leases");
        [key, leases]
    }

    /// Reserves under all limits or under none; answers with the name of the reservation.
    pub(super) async fn reserve(
        &self,
        limits: &[Limit],
        amount: Amount,
        lease: Duration,
    ) -> Result<(u128, Vec<Standing>), GatewayError> {
        if limits.is_empty() {
            return Ok((0, Vec::new()));
        }
        let ticket = self.chance.bits();
        let mut call = self.reserve.prepare_invoke();
        call.arg(format!("{ticket:032x}")).arg(millis(lease));
        for limit in limits {
            let [counter, leases] = self.keys(limit);
            call.key(counter).key(leases);
            let wanted = amount.of(limit.meter.measure).min(LARGEST);
            call.arg(limit.cap.min(LARGEST)).arg(wanted).arg(limit.meter.per.map_or(0, millis));
        }
        let mut connection = self.connection.clone();
        let answer: Vec<redis::Value> = call.invoke_async(&mut connection).await.map_err(down)?;
        let numbers: Vec<i64> = redis::from_redis_value(redis::Value::Array(answer))
            .map_err(|_| GatewayError::LedgerDown { reason: "its answer is not understood".to_owned() })?;
        understood(limits, amount, &numbers).map(|standing| (ticket, standing))
    }

    /// Counts what was taken.
    pub(super) async fn settle(&self, limits: &[Limit], ticket: u128, reserved: Amount, actual: Amount) {
        for attempt in 0..TRIES {
            let mut call = self.settle.prepare_invoke();
            call.arg(format!("{ticket:032x}")).arg(u8::from(attempt == 0));
            for limit in limits {
                let [counter, leases] = self.keys(limit);
                call.key(counter).key(leases);
                let of = |amount: Amount| amount.of(limit.meter.measure).min(LARGEST);
                call.arg(of(reserved)).arg(of(actual)).arg(limit.meter.per.map_or(0, millis));
            }
            let mut connection = self.connection.clone();
            match call.invoke_async::<i64>(&mut connection).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(kind = ?error.kind(), attempt, "a settlement did not reach the ledger"),
            }
            tokio::time::sleep(PAUSE * (attempt + 1)).await;
        }
        tracing::error!(
            tokens = actual.tokens,
            micros = actual.micros,
            "a settlement is lost; its reservation will end"
        );
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).min(LARGEST)
}

fn down(error: redis::RedisError) -> GatewayError {
    GatewayError::LedgerDown { reason: error.category().to_owned() }
}

fn understood(limits: &[Limit], amount: Amount, numbers: &[i64]) -> Result<Vec<Standing>, GatewayError> {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    if let [0, which, used, frees] = numbers {
        let which = usize::try_from(*which - 1).ok().and_then(|at| limits.get(at));
        let limit =
            which.ok_or_else(|| GatewayError::LedgerDown { reason: "its answer is not understood".to_owned() })?;
        let frees = u64::try_from(*frees).ok().map(|ms| Duration::from_millis(ms.max(1)));
        return Err(limit.refusal(unsigned(*used), amount.of(limit.meter.measure), frees));
    }
    let standing = limits.iter().zip(numbers.iter().skip(1)).map(|(limit, used)| Standing {
        measure: limit.meter.measure,
        cap: limit.cap,
        left: limit.cap.saturating_sub(unsigned(*used)),
        reset: limit.meter.per.map(|per| per + per / 60),
    });
    Ok(standing.collect())
}
