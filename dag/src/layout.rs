//! Where tasks and edges go in a drawing: layers from sources to sinks, few crossings, routed edges.

use petgraph::{Direction, algo::toposort, graph::NodeIndex};
use serde::Serialize;

use crate::graph::{Graph, Why};

/// Times the layers are sorted against their neighbours, once down and once up.
const SWEEPS: usize = 8;
/// Edges that pass through more layers than this, taken together, are drawn straight.
const MAX_BENDS: usize = 50_000;

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

/// Lays out a graph without circles; one with circles gives an empty drawing.
pub fn layout(graph: &Graph) -> Layout {
    let Some(ranks) = ranks(graph) else { return Layout::default() };
    let mut drawing = Drawing::new(graph, ranks);
    for _ in 0..SWEEPS {
        drawing.sort_layers();
    }
    let slots = drawing.slots();
    let place = |vertex: usize| (drawing.ranks[vertex], slots[vertex]);
    let nodes = graph.names().enumerate().map(|(index, name)| {
        let (rank, slot) = place(index);
        Placed { name: name.to_owned(), rank, slot }
    });
    let routes = graph.inner.raw_edges().iter().zip(&drawing.paths).map(|(edge, path)| Route {
        from: graph.inner[edge.source()].clone(),
        to: graph.inner[edge.target()].clone(),
        why: edge.weight,
        points: path.iter().map(|vertex| place(*vertex)).collect(),
    });
    Layout {
        nodes: nodes.collect(),
        routes: routes.collect(),
        ranks: drawing.layers.len(),
        slots: slots.iter().max().map_or(0, |last| last + 1),
    }
}

/// The layer of each task: one behind the last task it waits for. Sources stand right before their first
/// reader, so that their edges are short.
fn ranks(graph: &Graph) -> Option<Vec<usize>> {
    let order = toposort(&graph.inner, None).ok()?;
    let mut ranks = vec![0; graph.inner.node_count()];
    let neighbours = |node: NodeIndex, direction| graph.inner.neighbors_directed(node, direction);
    for node in &order {
        let before = neighbours(*node, Direction::Incoming).map(|before| ranks[before.index()] + 1);
        ranks[node.index()] = before.max().unwrap_or(0);
    }
    for node in &order {
        if neighbours(*node, Direction::Incoming).next().is_none() {
            let first = neighbours(*node, Direction::Outgoing).map(|after| ranks[after.index()]).min();
            ranks[node.index()] = first.map_or(0, |first| first - 1);
        }
    }
    Some(ranks)
}

/// Tasks, and behind them in number the bends of edges that pass through a layer.
struct Drawing {
    /// The layer of each vertex.
    ranks: Vec<usize>,
    /// Vertices by layer, in order.
    layers: Vec<Vec<usize>>,
    /// Neighbours in the layer before.
    before: Vec<Vec<usize>>,
    /// Neighbours in the layer behind.
    behind: Vec<Vec<usize>>,
    /// The vertices of each edge.
    paths: Vec<Vec<usize>>,
}

impl Drawing {
    fn new(graph: &Graph, ranks: Vec<usize>) -> Self {
        let layers = vec![Vec::new(); ranks.iter().max().map_or(0, |last| last + 1)];
        let tasks = ranks.len();
        let mut drawing =
            Self { ranks, layers, before: vec![Vec::new(); tasks], behind: vec![Vec::new(); tasks], paths: Vec::new() };
        for edge in graph.inner.raw_edges() {
            let path = drawing.path(edge.source().index(), edge.target().index());
            for pair in path.windows(2) {
                drawing.behind[pair[0]].push(pair[1]);
                drawing.before[pair[1]].push(pair[0]);
            }
            drawing.paths.push(path);
        }
        for vertex in 0..drawing.ranks.len() {
            drawing.layers[drawing.ranks[vertex]].push(vertex);
        }
        drawing
    }

    fn path(&mut self, from: usize, to: usize) -> Vec<usize> {
        let mut path = vec![from];
        let between = self.ranks[from] + 1..self.ranks[to];
        if self.ranks.len() + between.len() <= MAX_BENDS {
            for rank in between {
                path.push(self.ranks.len());
                self.ranks.push(rank);
                self.before.push(Vec::new());
                self.behind.push(Vec::new());
            }
        }
        path.push(to);
        path
    }

