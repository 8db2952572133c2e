//! What in a text must not leave: places and kinds. One pass for each family of shapes, all linear in the text.

use std::ops::Range;

use super::{letters, names, numeric, secrets};

/// A family of sensitive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Keys, tokens, passwords.
    Secret,
    /// E-mail addresses.
    Email,
    /// Bank accounts.
    Iban,
    /// Payment cards.
    Card,
    /// Numbers that a state gives a person.
    NationalId,
    /// Addresses of machines that can be reached from everywhere.
    Ip,
    /// Telephone numbers.
    Phone,
    /// Names of people. Off by default: their detection is a guess.
    Name,
}

impl Kind {
    /// As placeholders, metrics and errors have it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::NationalId => "ID",
            Self::Ip => "IP",
            Self::Phone => "PHONE",
            Self::Name => "NAME",
        }
    }
}

/// A sensitive value in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Bytes of the text, on the borders of characters.
    pub range: Range<usize>,
    /// Its family.
    pub kind: Kind,
    /// The exact shape: `us_ssn`, `github_token`.
    pub shape: &'static str,
}

impl Finding {
    pub(super) const fn new(range: Range<usize>, kind: Kind, shape: &'static str) -> Self {
        Self { range, kind, shape }
    }
}

/// Everything sensitive in a text, in order, without overlaps. Names of people only on demand.
pub fn detect(text: &str, with_names: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    secrets::find(text, &mut found);
    letters::find(text, &mut found);
    if text.bytes().any(|b| b.is_ascii_digit()) {
        numeric::find(text, &mut found);
    }
    if with_names {
        names::find(text, &mut found);
    }
    without_overlaps(found)
}

/// Of two that overlap the graver family stays, of one family the longer.
fn without_overlaps(mut found: Vec<Finding>) -> Vec<Finding> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|f| (f.kind, std::cmp::Reverse(f.range.len()), f.range.start));
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        if kept.iter().all(|k| k.range.end <= finding.range.start || finding.range.end <= k.range.start) {
            kept.push(finding);
        }
    }
    kept.sort_by_key(|f| f.range.start);
    kept
}

/// Whether one of the words stands in the 48 bytes before `at`.
pub(super) fn context(text: &str, at: usize, words: &[&str]) -> bool {
    let mut start = at.saturating_sub(48);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let before = text[start..at].to_lowercase();
    words.iter().any(|word| {
        before.match_indices(word).any(|(place, _)| {
            let edge = before[..place].chars().next_back().is_none_or(|c| !c.is_alphabetic());
            edge || !word.is_ascii()
        })
    })
}
