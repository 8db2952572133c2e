//! All tasks, views too, and why one waits for the other.

use petgraph::graph::DiGraph;
use serde::Serialize;

/// Why a task waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its SQL names it.
    Sql,
    /// It is its input.
    Input,
    /// One of its templates uses its outcome.
    Template,
    /// `needs` says so.
    Needs,
}

/// One task waits for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Edge {
    /// The task that comes first.
    pub from: String,
    /// The task that waits.
    pub to: String,
    /// Why; the first reason where there are several.
    pub why: Why,
}

/// Tasks in the order of the definition, and edges from each to those that wait for it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Node weights are task names; node indices are places in the definition.
    pub inner: DiGraph<String, Why>,
}

impl Graph {
    /// Task names in the order of the definition.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.inner.node_weights().map(String::as_str)
    }

    /// Every edge, by its ends' places in the definition.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: Vec<_> = self.inner.raw_edges().iter().map(|e| (e.source(), e.target(), e.weight)).collect();
        edges.sort_unstable();
        edges
            .into_iter()
            .map(|(from, to, why)| Edge { from: self.inner[from].clone(), to: self.inner[to].clone(), why })
            .collect()
    }
}
