//! From which similarity on a near request is served: measured once for each embedding, tightened by what shadow calls find.

use std::collections::HashMap;

/// One-sided 95 %.
const Z: f64 = 1.645;

/// A pair of requests with a known verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Cosine of their vectors.
    pub similarity: f32,
    /// Whether the guard takes one for the other.
    pub guard: bool,
    /// Whether one answer serves both.
    pub same: bool,
}

/// The upper end of the interval of a share that was found `hits` times in `trials` (Wilson, one-sided 95 %).
pub fn upper(hits: u32, trials: u32) -> f64 {
    wilson(hits, trials, 1.0)
}

/// The lower end of the same interval.
pub fn lower(hits: u32, trials: u32) -> f64 {
    wilson(hits, trials, -1.0)
}

fn wilson(hits: u32, trials: u32, side: f64) -> f64 {
    if trials == 0 {
        return if side > 0.0 { 1.0 } else { 0.0 };
    }
    let (n, p) = (f64::from(trials), f64::from(hits) / f64::from(trials));
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre + side * spread) / (1.0 + Z * Z / n)).clamp(0.0, 1.0)
}

/// The bound for an embedding: the strictest in steps of 0.01 that still serves `keep` of what the loosest acceptable one serves. A
/// bound is acceptable if the share of pairs with different answers that it serves is surely not above `max_wrong`. `None`: no
/// bound is, and nothing may be served.
pub fn calibrate(pairs: &[Pair], from: f32, max_wrong: f64, keep: f64) -> Option<f32> {
    let served = |bound: f32, same: bool| -> u32 {
        let count = pairs.iter().filter(|p| p.same == same && p.guard && p.similarity > bound).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let traps = u32::try_from(pairs.iter().filter(|p| !p.same).count()).unwrap_or(u32::MAX);
    let steps = (0u8..100).map(|step| from + f32::from(step) * 0.01).take_while(|bound| *bound < 1.0);
    let acceptable: Vec<f32> = steps.filter(|bound| upper(served(*bound, false), traps) <= max_wrong).collect();
    let loosest = f64::from(served(*acceptable.first()?, true));
    acceptable.into_iter().rev().find(|bound| f64::from(served(*bound, true)) >= keep * loosest)
}

/// What shadow calls of one namespace found, and the bound that follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watched {
    /// Requests are served above it. At 1 nothing is.
    pub bound: f32,
    /// Shadow calls.
    pub trials: u32,
    /// Those whose answer was another one.
    pub wrong: u32,
}

impl Watched {
    /// Before any shadow call.
    pub const fn new(bound: f32) -> Self {
        Self { bound, trials: 0, wrong: 0 }
    }

    /// After one more. A wrong answer moves the bound above its similarity, half the way to 1. When the share of wrong answers is
    /// surely above `max_wrong`, nothing is served any more. It never loosens: whoever has mended the cause starts anew.
    #[must_use]
    pub fn observe(self, similarity: f32, agreed: bool, max_wrong: f64) -> Self {
        let trials = self.trials.saturating_add(1);
        if agreed {
            return Self { trials, ..self };
        }
        let wrong = self.wrong.saturating_add(1);
        let above = similarity + (1.0 - similarity) / 2.0;
        let bound = if lower(wrong, trials) > max_wrong && wrong > 1 { 1.0 } else { self.bound.max(above).min(1.0) };
        Self { bound, trials, wrong }
    }
}

/// Bounds by tenant and namespace.
pub(super) struct Bounds {
    start: f32,
    max_wrong: f64,
    watched: HashMap<(String, String), Watched>,
}

/// Beyond so many namespaces new ones are not served near requests: forgetting a tightened bound would loosen it.
const MOST_NAMESPACES: usize = 10_000;

impl Bounds {
    pub(super) fn new(start: f32, max_wrong: f64) -> Self {
        Self { start, max_wrong, watched: HashMap::new() }
    }

    pub(super) fn get(&self, tenant: &str, namespace: &str) -> f32 {
        match self.watched.get(&(tenant.to_owned(), namespace.to_owned())) {
            Some(watched) => watched.bound,
            None if self.watched.len() >= MOST_NAMESPACES => 1.0,
            None => self.start,
        }
    }

    pub(super) fn observe(&mut self, tenant: &str, namespace: &str, similarity: f32, agreed: bool) -> Watched {
        let watched = self.watched.entry((tenant.to_owned(), namespace.to_owned())).or_insert(Watched::new(self.start));
        *watched = watched.observe(similarity, agreed, self.max_wrong);
        *watched
    }

    /// Namespaces whose bound was tightened.
    pub(super) fn tightened(&self) -> usize {
        self.watched.values().filter(|w| w.bound > self.start).count()
    }
}
