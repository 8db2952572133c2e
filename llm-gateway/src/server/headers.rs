//! Headers: who asks on whose behalf, and what is told beside an answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::attempt::TIMEOUT;
use crate::call::Facts;
use crate::caller::Caller;
use crate::config::Money;
use crate::error::GatewayError;
use crate::limits::{Measure, Standing};

/// Names of people, pipelines and runs are not longer than this.
const LONGEST_NAME: usize = 256;

/// Fills in what headers say of the caller.
///
/// # Errors
/// A header has a value that is not possible.
pub(super) fn caller(headers: &HeaderMap, caller: &mut Caller, user_is_fixed: bool) -> Result<(), GatewayError> {
    if !user_is_fixed {
        caller.user = name(headers, "x-tidemill-user")?;
    }
    caller.pipeline = name(headers, "x-tidemill-pipeline")?;
    caller.run = name(headers, "x-tidemill-run")?;
    caller.task = name(headers, "x-tidemill-task")?;
    caller.cache_namespace = name(headers, "x-tidemill-cache-namespace")?;
    caller.tables = name(headers, "x-tidemill-tables")?;
    caller.idempotent = match name(headers, "x-tidemill-idempotent")?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("x-tidemill-idempotent", "it is true or false")),
    };
    Ok(())
}

/// How long the caller will wait.
///
/// # Errors
/// It is no number of milliseconds.
pub(super) fn within(headers: &HeaderMap) -> Result<Option<Duration>, GatewayError> {
    let Some(text) = name(headers, TIMEOUT)? else { return Ok(None) };
    let millis: u64 = text.parse().map_err(|_| wrong(TIMEOUT, "it is a whole number of milliseconds"))?;
    Ok(Some(Duration::from_millis(millis)))
}

fn name(headers: &HeaderMap, key: &str) -> Result<Option<Arc<str>>, GatewayError> {
    let Some(value) = headers.get(key) else { return Ok(None) };
    let text = value.to_str().map_err(|_| wrong(key, "it has signs that are not ASCII"))?;
    if text.len() > LONGEST_NAME {
        return Err(wrong(key, "it is longer than 256 signs"));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn wrong(key: &str, reason: &str) -> GatewayError {
    GatewayError::BadRequest { reason: format!("header {key}: {reason}"), field: Some(key.to_owned()) }
}

/// Tells what is known of a call.
pub(super) fn tell(headers: &mut HeaderMap, facts: &Facts) {
    let mut set = |key: &'static str, value: &str| {
        // A name of the configuration may have signs that no header can carry.
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
            headers.insert(HeaderName::from_static(key), value);
        }
    };
    set("x-tidemill-call", &facts.call);
    set("x-tidemill-provider", &facts.provider);
    set("x-tidemill-deployment", &facts.deployment);
    set("x-tidemill-model", &facts.model);
    set("x-tidemill-attempts", &facts.tried.len().to_string());
    set("x-tidemill-cache", facts.cache.name());
    set("x-tidemill-embedding", &facts.embedding);
    if facts.usage.total() > 0 || facts.micros > 0 {
        set("x-tidemill-tokens-input", &facts.usage.input.to_string());
        set("x-tidemill-tokens-output", &facts.usage.output.to_string());
        set("x-tidemill-cost", &Money(facts.micros).to_string());
    }
    set("x-tidemill-overhead-ms", &format!("{:.3}", facts.overhead.as_secs_f64() * 1_000.0));
    let keys = [
        (
            Measure::Requests,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (Measure::Tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
        (Measure::Money, ["x-ratelimit-limit-money", "x-ratelimit-remaining-money", "x-ratelimit-reset-money"]),
    ];
    for (measure, [limit, left, reset]) in keys {
        // The narrowest of several limits is the one that counts.
        let of = facts.standing.iter().filter(|standing| standing.measure == measure);
        let Some(Standing { cap, left: remaining, reset: after, .. }) = of.min_by_key(|standing| standing.left) else {
            continue;
        };
        let shown =
            |amount: u64| if measure == Measure::Money { Money(amount).to_string() } else { amount.to_string() };
        set(limit, &shown(*cap));
        set(left, &shown(*remaining));
        if let Some(after) = after {
            set(reset, &format!("{}s", after.as_secs_f64().ceil()));
        }
    }
}

/// Tells when it is worth another try.
pub(super) fn retry(headers: &mut HeaderMap, error: &GatewayError) {
    if let Some(after) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64));
    }
}
