//! Secrets: read at the last moment, never printed, masked wherever text leaves the task.

use std::{borrow::Cow, fmt, sync::Arc};

use tidemill_dag::secret::{Piece, SecretPlace, split};

use crate::error::TaskError;

/// What stands where a secret was.
const MASK: &str = "***";

/// Shorter values are not masked: hiding every `1` of a log hides nothing.
const SHORTEST_MASKED: usize = 4;

/// Text that holds a secret. It neither prints nor serialises.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

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
    let pieces = split(written).map_err(|error| TaskError::Secret { place: error.written, reason: error.reason })?;
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(plain) => text.push_str(&render(plain)?),
            Piece::Secret(place) => {
                let value = read(&place)?;
                masks.add(&value);
                text.push_str(&value);
            }
        }
    }
    Ok(Secret(text.into()))
}

fn read(place: &SecretPlace) -> Result<String, TaskError> {
    let failed = |reason: &str| TaskError::Secret { place: place.to_string(), reason: reason.to_owned() };
    match place {
        SecretPlace::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => failed("the environment variable is not set"),
            std::env::VarError::NotUnicode(_) => failed("its value is not UTF-8"),
        }),
        SecretPlace::File(path) => std::fs::read_to_string(path)
            // Editors and `echo` end a file with a line end that is not part of the secret.
            .map(|text| text.strip_suffix('\n').map_or(text.clone(), |cut| cut.trim_end_matches('\r').to_owned()))
            .map_err(|error| failed(&error.to_string())),
        SecretPlace::Stored(_) => Err(failed("this version keeps no secrets of its own yet")),
        SecretPlace::Vault { .. } => Err(failed("this version does not talk to Vault yet")),
    }
}
