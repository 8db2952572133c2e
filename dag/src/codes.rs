//! The one table of error codes for people. One file per block of a hundred; each entry is a constant
//! and has a page `docs/errors/<CODE>.md`. To add one: a line in the block's file, sorted, and the page.

/// One public error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Code {
    /// As in `TM0103`.
    pub code: &'static str,
    /// What it means, in a few words.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident: $code:literal = $title:literal,)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub const $name: &str = $code;)*
        pub(super) const TABLE: &[super::Code] = &[$(super::Code { code: $code, title: $title }),*];
    };
}

/// Text and shape of a definition.
pub mod tm01;
/// Names and references.
pub mod tm02;
/// Templates and SQL text.
pub mod tm03;
/// The graph.
pub mod tm04;
/// Types and the dry run.
pub mod tm05;
/// Connections, files and data.
pub mod tm06;
/// Task execution.
pub mod tm07;
/// State, store and queue.
pub mod tm08;
/// Command line and configuration.
pub mod tm09;
/// Requests in English.
pub mod tm10;
/// The LLM gateway.
pub mod tm11;
/// Triggers, approvals, pools, re-runs and backfills.
pub mod tm12;
/// The API, and definitions as data.
pub mod tm13;
/// Servers outside: Redis, S3, Kafka, ClickHouse, webhooks.
pub mod tm14;

/// Every code, in order.
pub fn all() -> impl Iterator<Item = Code> {
    [
        tm01::TABLE,
        tm02::TABLE,
        tm03::TABLE,
        tm04::TABLE,
        tm05::TABLE,
        tm06::TABLE,
        tm07::TABLE,
        tm08::TABLE,
        tm09::TABLE,
        tm10::TABLE,
        tm11::TABLE,
        tm12::TABLE,
        tm13::TABLE,
        tm14::TABLE,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// What a code means, in a few words.
pub fn title(code: &str) -> Option<&'static str> {
    all().find(|entry| entry.code == code).map(|entry| entry.title)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn pages() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let entries = std::fs::read_dir(&folder).expect("docs/errors is there");
        entries
            .filter_map(|entry| entry.expect("a readable entry").file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name.starts_with("TM"))
            .collect()
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes: BTreeSet<String> = all().map(|entry| entry.code.to_owned()).collect();
        let pages = pages();
        let without_page: Vec<_> = codes.difference(&pages).collect();
        let without_code: Vec<_> = pages.difference(&codes).collect();
        assert!(without_page.is_empty(), "codes without a page in docs/errors: {without_page:?}");
        assert!(without_code.is_empty(), "pages in docs/errors without a code: {without_code:?}");
    }

    #[test]
    fn codes_are_sorted_unique_and_well_formed() {
        let codes: Vec<&str> = all().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        for code in codes {
            assert!(
                code.len() == 6 && code.starts_with("TM") && code[2..].bytes().all(|b| b.is_ascii_digit()),
                "{code}"
            );
        }
    }
}
