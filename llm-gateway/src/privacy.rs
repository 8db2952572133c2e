//! What must not reach a provider: found before the call, masked so that the answer can be put right again, or refused.
//!
//! Placeholders are plain words (`MASKED_EMAIL_1`), so that they survive inside SQL literals, JSON and identifiers. Equal values get
//! equal placeholders, numbered in order of appearance: the masked request is a function of the request alone, and the cache, which
//! comes after, keeps and compares masked texts only.

mod checks;
mod detect;
mod letters;
mod mask;
mod names;
mod numeric;
mod policy;
mod secrets;

pub use detect::{Finding, Kind, detect};
pub use mask::Masks;
pub use policy::{Action, PolicySection, PrivacySection, Shield};

#[cfg(test)]
mod tests;
