//! What no type can say: names that must exist, numbers that must be possible.

use super::{DeploymentSection, GatewayConfig};
use crate::error::GatewayError;
use crate::route::SCRIPTS;

/// Checks a configuration; the parts that read secrets or addresses are checked where they are made ready.
///
/// # Errors
/// The first contradiction.
pub fn check(config: &GatewayConfig) -> Result<(), GatewayError> {
    let wrong = |path: String, reason: String| Err(GatewayError::Config { path, reason });
    for (name, route) in &config.routes {
        let at = |field: &str| format!("gateway.routes.{name}.{field}");
        if config.deployments.contains_key(name) {
            return wrong(format!("gateway.routes.{name}"), "a deployment has the same name".to_owned());
        }
        if route.shares.is_empty() {
            return wrong(at("use"), "it names no deployment".to_owned());
        }
        let rules = route.rules.iter().enumerate();
        let named = route.shares.iter().map(|share| (at("use"), share.deployment.as_str()));
        let named = named.chain(route.fallbacks.iter().map(|name| (at("fallbacks"), name.as_str())));
        let ruled = rules.clone().flat_map(|(number, rule)| {
            rule.shares.iter().map(move |share| (format!("rules.{number}.use"), share.deployment.as_str()))
        });
        for (path, deployment) in named.chain(ruled.map(|(field, deployment)| (at(&field), deployment))) {
            if !config.deployments.contains_key(deployment) {
                return wrong(path, format!("there is no deployment `{deployment}`"));
            }
        }
        for (number, rule) in rules {
            if rule.shares.is_empty() == rule.tagged.is_empty() {
                let reason = "it names its deployments either with `use` or with `tagged`".to_owned();
                return wrong(at(&format!("rules.{number}.use")), reason);
            }
            let has = |section: &DeploymentSection| rule.tagged.iter().all(|tag| section.tags.contains(tag));
            if !config.deployments.values().any(has) {
                let tags = rule.tagged.join(", ");
                return wrong(at(&format!("rules.{number}.tagged")), format!("no deployment has the tags {tags}"));
            }
            if let Some(script) = rule.when.scripts.iter().find(|script| !SCRIPTS.contains(&script.as_str())) {
                let known = SCRIPTS.join(", ");
                return wrong(at(&format!("rules.{number}.when.scripts")), format!("`{script}` is not one of {known}"));
            }
        }
    }
    for (name, tenant) in &config.tenants {
        let tier = tenant.tier.as_ref().filter(|tier| !config.tiers.contains_key(*tier));
        if let Some(tier) = tier {
            return wrong(format!("gateway.tenants.{name}.tier"), format!("there is no tier `{tier}`"));
        }
        let unknown = tenant.providers.iter().flatten().find(|provider| !config.providers.contains_key(*provider));
        if let Some(provider) = unknown {
            return wrong(format!("gateway.tenants.{name}.providers"), format!("there is no provider `{provider}`"));
        }
    }
    for (name, key) in &config.keys {
        let known = |model: &&String| config.deployments.contains_key(*model) || config.routes.contains_key(*model);
        if let Some(model) = key.models.iter().find(|model| !known(model)) {
            return wrong(format!("gateway.keys.{name}.models"), format!("there is no model `{model}`"));
        }
    }
    let zero = [
        ("server.max_request", config.server.max_request == 0),
        ("server.max_answer", config.server.max_answer == 0),
        ("server.connections", config.server.connections == 0),
        ("server.threads", config.server.threads == Some(0)),
        ("ledger.max_tokens", config.ledger.max_tokens == 0),
        ("timeouts.total", config.timeouts.total.0.is_zero()),
        ("timeouts.idle", config.timeouts.idle.0.is_zero()),
        ("timeouts.first", config.timeouts.first.0.is_zero()),
        ("breaker.failures", config.breaker.failures == 0),
    ];
    if let Some((path, _)) = zero.into_iter().find(|(_, zero)| *zero) {
        return wrong(format!("gateway.{path}"), "it must be more than nothing".to_owned());
    }
    Ok(())
}
