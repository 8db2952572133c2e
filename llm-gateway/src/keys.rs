//! Keys of the gateway: only their hashes are known here.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tidemill_dag::time::Chance;

use crate::caller::Caller;
use crate::config::GatewayConfig;
use crate::error::GatewayError;

/// How a key begins, so that people and scanners know one when they see it.
const MARK: &str = "tmk_";
const HASHED: &str = "blake3:";

/// Who may ask.
pub struct Keys {
    by_hash: HashMap<[u8; 32], Entry>,
    tiers: HashMap<String, Arc<str>>,
}

struct Entry {
    name: Arc<str>,
    tenant: Arc<str>,
    user: Option<Arc<str>>,
    models: Vec<String>,
}

/// What a key lets its holder do.
#[derive(Debug, Clone)]
pub struct Granted<'k> {
    /// Who asks.
    pub caller: Caller,
    /// What may be asked for; empty: all.
    pub models: &'k [String],
    /// Whether the key names the user, so that the caller cannot.
    pub user_is_fixed: bool,
}

/// A new key and the hash that goes into the configuration.
pub fn make(chance: &dyn Chance) -> (String, String) {
    let key = format!("{MARK}{:032x}{:032x}", chance.bits(), chance.bits());
    let hash = hash(&key);
    (key, hash)
}

/// What the configuration keeps of a key. Keys are 256 bits of chance, so a fast hash is no weaker than a slow one.
pub fn hash(key: &str) -> String {
    format!("{HASHED}{}", blake3::hash(key.as_bytes()).to_hex())
}

impl Keys {
    /// From the configuration.
    ///
    /// # Errors
    /// A hash is none, or two keys have the same.
    pub fn of(config: &GatewayConfig) -> Result<Self, GatewayError> {
        let mut by_hash = HashMap::new();
        for (name, section) in &config.keys {
            let wrong = |field: &str, reason: &str| GatewayError::Config {
                path: format!("gateway.keys.{name}.{field}"),
                reason: reason.to_owned(),
            };
            let digits = section.hash.strip_prefix(HASHED);
            let hash = digits.and_then(|digits| blake3::Hash::from_hex(digits).ok()).ok_or_else(|| {
                wrong("hash", "it is `blake3:` and 64 hexadecimal digits; `tidemill gateway key NAME` makes one")
            })?;
            if section.tenant.is_empty() {
                return Err(wrong("tenant", "it is missing"));
            }
            let entry = Entry {
                name: name.as_str().into(),
                tenant: section.tenant.as_str().into(),
                user: section.user.as_deref().map(Into::into),
                models: section.models.clone(),
            };
            if by_hash.insert(*hash.as_bytes(), entry).is_some() {
                return Err(wrong("hash", "another key has the same"));
            }
        }
        let tiers =
            config.tenants.iter().filter_map(|(name, tenant)| Some((name.clone(), tenant.tier.as_deref()?.into())));
        Ok(Self { by_hash, tiers: tiers.collect() })
    }

    /// Whether anybody may ask.
    pub fn open(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// A caller of a tenant, with the tenant's tier.
    pub fn caller(&self, tenant: &str) -> Caller {
        let caller = Caller::of(tenant);
        match self.tiers.get(tenant) {
            Some(tier) => Caller { tier: tier.clone(), ..caller },
            None => caller,
        }
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// The key is missing or not known.
    pub fn who(&self, headers: &HeaderMap) -> Result<Granted<'_>, GatewayError> {
        if self.open() {
            return Ok(Granted { caller: self.caller("default"), models: &[], user_is_fixed: false });
        }
        let key = given(headers).ok_or(GatewayError::Unauthenticated)?;
        // A look-up by hash tells nothing about keys that are not there.
        let entry = self.by_hash.get(blake3::hash(key).as_bytes()).ok_or(GatewayError::Unauthenticated)?;
        let mut caller = self.caller(&entry.tenant);
        caller.key = entry.name.clone();
        caller.user = entry.user.clone();
        Ok(Granted { caller, models: &entry.models, user_is_fixed: entry.user.is_some() })
    }
}

fn given(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("x-api-key").or_else(|| headers.get("api-key")) {
        return Some(key.as_bytes());
    }
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}
