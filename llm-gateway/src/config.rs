//! The section `gateway:` of `tidemill.yaml`: one struct per part, unknown keys refused. The doc comments are the
//! reference that `tidemill config reference` prints.

mod check;
mod deployments;
mod limits;
mod money;
mod resilience;
mod routes;
mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::cache::CacheSection;
pub use crate::privacy::PrivacySection;
pub use check::check;
pub use deployments::{DeploymentSection, PriceSection, ProviderKey, ProviderKind, ProviderSection};
pub use limits::{LedgerSection, LimitSection, LimitsSection, TenantSection, TierSection};
pub use money::Money;
pub use resilience::{BreakerSection, RetrySection, TimeoutSection};
pub use routes::{Order, RouteSection, RuleSection, Share, WhenSection};
pub use server::{KeySection, ServerSection};

/// The LLM gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where it listens, and how much it takes at once.
    pub server: ServerSection,
    /// Who may ask, by the name of their key. Made by `tidemill gateway key NAME`.
    pub keys: BTreeMap<String, KeySection>,
    /// Customers, by name. One that is not listed has the tier `default`.
    pub tenants: BTreeMap<String, TenantSection>,
    /// What customers pay for, by name: limits of a whole tenant.
    pub tiers: BTreeMap<String, TierSection>,
    /// Limits of each user, key, pipeline and run.
    pub limits: LimitsSection,
    /// Where spending is counted.
    pub ledger: LedgerSection,
    /// Who runs models, by name.
    pub providers: BTreeMap<String, ProviderSection>,
    /// Models at providers, by the name that callers and routes use.
    pub deployments: BTreeMap<String, DeploymentSection>,
    /// Names that stand for a choice of deployments, such as `auto`.
    pub routes: BTreeMap<String, RouteSection>,
    /// What tokens cost, from which day on.
    pub prices: Vec<PriceSection>,
    /// How long anything may take.
    pub timeouts: TimeoutSection,
    /// What happens after a failure.
    pub retry: RetrySection,
    /// When a deployment is left alone for a while.
    pub breaker: BreakerSection,
    /// Answers that are kept and served again.
    pub cache: CacheSection,
    /// What is masked before a provider sees it.
    pub privacy: PrivacySection,
}
