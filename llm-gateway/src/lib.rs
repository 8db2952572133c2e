//! The LLM gateway: provider contract and providers, routing, cache, limits, breaker and prices.
