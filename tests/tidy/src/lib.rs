//! House rules as tests. Each rule is a function from the sources to a list of what breaks it, so that one run names
//! everything at once. Our own limits stand in one table: [`LIMITS`].

mod arrows;
mod features;
mod lock;
mod sources;

pub use arrows::arrows;
pub use features::built_twice;
pub use lock::one_version_each;
pub use sources::{Source, banned_calls, long_files, long_functions, only_queue_names_apalis, sources};

use std::path::PathBuf;

/// A limit, its value, and why.
pub struct Limit {
    /// What is limited.
    pub what: &'static str,
    /// At most this.
    pub most: usize,
    /// Why this number.
    pub why: &'static str,
}

/// Every limit that the rules use.
pub const LIMITS: [Limit; 3] = [
    Limit { what: "lines of a function", most: 70, why: "a function fits a screen" },
    Limit {
        what: "lines of a file without its tests",
        most: 500,
        why: "a room is known by its name; past this it holds two",
    },
    Limit { what: "lines of tests inside a file", most: 200, why: "past this they hide the code and move next door" },
];

/// The top of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(what: &str, findings: Vec<String>) {
        assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
    }

    #[test]
    fn functions_fit_a_screen() {
        none("functions over the limit", long_functions(&sources(&root())));
    }

    #[test]
    fn files_hold_one_thing() {
        none("files over the limit", long_files(&sources(&root())));
    }

    #[test]
    fn arrows_point_one_way() {
        none("arrows that DESIGN forbids", arrows(&root()));
    }

    #[test]
    fn only_one_file_names_apalis() {
        none("apalis outside worker/src/queue.rs", only_queue_names_apalis(&sources(&root())));
    }

    #[test]
    fn time_and_chance_are_arguments() {
        none("ambient time or randomness outside cli", banned_calls(&sources(&root())));
    }

    #[test]
    fn one_version_of_what_must_be_one() {
        none("crates that must have one version", one_version_each(&root()));
    }

    #[test]
    fn the_program_and_its_tests_share_their_libraries() {
        none("libraries that `cargo run` and `cargo test --workspace` build differently", built_twice(&root()));
    }

    #[test]
    fn the_rules_can_fail() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(80));
        let bad =
            Source::new("dag/src/x.rs", &format!("{long}fn t() {{ std::time::SystemTime::now(); apalis::run(); }}\n"));
        let huge = Source::new("dag/src/y.rs", &"fn g() {}\n".repeat(501));
        assert_eq!(long_functions(std::slice::from_ref(&bad)).len(), 1);
        assert_eq!(long_files(&[huge]).len(), 1);
        assert_eq!(banned_calls(std::slice::from_ref(&bad)).len(), 1);
        assert_eq!(only_queue_names_apalis(&[bad]).len(), 1);
    }
}