    /// Moves every vertex towards the middle of its neighbours, first going down and then going up.
    fn sort_layers(&mut self) {
        let mut order = vec![0; self.ranks.len()];
        for (place, vertex) in self.layers.iter().flat_map(|layer| layer.iter().enumerate()) {
            order[*vertex] = place;
        }
        let down = 0..self.layers.len();
        let up = (0..self.layers.len()).rev();
        for (rank, neighbours) in down.map(|rank| (rank, &self.before)).chain(up.map(|rank| (rank, &self.behind))) {
            let middle = |vertex: &usize| -> f64 {
                let around = &neighbours[*vertex];
                if around.is_empty() {
                    return as_f64(order[*vertex]);
                }
                around.iter().map(|other| as_f64(order[*other])).sum::<f64>() / as_f64(around.len())
            };
            let mut layer: Vec<(f64, usize)> =
                self.layers[rank].iter().map(|vertex| (middle(vertex), *vertex)).collect();
            layer.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.layers[rank] = layer.into_iter().map(|(_, vertex)| vertex).collect();
            for (place, vertex) in self.layers[rank].iter().enumerate() {
                order[*vertex] = place;
            }
        }
    }

    /// Slots in the order of the layers, each as near to what stands before it as the order allows.
    fn slots(&self) -> Vec<usize> {
        let mut slots = vec![0; self.ranks.len()];
        for layer in &self.layers {
            let mut free = 0;
            for vertex in layer {
                let mut around: Vec<usize> = self.before[*vertex].iter().map(|other| slots[*other]).collect();
                around.sort_unstable();
                let wanted = around.get(around.len().saturating_sub(1) / 2).copied().unwrap_or(free);
                slots[*vertex] = wanted.max(free);
                free = slots[*vertex] + 1;
            }
        }
        slots
    }
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn graph(names: &[&str], edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::default();
        for name in names {
            graph.inner.add_node((*name).to_owned());
        }
        for (from, to) in edges {
            graph.inner.add_edge(NodeIndex::new(*from), NodeIndex::new(*to), Why::Sql);
        }
        graph
    }

    fn crossings(layout: &Layout) -> usize {
        let steps: Vec<_> = layout.routes.iter().flat_map(|route| route.points.windows(2)).collect();
        let pairs = steps.iter().enumerate().flat_map(|(at, a)| steps[at + 1..].iter().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| {
                a[0].0 == b[0].0
                    && a[1].0 == b[1].0
                    && (a[0].1 < b[0].1) != (a[1].1 < b[1].1)
                    && a[0].1 != b[0].1
                    && a[1].1 != b[1].1
            })
            .count()
    }

    #[test]
    fn every_edge_goes_one_layer_down_and_no_place_is_used_twice() {
        let graph = graph(&["a", "b", "c", "d", "e"], &[(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (4, 3)]);
        let layout = layout(&graph);
        assert_eq!((layout.ranks, layout.nodes.len(), layout.routes.len()), (4, 5, 6));
        for route in &layout.routes {
            assert!(route.points.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1), "{route:?}");
        }
        let places: HashSet<_> = layout.nodes.iter().map(|node| (node.rank, node.slot)).collect();
        assert_eq!(places.len(), 5);
        assert_eq!(layout.nodes[4].rank, 2, "a source stands right before its reader");
    }

    #[test]
    fn crossings_that_need_not_be_are_gone() {
        let graph = graph(&["a", "b", "c", "x", "y", "z"], &[(0, 5), (1, 4), (2, 3)]);
        assert_eq!(crossings(&layout(&graph)), 0);
    }

    #[test]
    fn nothing_and_circles_give_an_empty_drawing() {
        assert_eq!(layout(&graph(&[], &[])), Layout::default());
        assert_eq!(layout(&graph(&["a", "b"], &[(0, 1), (1, 0)])), Layout::default());
    }

    #[test]
    fn a_long_chain_is_laid_out_in_reasonable_time() {
        let names: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let edges: Vec<(usize, usize)> = (0..9_999).map(|n| (n, n + 1)).chain((0..100).map(|n| (n, 9_999))).collect();
        let layout = layout(&graph(&names, &edges));
        assert_eq!(layout.ranks, 10_000);
    }
}
