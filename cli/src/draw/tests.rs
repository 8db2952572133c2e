use tidemill_dag::graph::Why;
use tidemill_dag::layout::{Placed, Route};

use super::*;

/// From, to, and the points between.
type Line<'l> = (&'l str, &'l str, &'l [(usize, usize)]);

fn layout(nodes: &[(&str, usize, usize)], routes: &[Line<'_>]) -> Layout {
    Layout {
        nodes: nodes.iter().map(|(n, rank, slot)| Placed { name: (*n).into(), rank: *rank, slot: *slot }).collect(),
        routes: routes
            .iter()
            .map(|(from, to, points)| Route {
                from: (*from).into(),
                to: (*to).into(),
                why: Why::Sql,
                points: points.to_vec(),
            })
            .collect(),
        ranks: nodes.iter().map(|n| n.1 + 1).max().unwrap_or(0),
        slots: nodes.iter().map(|n| n.2 + 1).max().unwrap_or(0),
    }
}

fn kind(_: &str) -> String {
    "sql".into()
}

#[test]
fn a_chain_goes_straight_down() {
    let layout = layout(&[("a", 0, 0), ("b", 1, 0)], &[("a", "b", &[(0, 0), (1, 0)])]);
    let want = "\
┌─────┐
│ a   │
│ sql │
└──┬──┘
   │
┌──▼──┐
│ b   │
│ sql │
└─────┘
";
    assert_eq!(draw(&layout, &kind, 80), want);
}

#[test]
fn a_join_meets_and_a_fork_parts() {
    let layout = layout(
        &[("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 2, 0), ("e", 2, 1)],
        &[
            ("a", "c", &[(0, 0), (1, 0)]),
            ("b", "c", &[(0, 1), (1, 0)]),
            ("c", "d", &[(1, 0), (2, 0)]),
            ("c", "e", &[(1, 0), (2, 1)]),
        ],
    );
    let want = "\
┌─────┐  ┌─────┐
│ a   │  │ b   │
│ sql │  │ sql │
└──┬──┘  └──┬──┘
   ├────────┘
┌──▼──┐
│ c   │
│ sql │
└──┬──┘
   ├────────┐
┌──▼──┐  ┌──▼──┐
│ d   │  │ e   │
│ sql │  │ sql │
└─────┘  └─────┘
";
    assert_eq!(draw(&layout, &kind, 80), want);
}

#[test]
fn long_edges_pass_beside_the_boxes_between() {
    let layout = layout(
        &[("a", 0, 0), ("b", 1, 0), ("c", 2, 0)],
        &[("a", "b", &[(0, 0), (1, 0)]), ("b", "c", &[(1, 0), (2, 0)]), ("a", "c", &[(0, 0), (1, 1), (2, 0)])],
    );
    let text = draw(&layout, &kind, 80);
    assert!(text.contains("│ b   │  │"), "{text}");
    assert_eq!(text.matches('▼').count(), 2, "{text}");
}

#[test]
fn edges_that_cross_do_not_touch() {
    let layout = layout(
        &[("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 1)],
        &[("a", "d", &[(0, 0), (1, 1)]), ("b", "c", &[(0, 1), (1, 0)])],
    );
    let text = draw(&layout, &kind, 80);
    assert!(!text.contains('┼'), "{text}");
}

#[test]
fn what_is_too_wide_becomes_a_list_and_what_is_too_long_a_summary() {
    let names: Vec<String> = (0..100).map(|n| format!("task_{n:02}")).collect();
    let nodes: Vec<(&str, usize, usize)> = names.iter().enumerate().map(|(i, n)| (n.as_str(), 0, i)).collect();
    let list = draw(&layout(&nodes[..20], &[]), &kind, 80);
    assert_eq!(list.lines().count(), 20);
    let summary = draw(&layout(&nodes, &[]), &kind, 80);
    assert!(summary.starts_with("100 tasks in 1 layers"), "{summary}");
    for text in [list, summary] {
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    }
}
