use std::collections::HashMap;
use std::sync::Arc;

use super::{Limit, Measure, Meter, Scope};
use crate::caller::Caller;
use crate::config::{GatewayConfig, LimitSection};

/// Which limits a caller has.
#[derive(Debug, Default)]
pub struct Rules {
    tiers: HashMap<String, Vec<LimitSection>>,
    keys: HashMap<String, Vec<LimitSection>>,
    user: Vec<LimitSection>,
    key: Vec<LimitSection>,
    pipeline: Vec<LimitSection>,
    run: Vec<LimitSection>,
}

impl Rules {
    /// From the configuration.
    pub fn of(config: &GatewayConfig) -> Self {
        let own = |(name, key): (&String, &crate::config::KeySection)| Some((name.clone(), key.limits.clone()?));
        Self {
            tiers: config.tiers.iter().map(|(name, tier)| (name.clone(), tier.limits.clone())).collect(),
            keys: config.keys.iter().filter_map(own).collect(),
            user: config.limits.user.clone(),
            key: config.limits.key.clone(),
            pipeline: config.limits.pipeline.clone(),
            run: config.limits.run.clone(),
        }
    }

    /// Every limit that a call of this caller is under.
    pub fn limits(&self, caller: &Caller) -> Arc<[Limit]> {
        let mut out = Vec::new();
        let mut add = |scope: Scope, name: &Arc<str>, sections: &[LimitSection]| {
            for section in sections {
                let caps = [
                    (Measure::Requests, section.requests),
                    (Measure::Tokens, section.tokens),
                    (Measure::Money, section.money.map(|money| money.0)),
                ];
                for (measure, cap) in caps.into_iter().filter_map(|(measure, cap)| Some((measure, cap?))) {
                    let (tenant, name, per) = (caller.tenant.clone(), name.clone(), section.per.map(|per| per.0));
                    out.push(Limit { meter: Meter { scope, tenant, name, per, measure }, cap });
                }
            }
        };
        if let Some(sections) = self.tiers.get(&*caller.tier) {
            add(Scope::Tenant, &caller.tenant, sections);
        }
        if !caller.key.is_empty() {
            add(Scope::Key, &caller.key, self.keys.get(&*caller.key).unwrap_or(&self.key));
        }
        let named = [(Scope::User, &caller.user, &self.user), (Scope::Pipeline, &caller.pipeline, &self.pipeline)];
        for (scope, name, sections) in named.into_iter().chain([(Scope::Run, &caller.run, &self.run)]) {
            if let Some(name) = name {
                add(scope, name, sections);
            }
        }
        out.into()
    }
}
