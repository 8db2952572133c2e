//! Lines of figures, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// As in `W1`.
    pub id: &'static str,
    /// What was done, and by which kind of task.
    pub what: String,
    /// Of the figures.
    pub unit: &'static str,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub samples: usize,
    /// What the machine needs without any engine, taken in the same run.
    pub floors: Vec<Floor>,
    /// Our own target.
    pub goal: Option<&'static str>,
    /// The best comparable peers, measured on a machine of this class.
    pub peers: &'static str,
}

/// A floor, and how far above it we are.
#[derive(Debug, Clone, Serialize)]
pub struct Floor {
    pub name: &'static str,
    pub value: f64,
    pub ratio: f64,
}

impl Line {
    /// From samples; `samples` must not be empty.
    pub fn new(id: &'static str, what: impl Into<String>, unit: &'static str, samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
        };
        Self {
            id,
            what: what.into(),
            unit,
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            samples: samples.len(),
            floors: Vec::new(),
            goal: None,
            peers: "",
        }
    }

    /// Beside a floor of the same run.
    #[must_use]
    pub fn floor(mut self, name: &'static str, value: f64) -> Self {
        self.floors.push(Floor { name, value, ratio: self.p50 / value });
        self
    }

    /// Beside our target and others' figures.
    #[must_use]
    pub fn beside(mut self, goal: &'static str, peers: &'static str) -> Self {
        (self.goal, self.peers) = (Some(goal), peers);
        self
    }
}

/// Everything, with what one must know to read it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub title: &'static str,
    pub settings: Vec<(&'static str, String)>,
    pub lines: Vec<Line>,
}

impl Report {
    /// As a table for people.
    pub fn print(&self) -> String {
        let mut out = format!("{}\n", self.title);
        // Writing to a String cannot fail.
        for (name, value) in &self.settings {
            let _ = writeln!(out, "  {name}: {value}");
        }
        let _ = writeln!(
            out,
            "\n{:<11} {:<60} {:>9} {:>9} {:>9} {:<6} {:>9}  floors of this run (ratio); peers",
            "", "", "p50", "p90", "p99", "", "goal"
        );
        for line in &self.lines {
            let figure = |value: f64| figure(value);
            let mut beside: Vec<String> =
                line.floors.iter().map(|it| format!("{} {} (×{:.1})", it.name, figure(it.value), it.ratio)).collect();
            beside.extend((!line.peers.is_empty()).then(|| line.peers.to_owned()));
            let _ = writeln!(
                out,
                "{:<11} {:<60} {:>9} {:>9} {:>9} {:<6} {:>9}  {}",
                line.id,
                line.what,
                figure(line.p50),
                figure(line.p90),
                figure(line.p99),
                line.unit,
                line.goal.unwrap_or("-"),
                beside.join("; ")
            );
        }
        out
    }
}

/// Three figures that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
