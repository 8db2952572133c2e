//! Where tasks and edges go in a drawing: layers from sources to sinks, few crossings, routed edges.

use serde::Serialize;

use crate::graph::{Graph, Why};

/// A drawing on a grid: `rank` counts layers from the sources, `slot` counts places within a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// One per task, in the order of the definition.
    pub nodes: Vec<Placed>,
    /// One per edge.
    pub routes: Vec<Route>,
    /// How many layers there are.
    pub ranks: usize,
    /// How many slots the widest layer has.
    pub slots: usize,
}

/// Where a task goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The task's name.
    pub name: String,
    /// Its layer.
    pub rank: usize,
    /// Its place in the layer, counting also the places where longer edges pass through.
    pub slot: usize,
}

/// How an edge runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The task it leaves.
    pub from: String,
    /// The task it reaches.
    pub to: String,
    /// Why the one waits for the other.
    pub why: Why,
    /// Its points as (rank, slot): the first is `from`, the last is `to`, one for every layer between.
    pub points: Vec<(usize, usize)>,
}

/// Lays out a graph.
pub fn layout(graph: &Graph) -> Layout {
    let _ = graph;
    unimplemented!()
}
