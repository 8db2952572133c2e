//! What two values say differently, leaf by leaf; long texts as a diff of their lines.

use serde::Serialize;
use serde_json::Value;

use super::{What, lines};

/// One value that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where it stands, as in `sql` or `load.mode`.
    pub path: String,
    /// What became of it.
    pub what: What,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
    /// The lines that differ, as a unified diff; only for texts of several lines, SQL and code.
    pub diff: Option<String>,
}

/// Texts that read better as lines, however short.
const TEXTS: [&str; 4] = ["sql", "query", "code", "command"];

/// Compares two values of one type.
pub(super) fn compare<T: Serialize>(before: Option<&T>, after: Option<&T>) -> Vec<FieldChange> {
    let value = |side: Option<&T>| side.map(|side| serde_json::to_value(side).unwrap_or_default());
    let mut changes = Vec::new();
    walk("", value(before).as_ref(), value(after).as_ref(), &mut changes);
    changes
}

fn walk(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    if let (None | Some(Value::Object(_)), None | Some(Value::Object(_))) = (before, after) {
        let keys = |side: Option<&Value>| -> Vec<String> {
            side.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
        };
        let mut all = keys(before);
        all.extend(keys(after));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|key| seen.insert(key.clone()));
        for key in all {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&inner, before.and_then(|v| v.get(&key)), after.and_then(|v| v.get(&key)), changes);
        }
        return;
    }
    changes.push(leaf(path, before, after));
}

fn leaf(path: &str, before: Option<&Value>, after: Option<&Value>) -> FieldChange {
    let what = match (before, after) {
        (None, _) => What::Added,
        (_, None) => What::Removed,
        (Some(_), Some(_)) => What::Changed,
    };
    FieldChange {
        path: path.to_owned(),
        what,
        before: before.cloned(),
        after: after.cloned(),
        diff: text(path, before, after),
    }
}

fn text(path: &str, before: Option<&Value>, after: Option<&Value>) -> Option<String> {
    let side = |side: Option<&Value>| match side {
        None => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    };
    let (old, new) = (side(before)?, side(after)?);
    let name = path.rsplit('.').next().unwrap_or(path);
    let long = old.contains('\n') || new.contains('\n') || TEXTS.contains(&name);
    long.then(|| lines::unified(&old, &new))
}
