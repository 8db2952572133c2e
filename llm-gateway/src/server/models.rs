use serde_json::{Value, json};

use crate::front::Front;
use crate::gateway::Gateway;

/// What may be asked for: deployments and routes.
fn names<'g>(gateway: &'g Gateway, allowed: &'g [String]) -> impl Iterator<Item = (&'g str, &'g str)> {
    let config = gateway.config();
    let deployments = config.deployments.iter().map(|(name, section)| (name.as_str(), section.provider.as_str()));
    let routes = config.routes.keys().map(|name| (name.as_str(), "tidemill"));
    deployments.chain(routes).filter(|(name, _)| allowed.is_empty() || allowed.iter().any(|one| one == name))
}

fn entry(front: Front, name: &str, owner: &str) -> Value {
    match front {
        Front::Openai => json!({"id": name, "object": "model", "created": 0, "owned_by": owner}),
        Front::Anthropic => {
            json!({"id": name, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}

/// All of them.
pub(super) fn list(gateway: &Gateway, allowed: &[String], front: Front) -> Value {
    let data: Vec<Value> = names(gateway, allowed).map(|(name, owner)| entry(front, name, owner)).collect();
    match front {
        Front::Openai => json!({"object": "list", "data": data}),
        Front::Anthropic => {
            let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
            let (first, last) = (id(data.first()), id(data.last()));
            json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
        }
    }
}

/// One of them.
pub(super) fn one(gateway: &Gateway, allowed: &[String], front: Front, wanted: &str) -> Option<Value> {
    let found = names(gateway, allowed).find(|(name, _)| *name == wanted);
    found.map(|(name, owner)| entry(front, name, owner))
}
