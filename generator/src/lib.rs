//! From English to a definition. The built-in planner needs no model and no network: a grammar over the
//! words of the request, linked to what the connections really have.
//!
//! It never guesses silently. Every word of a request is accounted for: it became a part of the definition
//! (the explanation says which), or it is filler from a closed list, or the request is refused with the
//! word quoted, the reason and the nearest request that would work. Two readings are a refusal as well.
//!
//! The way of a request: `tokens` splits it, `link` finds tables, columns and values in it, `read` (the
//! grammar) makes clauses of it, `resolve` chooses the table whose rows are meant and turns clauses into
//! one query, `checks` adds checks, `render` writes the definition.
//!
//! To teach it a new form: a function in the file of `read/` that it belongs to, a clause in `request`
//! where none fits, its resolution beside the others, and requests with their expected SQL in `tests/`.

mod answer;
mod catalog;
mod checks;
mod gather;
mod ident;
mod joins;
mod lexicon;
mod link;
mod nearest;
mod plan;
mod query;
mod read;
mod render;
mod request;
mod resolve;
#[cfg(test)]
mod testdata;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

pub use answer::{Answer, Meaning, Options, Problem, Proposal, Provenance, Refusal, codes};
pub use catalog::{Catalog, Column, Kind, Table, Unreadable};
pub use gather::Bounds;
pub use ident::ident;
pub use plan::{MAX_CHARS, PLANNER, plan};
