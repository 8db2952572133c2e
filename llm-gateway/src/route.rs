//! Which deployments a request is tried on, in which order, and why. Pure: prices, breakers and chance come in.

mod signals;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::caller::Caller;
use crate::config::{Order, RouteSection, Share};
use crate::error::GatewayError;

pub use signals::{SCRIPTS, Signals, holds};

/// What is known of a deployment here.
#[derive(Debug, Clone)]
pub struct Choice<'d> {
    /// Its name.
    pub name: &'d str,
    /// The model as its provider names it.
    pub model: &'d str,
    /// Its provider.
    pub provider: &'d str,
    /// The window in tokens.
    pub context: u64,
    /// Whether it makes vectors.
    pub embeds: bool,
    /// What it is good at.
    pub tags: &'d [String],
    /// What this request may cost there at most.
    pub cost: u64,
    /// How long its breaker still keeps calls away.
    pub rests: Option<Duration>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The model as the caller named it.
    pub model: &'a str,
    /// Whether vectors are wanted.
    pub embeds: bool,
    /// The most tokens that the prompt can take, and a fair guess.
    pub tokens: (u64, u64),
    /// Who asks.
    pub caller: &'a Caller,
    /// The providers that may see the caller's data; `None`: all.
    pub allowed: Option<&'a [String]>,
}

/// The order of tries, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The route of that name, if it is one.
    pub route: Option<String>,
    /// The rule that chose; `None`: the route's own choice.
    pub rule: Option<String>,
    /// Deployments, by their place in the table.
    #[serde(skip)]
    pub order: Vec<usize>,
    /// Deployments that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// When a second one is asked too.
    #[serde(skip)]
    pub hedge_after: Option<Duration>,
}

/// A deployment that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub deployment: String,
    /// Why.
    pub why: String,
}

/// Chooses. `draw` is called once for each deployment that shares calls, for a number in `0.0..1.0`.
///
/// # Errors
/// There is no such model, or nothing that fits is available.
pub fn plan(
    choices: &[Choice<'_>],
    routes: &BTreeMap<String, RouteSection>,
    ask: &Ask<'_>,
    signals: impl FnOnce() -> Signals,
    draw: impl FnMut() -> f64,
) -> Result<Plan, GatewayError> {
    let mut plan = Plan::default();
    let at = |name: &str| choices.iter().position(|choice| choice.name == name);
    let (shares, fallbacks, order) = if let Some(one) = at(ask.model) {
        (vec![(one, 1)], Vec::new(), Order::Weighted)
    } else if let Some(route) = routes.get(ask.model) {
        plan.route = Some(ask.model.to_owned());
        plan.hedge_after = route.hedge_after.map(|span| span.0);
        let placed = |share: &Share| at(&share.deployment).map(|place| (place, share.weight));
        let mut shares: Vec<(usize, u32)> = route.shares.iter().filter_map(placed).collect();
        if !route.rules.is_empty() {
            let signals = signals();
            if let Some(rule) = route.rules.iter().find(|rule| holds(&rule.when, &signals, ask.caller)) {
                plan.rule = Some(rule.name.clone());
                shares = match rule.tagged.is_empty() {
                    true => rule.shares.iter().filter_map(placed).collect(),
                    false => tagged(choices, &rule.tagged),
                };
            }
        }
        let fallbacks = route.fallbacks.iter().filter_map(|name| at(name)).collect();
        (shares, fallbacks, route.order)
    } else {
        let same = choices.iter().enumerate().filter(|(_, choice)| choice.model == ask.model);
        (same.map(|(place, _)| (place, 1)).collect(), Vec::new(), Order::Weighted)
    };
    if shares.is_empty() && fallbacks.is_empty() {
        return Err(GatewayError::UnknownModel { model: ask.model.to_owned() });
    }
    let mut order = ordered(choices, shares, order, draw);
    order.extend(fallbacks.into_iter().filter(|place| !order.contains(place)).collect::<Vec<_>>());
    keep(choices, ask, order, plan)
}

/// Those with all of some tags, in equal shares.
fn tagged(choices: &[Choice<'_>], tags: &[String]) -> Vec<(usize, u32)> {
    let has = |choice: &Choice<'_>| tags.iter().all(|tag| choice.tags.contains(tag));
    choices.iter().enumerate().filter(|(_, choice)| has(choice)).map(|(place, _)| (place, 1)).collect()
}

/// Those that share calls, in the order in which they are tried.
fn ordered(
    choices: &[Choice<'_>],
    mut shares: Vec<(usize, u32)>,
    order: Order,
    mut draw: impl FnMut() -> f64,
) -> Vec<usize> {
    match order {
        Order::Cheapest => shares.sort_by_key(|(place, _)| choices[*place].cost),
        Order::Weighted if shares.len() > 1 => {
            // Efraimidis and Spirakis: sorting by draw^(1/weight) draws without putting back, by weight.
            let key = |weight: u32, draw: f64| if weight == 0 { -1.0 } else { draw.powf(1.0 / f64::from(weight)) };
            let mut drawn: Vec<(usize, f64)> =
                shares.iter().map(|(place, weight)| (*place, key(*weight, draw()))).collect();
            drawn.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            return drawn.into_iter().map(|(place, _)| place).collect();
        }
        Order::Weighted => {}
    }
    shares.into_iter().map(|(place, _)| place).collect()
}

/// Leaves out what does not fit or is not available.
fn keep(choices: &[Choice<'_>], ask: &Ask<'_>, order: Vec<usize>, mut plan: Plan) -> Result<Plan, GatewayError> {
    let (mut window, mut rests, mut forbidden) = (None, None, false);
    for place in order {
        let choice = &choices[place];
        let why = if choice.embeds != ask.embeds {
            Some(if ask.embeds { "it makes no vectors" } else { "it only makes vectors" }.to_owned())
        } else if ask.allowed.is_some_and(|allowed| !allowed.iter().any(|name| name == choice.provider)) {
            forbidden = true;
            Some(format!("{} may not see data of {}", choice.provider, ask.caller.tenant))
        } else if ask.tokens.0 > choice.context && ask.tokens.1 > choice.context {
            window = window.max(Some(choice.context));
            Some(format!("the prompt takes some {} tokens and the window has {}", ask.tokens.1, choice.context))
        } else if let Some(rest) = choice.rests {
            rests = Some(rests.map_or(rest, |known: Duration| known.min(rest)));
            Some(format!("it rests after failures for another {} ms", rest.as_millis()))
        } else {
            None
        };
        match why {
            Some(why) => plan.skipped.push(Skipped { deployment: choice.name.to_owned(), why }),
            None => plan.order.push(place),
        }
    }
    if !plan.order.is_empty() {
        return Ok(plan);
    }
    Err(match (rests, window) {
        (Some(retry_after), _) => GatewayError::NoneAvailable { model: ask.model.to_owned(), retry_after },
        (None, Some(window)) => GatewayError::OverWindow { tokens: ask.tokens.1, window },
        (None, None) if forbidden => GatewayError::Forbidden {
            reason: format!("no provider of `{}` may see data of {}", ask.model, ask.caller.tenant),
        },
        (None, None) => {
            let what = if ask.embeds { "a request for embeddings" } else { "a request for an answer" };
            GatewayError::Unsupported { what: what.to_owned(), provider: ask.model.to_owned() }
        }
    })
}

#[cfg(test)]
mod tests;
