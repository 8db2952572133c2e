//! All tasks, views too, and why one waits for the other.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
};
use serde::Serialize;

use crate::{codes::tm04, links::Links, report::Report, spec::Pipeline};

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

/// Builds the graph of all tasks from their links.
pub(crate) fn build(pipeline: &Pipeline, links: &[Links]) -> Graph {
    let mut inner = DiGraph::with_capacity(links.len(), links.len());
    for name in pipeline.tasks.keys() {
        inner.add_node(name.clone());
    }
    for (to, links) in links.iter().enumerate() {
        for (from, why) in &links.edges {
            inner.add_edge(NodeIndex::new(*from), NodeIndex::new(to), *why);
        }
    }
    Graph { inner }
}

/// Reports every circle, each once, as the shortest way around it.
pub(crate) fn report_cycles(graph: &Graph, report: &mut Report) -> bool {
    let mut found = false;
    for group in kosaraju_scc(&graph.inner) {
        let Some(start) = group.iter().copied().min() else { continue };
        if group.len() > 1 || graph.inner.contains_edge(start, start) {
            found = true;
            let members = group.into_iter().collect();
            report_cycle(graph, &way_around(graph, start, &members), report);
        }
    }
    found
}

/// The shortest way from a node back to itself.
fn way_around(graph: &Graph, start: NodeIndex, members: &HashSet<NodeIndex>) -> Vec<NodeIndex> {
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<NodeIndex> = graph.inner.neighbors(node).filter(|next| members.contains(next)).collect();
        next.sort_unstable();
        for next in next {
            if next == start {
                let mut way = vec![start, node];
                let mut at = node;
                while at != start {
                    at = came_from[&at];
                    way.push(at);
                }
                way.reverse();
                way.dedup();
                return if way.len() == 1 { vec![start, start] } else { way };
            }
            if let std::collections::hash_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(node);
                queue.push_back(next);
            }
        }
    }
    vec![start, start]
}

fn report_cycle(graph: &Graph, way: &[NodeIndex], report: &mut Report) {
    let name = |node: NodeIndex| graph.inner[node].as_str();
    let Some((first, _)) = way.split_first() else { return };
    let why =
        |from: NodeIndex, to: NodeIndex| graph.inner.find_edge(from, to).map_or(Why::Needs, |edge| graph.inner[edge]);
    if let [only, again] = way
        && only == again
    {
        let name = name(*only);
        let message = format!("`{name}` waits for itself");
        let help = match why(*only, *only) {
            Why::Sql => format!(
                "its SQL reads `{name}`: if a table is meant, write it with its connection, as in `shop.{name}`; else rename the task"
            ),
            Why::Input => "give it another task as input".to_owned(),
            Why::Template => "a template can only use tasks that finished before".to_owned(),
            Why::Needs => format!("take `{name}` out of its `needs`"),
        };
        report.error_at_key(tm04::CYCLE, format!("tasks.{name}"), message).advise(help);
        return;
    }
    let names: Vec<&str> = way.iter().map(|node| name(*node)).collect();
    let message = format!("tasks wait for each other in a circle: {}", names.join(" → "));
    let steps: Vec<String> = way
        .windows(2)
        .map(|pair| {
            let (from, to) = (name(pair[0]), name(pair[1]));
            match why(pair[0], pair[1]) {
                Why::Sql => format!("the SQL of `{to}` reads `{from}`"),
                Why::Input => format!("`{to}` takes `{from}` as input"),
                Why::Template => format!("a template of `{to}` uses `{from}`"),
                Why::Needs => format!("`{to}` needs `{from}`"),
            }
        })
        .collect();
    let help = format!("break one of these: {}", steps.join("; "));
    report.error_at_key(tm04::CYCLE, format!("tasks.{}", name(*first)), message).advise(help);
}
