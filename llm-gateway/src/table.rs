//! The deployments as they run: configuration, made ready once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tidemill_dag::time::Timestamp;

use crate::config::{DeploymentSection, GatewayConfig, ProviderSection};
use crate::error::GatewayError;
use crate::prices::{Price, Prices};
use crate::providers::{self, Provider, Site};
use crate::resilience::{Breaker, Bulkhead, KeyRing};

/// A model at a provider.
pub(crate) struct Deployment {
    pub name: Arc<str>,
    pub provider_name: Arc<str>,
    pub provider: &'static dyn Provider,
    pub site: Arc<Site>,
    pub model: Arc<str>,
    pub context: u64,
    pub max_output: u32,
    pub embeds: bool,
    pub tags: Vec<String>,
    pub keys: Arc<KeyRing>,
    pub bulkhead: Bulkhead,
    headers: Arc<HeaderMap>,
    prices: Prices,
    breaker: Mutex<Breaker>,
}

/// A provider, shared by its deployments.
struct Ready {
    provider: &'static dyn Provider,
    site: Arc<Site>,
    keys: Arc<KeyRing>,
    headers: Arc<HeaderMap>,
}

/// Every deployment, in the order of their names.
pub(crate) fn table(config: &GatewayConfig) -> Result<Vec<Deployment>, GatewayError> {
    let mut ready = HashMap::new();
    for (name, section) in &config.providers {
        ready.insert(name.as_str(), provider(name, section)?);
    }
    let deployments = config.deployments.iter();
    deployments.map(|(name, section)| deployment(name, section, config, &ready)).collect()
}

fn provider(name: &str, section: &ProviderSection) -> Result<Ready, GatewayError> {
    let at = |field: &str| format!("gateway.providers.{name}.{field}");
    let wrong = |field: &str, reason: String| GatewayError::Config { path: at(field), reason };
    let provider = providers::of(section.kind);
    let url = section.url.as_deref().or_else(|| provider.public_url());
    let url = url.ok_or_else(|| wrong("url", format!("a provider of kind {} needs one", section.kind.name())))?;
    let sound = url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    });
    if !sound {
        return Err(wrong("url", format!("`{url}` is not an address, as in https://host/v1")));
    }
    let version = section.version.clone().unwrap_or_else(|| provider.version().to_owned());
    let site = Site { url: url.trim_end_matches('/').to_owned(), version };
    let mut keys = Vec::new();
    for (number, key) in section.keys.iter().enumerate() {
        if key.key.is_plain() {
            let reason = "write where the key is, as in ${env:OPENAI_API_KEY}, not the key itself".to_owned();
            return Err(wrong(&format!("keys.{number}.key"), reason));
        }
        keys.push((key.key.read()?, key.weight));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (header, place) in &section.headers {
        let field = format!("headers.{header}");
        let header = HeaderName::try_from(header).map_err(|_| wrong(&field, "it is no name of a header".into()))?;
        let value = place.read()?;
        let mut value = HeaderValue::try_from(value.expose())
            .map_err(|_| wrong(&field, "it has signs that no header can carry".into()))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(Ready { provider, site: Arc::new(site), keys: Arc::new(KeyRing::new(keys)), headers: Arc::new(headers) })
}

fn deployment(
    name: &str,
    section: &DeploymentSection,
    config: &GatewayConfig,
    ready: &HashMap<&str, Ready>,
) -> Result<Deployment, GatewayError> {
    let at = |field: &str| format!("gateway.deployments.{name}.{field}");
    let provider = ready.get(section.provider.as_str()).ok_or_else(|| GatewayError::Config {
        path: at("provider"),
        reason: format!("there is no provider `{}`", section.provider),
    })?;
    if section.model.is_empty() {
        return Err(GatewayError::Config { path: at("model"), reason: "it is missing".to_owned() });
    }
    Ok(Deployment {
        name: name.into(),
        provider_name: section.provider.as_str().into(),
        provider: provider.provider,
        site: provider.site.clone(),
        model: section.model.as_str().into(),
        context: section.context,
        max_output: section.max_output.unwrap_or(config.ledger.max_tokens),
        embeds: section.embeds,
        tags: section.tags.clone(),
        keys: provider.keys.clone(),
        bulkhead: Bulkhead::new(section.concurrency, section.queue),
        headers: provider.headers.clone(),
        prices: Prices::of(&config.prices, &section.provider, &section.model)?,
        breaker: Mutex::new(Breaker::new(config.breaker.clone())),
    })
}

impl Deployment {
    /// The price of now.
    pub fn price(&self, now: Timestamp) -> Price {
        self.prices.at(now)
    }

    /// Its breaker.
    pub fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Nothing panics while it is held.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Headers of every call, before the key.
    pub fn headers(&self) -> HeaderMap {
        (*self.headers).clone()
    }

    /// The most tokens of an answer: what the caller asks for, or what is allowed.
    pub fn max_tokens(&self, asked: Option<u32>) -> u32 {
        asked.map_or(self.max_output, |asked| asked.min(self.max_output)).max(1)
    }
}
