//! `docs/states.md`, printed from the tables.

use std::fmt::{Display, Write as _};

use super::{
    VERSIONS,
    table::{Arrow, RUNS, TASKS},
};

/// The whole page.
pub fn page() -> String {
    let mut out = String::from(
        "# States\n\nThe lives of runs, tasks and versions. This page is printed from the tables in `dag/src/state/table.rs` and\n\
         `dag/src/state/version.rs`, and a test compares the two. What has no arrow is refused and changes nothing.\n",
    );
    section(&mut out, "Runs", "queued", RUNS);
    section(&mut out, "Tasks", "blocked", TASKS);
    section(&mut out, "Versions", "draft", VERSIONS);
    out
}

fn section<S: Display + PartialEq, K: Display>(out: &mut String, title: &str, first: &str, table: &[Arrow<S, K>]) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\n## {title}\n\n```mermaid\nstateDiagram-v2\n    [*] --> {first}\n");
    for arrow in table {
        for to in arrow.to.iter().filter(|to| **to != arrow.from) {
            let _ = writeln!(out, "    {} --> {to}: {}", arrow.from, arrow.on);
        }
    }
    out.push_str("```\n\n| In state | on | to | because |\n|---|---|---|---|\n");
    for arrow in table {
        let to: Vec<String> = arrow.to.iter().map(|state| format!("`{state}`")).collect();
        let _ = writeln!(out, "| `{}` | `{}` | {} | {} |", arrow.from, arrow.on, to.join(", "), arrow.because);
    }
}
