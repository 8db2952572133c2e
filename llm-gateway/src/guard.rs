//! Do two requests ask the same thing? A deterministic judge that stands between a near match of the cache and the answer.
//!
//! Both texts are brought to a canonical sequence of words: polite frames fall away, "every day" becomes `daily`, "more than 5"
//! becomes `> 5`, "half past three" stays what it is. What remains must be equal word by word, up to a phrase moved to the front and
//! slips of the keyboard. So whatever the guard does not understand makes it say *different*, which costs a call, never a wrong answer.

mod compare;
mod lex;
mod numbers;
mod phrases;
mod words;

pub use compare::{Reason, Verdict};

/// A text in canonical form. Take it once for a new request, then compare it with every candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    tokens: Vec<lex::Token>,
    persons: String,
}

impl Canonical {
    /// Reads a text in time linear in its length.
    pub fn read(text: &str) -> Self {
        let (tokens, persons) = words::canonical(lex::tokens(text));
        Self { tokens, persons }
    }

    /// The words in canonical spelling and order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.text.as_str())
    }

    /// Numbers, times, identifiers and quoted strings, sorted: what two answers must share to say the same.
    pub fn facts(&self) -> Vec<&str> {
        let mut facts: Vec<&str> =
            self.tokens.iter().filter(|t| t.kind != lex::Kind::Word).map(|t| t.text.as_str()).collect();
        facts.sort_unstable();
        facts
    }

    /// Whether the answer to one of the two texts may serve for the other, and if not, what speaks against it.
    pub fn compare(&self, other: &Self) -> Verdict {
        compare::compare(self, other)
    }
}

/// [`Canonical::compare`] of two texts.
pub fn compare(one: &str, other: &str) -> Verdict {
    Canonical::read(one).compare(&Canonical::read(other))
}

#[cfg(test)]
mod tests;
