//! Secrets: read at the last moment, never printed, masked wherever text leaves the task.

use std::{borrow::Cow, fmt, sync::Arc};

pub use tidemill_dag::secret::Secret;
use tidemill_dag::secret::{Piece, UnreadSecret, Ways, split};

use crate::error::TaskError;

const WAYS: Ways = Ways { env: |name| std::env::var_os(name), file: |path| std::fs::read_to_string(path) };

/// What stands where a secret was.
const MASK: &str = "***";

/// Shorter values are not masked: hiding every `1` of a log hides nothing.
const SHORTEST_MASKED: usize = 4;

/// The values that must not leave a task, longest first.
#[derive(Clone, Default)]
pub struct Masks(Vec<Arc<str>>);

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Also hides `value`: whole, its lines, and as it looks inside JSON.
    pub fn add(&mut self, value: &str) {
        let json = serde_json::Value::from(value).to_string();
        let inner = json.trim_matches('"').to_owned();
        let forms = std::iter::once(value).chain(value.lines()).map(str::trim).map(str::to_owned).chain([inner]);
        for form in forms {
            if form.len() >= SHORTEST_MASKED && !self.0.iter().any(|known| **known == *form) {
                self.0.push(form.into());
            }
        }
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text with every secret hidden.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Cow::Borrowed(text);
        for form in &self.0 {
            if out.contains(&**form) {
                out = Cow::Owned(out.replace(&**form, MASK));
            }
        }
        out
    }

    /// The same for every text of a JSON value, keys included.
    pub fn apply_to_json(&self, value: &mut serde_json::Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            serde_json::Value::String(text) => {
                if let Cow::Owned(hidden) = self.apply(text) {
                    *text = hidden;
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.apply_to_json(item)),
            serde_json::Value::Object(map) => {
                let entries = std::mem::take(map);
                for (key, mut inner) in entries {
                    self.apply_to_json(&mut inner);
                    map.insert(self.apply(&key).into_owned(), inner);
                }
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
}

/// Renders a text with secret places: the plain pieces by `render`, the places by their values, which
/// are noted in `masks`. In this order, so that what a template brings in is data and never a place.
///
/// # Errors
/// A place that cannot be read here, or what `render` says.
pub fn resolve(
    written: &str,
    masks: &mut Masks,
    render: impl Fn(&str) -> Result<String, TaskError>,
) -> Result<Secret, TaskError> {
    let failed = |error: UnreadSecret| TaskError::Secret { place: error.place, reason: error.reason };
    let mut text = String::new();
    for piece in split(written).map_err(|error| failed(error.into()))? {
        match piece {
            Piece::Text(plain) => text.push_str(&render(plain)?),
            Piece::Secret(place) => {
                let value = place.read(&WAYS).map_err(failed)?;
                masks.add(value.expose());
                text.push_str(value.expose());
            }
        }
    }
    Ok(Secret::new(text))
}
