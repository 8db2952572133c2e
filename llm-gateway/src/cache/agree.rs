//! Whether two answers say the same, for shadow calls.

use serde_json::Value;

use crate::answer::Answer;
use crate::embed::ngrams;
use crate::guard::Canonical;

/// Prose with the same facts and words this near says the same in other words.
const SAME_PROSE: f32 = 0.6;

/// JSON must be equal as JSON. Prose must hold the same numbers, times, identifiers and quoted strings, and be near in its words.
pub fn agree(one: &Answer, other: &Answer) -> bool {
    let (a, b) = (one.text(), other.text());
    if a.split_whitespace().eq(b.split_whitespace()) {
        return one.calls_tools() == other.calls_tools();
    }
    match (json(&a), json(&b)) {
        (Some(a), Some(b)) => return a == b,
        (None, None) => {}
        _ => return false,
    }
    let (a, b) = (Canonical::read(&a), Canonical::read(&b));
    let cosine: f32 = ngrams::embed(&a).iter().zip(ngrams::embed(&b)).map(|(x, y)| x * y).sum();
    a.facts() == b.facts() && cosine >= SAME_PROSE
}

/// Objects compare without the order of their fields.
fn json(text: &str) -> Option<Value> {
    let text = text.trim();
    let fenced = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).and_then(|t| t.strip_suffix("```"));
    serde_json::from_str(fenced.unwrap_or(text)).ok().filter(|value: &Value| value.is_object() || value.is_array())
}
