//! Placeholders for sensitive values, and the way back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::detect::{Finding, Kind};

/// Sensitive values of one request and what stands for them.
pub struct Masks {
    prefix: String,
    /// Placeholder and value; values that would break a JSON string are not put back and have none.
    entries: Vec<(String, Option<String>)>,
    known: BTreeMap<String, usize>,
    counts: BTreeMap<Kind, usize>,
}

/// Prints how many there are, never what they are.
impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masks").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Masks {
    /// Placeholders that do not occur in the texts they will stand in.
    pub fn new<'t>(texts: impl Iterator<Item = &'t str> + Clone) -> Self {
        let taken = |prefix: &str| texts.clone().any(|text| find_ignoring_case(text, prefix, 0).is_some());
        let mut prefix = "MASKED_".to_owned();
        let mut round = 2;
        while taken(&prefix) {
            prefix = format!("MASKED{round}_");
            round += 1;
        }
        Self { prefix, entries: Vec::new(), known: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// The text with its findings masked. They must be in order and apart.
    pub fn apply(&mut self, text: &str, findings: &[Finding]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for finding in findings {
            out.push_str(&text[from..finding.range.start]);
            out.push_str(self.placeholder(&text[finding.range.clone()], finding.kind));
            from = finding.range.end;
        }
        out.push_str(&text[from..]);
        out
    }

    fn placeholder(&mut self, value: &str, kind: Kind) -> &str {
        let at = match self.known.get(value) {
            Some(at) => *at,
            None => {
                let number = self.counts.entry(kind).or_default();
                *number += 1;
                let name = format!("{}{}_{number}", self.prefix, kind.label());
                let fits_json = !value.contains(|c: char| c == '"' || c == '\\' || c.is_control());
                self.entries.push((name, fits_json.then(|| value.to_owned())));
                self.known.insert(value.to_owned(), self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        &self.entries[at].0
    }

    /// Whether nothing was masked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many values of each kind were masked.
    pub const fn counts(&self) -> &BTreeMap<Kind, usize> {
        &self.counts
    }

    /// The text with values in the place of their placeholders, however a model wrote their case.
    pub fn restore<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = String::new();
        let (mut from, mut at) = (0, 0);
        while let Some(place) = find_ignoring_case(text, &self.prefix, at) {
            let longest = self
                .entries
                .iter()
                .filter(|(name, _)| starts_ignoring_case(&text[place..], name))
                .max_by_key(|(name, _)| name.len());
            match longest {
                Some((name, Some(value))) => {
                    out.push_str(&text[from..place]);
                    out.push_str(value);
                    at = place + name.len();
                    from = at;
                }
                Some((name, None)) => at = place + name.len(),
                None => at = place + self.prefix.len(),
            }
        }
        if from == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }

    /// The longest placeholder in bytes.
    pub fn longest(&self) -> usize {
        self.entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0)
    }

    /// Where a placeholder may begin that more text would complete, or make another one.
    pub fn open_end(&self, text: &str) -> Option<usize> {
        let earliest = text.len().saturating_sub(self.longest());
        (earliest..text.len()).filter(|at| text.is_char_boundary(*at)).find(|at| {
            let tail = &text[*at..];
            self.entries.iter().any(|(name, _)| name.len() > tail.len() && starts_ignoring_case(name, tail))
        })
    }
}

fn starts_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// `needle` is ASCII.
fn find_ignoring_case(text: &str, needle: &str, from: usize) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let first = needle[0];
    (from..text.len().saturating_sub(needle.len() - 1))
        .find(|at| text[*at].eq_ignore_ascii_case(&first) && text[*at..*at + needle.len()].eq_ignore_ascii_case(needle))
}
