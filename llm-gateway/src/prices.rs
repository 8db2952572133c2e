//! What tokens cost: a table with dates, in whole millionths. Every call is rounded up, so sums never fall behind.

use chrono::NaiveDate;
use tidemill_dag::time::Timestamp;

use crate::config::PriceSection;
use crate::error::GatewayError;
use crate::usage::Usage;

/// Millionths per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    input: u64,
    output: u64,
    cached: u64,
    cache_written: u64,
}

/// The price of one model over time; oldest first.
#[derive(Debug, Clone, Default)]
pub struct Prices(Vec<(Timestamp, Price)>);

impl Prices {
    /// The prices of a provider's model. Entries for the provider go before those for any.
    ///
    /// # Errors
    /// A date is none.
    pub fn of(sections: &[PriceSection], provider: &str, model: &str) -> Result<Self, GatewayError> {
        let fits = |section: &&PriceSection| section.model == model;
        let own: Vec<_> = sections.iter().filter(fits).filter(|s| s.provider.as_deref() == Some(provider)).collect();
        let any: Vec<_> = sections.iter().filter(fits).filter(|s| s.provider.is_none()).collect();
        let chosen = if own.is_empty() { any } else { own };
        let mut list = chosen.into_iter().map(dated).collect::<Result<Vec<_>, _>>()?;
        list.sort_by_key(|(from, _)| *from);
        Ok(Self(list))
    }

    /// The price at a moment. A model without a price costs nothing.
    pub fn at(&self, now: Timestamp) -> Price {
        self.0.iter().rev().find(|(from, _)| *from <= now).map_or_else(Price::default, |(_, price)| *price)
    }
}

fn dated(section: &PriceSection) -> Result<(Timestamp, Price), GatewayError> {
    let from = match &section.from {
        None => Timestamp(i64::MIN),
        Some(text) => {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| GatewayError::Config {
                path: format!("gateway.prices: {}", section.model),
                reason: format!("`{text}` is not a day; write it as in 2026-01-31"),
            })?;
            Timestamp(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros())
        }
    };
    let input = section.input.0;
    let or_input = |price: Option<crate::config::Money>| price.map_or(input, |money| money.0);
    let (cached, cache_written) = (or_input(section.cached), or_input(section.cache_written));
    Ok((from, Price { input, output: section.output.0, cached, cache_written }))
}

impl Price {
    /// What tokens cost in millionths, rounded up.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let special = usage.cached.saturating_add(usage.cache_written);
        let parts = [
            (usage.input.saturating_sub(special), self.input),
            (usage.cached, self.cached),
            (usage.cache_written, self.cache_written),
            (usage.output, self.output),
        ];
        let sum: u128 = parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The most that so many tokens can cost, whatever a provider's cache does.
    pub fn bound(&self, input: u64, output: u64) -> u64 {
        let dearest = self.input.max(self.cached).max(self.cache_written);
        Self { input: dearest, ..*self }.cost(&Usage { input, output, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Money;

    fn section(provider: Option<&str>, from: Option<&str>, input: u64) -> PriceSection {
        PriceSection {
            provider: provider.map(str::to_owned),
            model: "m".to_owned(),
            from: from.map(str::to_owned),
            input: Money(input),
            output: Money(4 * input),
            cached: Some(Money(input / 2)),
            cache_written: Some(Money(input + input / 4)),
        }
    }

    #[test]
    fn the_price_of_the_day_counts() {
        let sections = [section(None, None, 100), section(None, Some("2026-03-01"), 200), section(Some("p"), None, 7)];
        let at = |provider: &str, day: i64| {
            Prices::of(&sections, provider, "m").expect("dates").at(Timestamp::from_millis(day))
        };
        assert_eq!(at("q", 1_772_323_199_000).input, 100);
        assert_eq!(at("q", 1_772_323_200_000).input, 200);
        assert_eq!(at("p", 1_772_323_200_000).input, 7);
        assert_eq!(Prices::of(&sections, "p", "other").expect("none").at(Timestamp(0)), Price::default());
        assert!(Prices::of(&[section(None, Some("soon"), 1)], "p", "m").is_err());
    }

    #[test]
    fn costs_are_exact_and_rounded_up_once() {
        let price = Price { input: 150_000, output: 600_000, cached: 75_000, cache_written: 187_500 };
        let usage = Usage { input: 1_000, output: 60, cached: 200, cache_written: 100, reasoning: 0 };
        // 700 × 0.15 + 200 × 0.075 + 100 × 0.1875 + 60 × 0.6 = 174.75
        assert_eq!(price.cost(&usage), 175);
        assert_eq!(price.cost(&Usage { input: 1, ..Usage::default() }), 1);
        assert_eq!(price.cost(&Usage::default()), 0);
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bound_costs_more(input in 0_u64..1_000_000, output in 0_u64..100_000, cached in 0_u64..1_000_000, written in 0_u64..1_000_000) {
            let price = Price { input: 150_000, output: 600_000, cached: 75_000, cache_written: 187_500 };
            let cached = cached.min(input);
            let cache_written = written.min(input - cached);
            let usage = Usage { input, output, cached, cache_written, reasoning: 0 };
            prop_assert!(price.cost(&usage) <= price.bound(input, output));
        }
    }
}
