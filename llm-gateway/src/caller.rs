//! Who asks, and on whose behalf: what limits, prices and caches go by.

use std::sync::Arc;

use serde::Serialize;

/// Who asks. Names only, never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Caller {
    /// The customer: caches, limits and policies never cross it.
    pub tenant: Arc<str>,
    /// What the customer pays for.
    pub tier: Arc<str>,
    /// The name of the key that was used; empty where the gateway is used as a library.
    pub key: Arc<str>,
    /// The person or program, if it is told.
    pub user: Option<Arc<str>>,
    /// The pipeline that asks.
    pub pipeline: Option<Arc<str>>,
    /// The run that asks.
    pub run: Option<Arc<str>>,
    /// The class of the task, as the caller declares it: `sql`, `extract`, `chat` and so on.
    pub task: Option<Arc<str>>,
    /// Where answers may be kept and looked up. Without one nothing is.
    pub cache_namespace: Option<Arc<str>>,
    /// What the tables that the answer speaks about look like now; a part of the cache key.
    pub tables: Option<Arc<str>>,
    /// Whether the same request may always get the same answer, whatever its temperature.
    pub idempotent: bool,
}

impl Caller {
    /// Someone of a tenant, with nothing else known.
    pub fn of(tenant: &str) -> Self {
        Self {
            tenant: tenant.into(),
            tier: "default".into(),
            key: "".into(),
            user: None,
            pipeline: None,
            run: None,
            task: None,
            cache_namespace: None,
            tables: None,
            idempotent: false,
        }
    }
}
