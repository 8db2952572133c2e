//! Which tenant's requests are masked, refused or let through.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::codes::tm11;

use super::detect::{Finding, Kind, detect};
use super::mask::Masks;
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::hooks::{Privacy, Unmask};
use crate::request::{Part, Request};

/// What happens with personal data and secrets before a provider sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySection {
    /// For tenants that are not listed.
    pub default: PolicySection,
    /// Tenants with a policy of their own, by name.
    pub tenants: BTreeMap<String, PolicySection>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySection {
    /// E-mail addresses, telephones, cards, bank accounts, identity numbers, public addresses of machines.
    pub personal: Action,
    /// Keys, tokens and passwords.
    pub secrets: Action,
    /// Names of people count as personal data. Finding them is a guess: expect misses, and places taken for people.
    pub names: bool,
    /// Kinds that are let through: `email phone card iban id ip`.
    pub except: Vec<KindName>,
}

impl Default for PolicySection {
    fn default() -> Self {
        Self { personal: Action::Mask, secrets: Action::Mask, names: false, except: Vec::new() }
    }
}

/// What happens with a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing is looked for.
    Off,
    /// A placeholder goes out; the answer gets the value back.
    Mask,
    /// The request is refused.
    Block,
}

/// A kind that a policy lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    /// E-mail addresses.
    Email,
    /// Telephones.
    Phone,
    /// Payment cards.
    Card,
    /// Bank accounts.
    Iban,
    /// Identity numbers.
    Id,
    /// Public addresses of machines.
    Ip,
}

impl KindName {
    const fn kind(self) -> Kind {
        match self {
            Self::Email => Kind::Email,
            Self::Phone => Kind::Phone,
            Self::Card => Kind::Card,
            Self::Iban => Kind::Iban,
            Self::Id => Kind::NationalId,
            Self::Ip => Kind::Ip,
        }
    }
}

impl PolicySection {
    fn action(&self, kind: Kind) -> Action {
        match kind {
            Kind::Secret => self.secrets,
            kind if self.except.iter().any(|name| name.kind() == kind) => Action::Off,
            _ => self.personal,
        }
    }
}

/// Applies the policies. Made once; cheap to share.
pub struct Shield {
    section: PrivacySection,
    detect: fn(&str, bool) -> Vec<Finding>,
}

impl Shield {
    /// With the built-in detectors.
    pub fn new(section: PrivacySection) -> Self {
        Self { section, detect }
    }

    /// With a detector that is known to fail.
    #[cfg(test)]
    pub(super) fn with_detector(section: PrivacySection, detect: fn(&str, bool) -> Vec<Finding>) -> Self {
        Self { section, detect }
    }

    fn policy(&self, tenant: &str) -> &PolicySection {
        self.section.tenants.get(tenant).unwrap_or(&self.section.default)
    }

    /// What the policy acts on in a text.
    fn findings(&self, text: &str, policy: &PolicySection) -> Vec<Finding> {
        let mut found = (self.detect)(text, policy.names);
        found.retain(|finding| policy.action(finding.kind) > Action::Off);
        found
    }

    /// Masks texts in place; they share their placeholders. `None`: nothing was found.
    ///
    /// # Errors
    /// The policy refuses what was found, or the detector failed: nothing may be sent then.
    pub fn mask_texts(&self, tenant: &str, texts: &mut [&mut String]) -> Result<Option<Masks>, GatewayError> {
        let policy = self.policy(tenant);
        if policy.personal == Action::Off && policy.secrets == Action::Off {
            return Ok(None);
        }
        let masked = catch_unwind(AssertUnwindSafe(|| self.mask_all(policy, texts)));
        // Not sent rather than sent unseen. What the detector said is not repeated: it may quote the text.
        masked.unwrap_or_else(|_| {
            Err(GatewayError::Private {
                reason: "the detector of sensitive data failed".to_owned(),
                code: tm11::DETECTOR_FAILED,
            })
        })
    }

    fn mask_all(&self, policy: &PolicySection, texts: &mut [&mut String]) -> Result<Option<Masks>, GatewayError> {
        let found: Vec<Vec<Finding>> = texts.iter().map(|text| self.findings(text, policy)).collect();
        if found.iter().all(Vec::is_empty) {
            return Ok(None);
        }
        let blocked = found.iter().flatten().filter(|f| policy.action(f.kind) == Action::Block);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in blocked {
            *counts.entry(finding.shape).or_default() += 1;
        }
        if !counts.is_empty() {
            let list: Vec<String> = counts.iter().map(|(shape, n)| format!("{shape} ({n})")).collect();
            let reason = format!("the policy of this tenant refuses requests with {}", list.join(", "));
            return Err(GatewayError::Private { reason, code: tm11::PRIVATE_DATA });
        }
        let mut masks = Masks::new(texts.iter().map(|text| text.as_str()));
        for (text, found) in texts.iter_mut().zip(&found) {
            if !found.is_empty() {
                **text = masks.apply(text, found);
            }
        }
        Ok(Some(masks))
    }
}

impl Privacy for Shield {
    fn mask(&self, caller: &Caller, request: &mut Request) -> Result<Option<Box<dyn Unmask>>, GatewayError> {
        let mut texts = Vec::new();
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match part {
                Part::Text(text) | Part::ToolResult { text, .. } => texts.push(text),
                Part::ToolCall { arguments, .. } => texts.push(arguments),
                Part::Foreign(value) => strings(value, &mut texts),
                // A picture is bytes or a place; neither can be masked in words.
                Part::Image(_) => {}
            }
        }
        for tool in &mut request.tools {
            texts.extend(tool.description.as_mut());
        }
        request.extra.values_mut().for_each(|value| strings(value, &mut texts));
        let masks = self.mask_texts(&caller.tenant, &mut texts)?;
        Ok(masks.map(|masks| Box::new(masks) as Box<dyn Unmask>))
    }
}

/// Every string of a piece that only the provider understands, but for what is signed or encoded.
fn strings<'v>(value: &'v mut Value, out: &mut Vec<&'v mut String>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(list) => list.iter_mut().for_each(|item| strings(item, out)),
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                if !matches!(key.as_str(), "signature" | "data" | "type" | "media_type" | "id") {
                    strings(item, out);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Unmask for Masks {
    fn restore<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Self::restore(self, text)
    }

    fn longest(&self) -> usize {
        Self::longest(self)
    }

    fn open_end(&self, text: &str) -> Option<usize> {
        Self::open_end(self, text)
    }
}
