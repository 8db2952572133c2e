//! Earlier requests by their vectors, under the hash of their context.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_dag::time::Timestamp;

use super::key::Key;
use crate::embed::Packed;
use crate::guard::{Canonical, Reason, Verdict};

/// Requests that are remembered under one context.
const MOST_IN_CONTEXT: usize = 256;

/// Candidates that the guard looks at, nearest first.
const MOST_CANDIDATES: usize = 4;

/// An earlier request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Earlier {
    pub exact: Key,
    pub question: Arc<str>,
    pub vector: Packed,
    pub until: Timestamp,
}

/// What the search found.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// Bound and guard agree.
    Serve(Earlier, f32),
    /// Near, but not to be served; why not, if it was the guard.
    Example(Earlier, Option<Reason>),
    Nothing,
}

#[derive(Default)]
pub(super) struct Index {
    contexts: HashMap<Key, VecDeque<Earlier>>,
    /// Contexts in the order of their entries, for eviction.
    order: VecDeque<Key>,
    bytes: usize,
    most_bytes: usize,
}

impl Index {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, ..Self::default() }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, context: Key, earlier: Earlier) {
        let list = self.contexts.entry(context).or_default();
        if let Some(same) = list.iter_mut().find(|e| e.exact == earlier.exact) {
            same.until = earlier.until;
            return;
        }
        self.bytes += weight(&earlier);
        list.push_back(earlier);
        self.order.push_back(context);
        if list.len() > MOST_IN_CONTEXT {
            self.drop_oldest_of(context);
        }
        while self.bytes > self.most_bytes {
            let Some(context) = self.order.front().copied() else { break };
            self.drop_oldest_of(context);
        }
    }

    /// Takes the oldest entry of a context, and the oldest mention of the context, away.
    fn drop_oldest_of(&mut self, context: Key) {
        if let Some(place) = self.order.iter().position(|c| *c == context) {
            self.order.remove(place);
        }
        let Some(list) = self.contexts.get_mut(&context) else { return };
        if let Some(oldest) = list.pop_front() {
            self.bytes -= weight(&oldest);
        }
        if list.is_empty() {
            self.contexts.remove(&context);
        }
    }

    /// The nearest above a bound, nearest first.
    pub(super) fn nearest(&self, context: &Key, vector: &Packed, above: f32, now: Timestamp) -> Vec<(f32, Earlier)> {
        let Some(list) = self.contexts.get(context) else { return Vec::new() };
        nearest(list.iter(), vector, above, now)
    }
}

/// The nearest above a bound, nearest first.
pub(super) fn nearest<'e>(
    list: impl Iterator<Item = &'e Earlier>,
    vector: &Packed,
    above: f32,
    now: Timestamp,
) -> Vec<(f32, Earlier)> {
    let mut near: Vec<(f32, &Earlier)> =
        list.filter(|e| e.until > now).map(|e| (e.vector.similarity(vector), e)).filter(|(s, _)| *s > above).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.truncate(MOST_CANDIDATES);
    near.into_iter().map(|(similarity, earlier)| (similarity, earlier.clone())).collect()
}

/// Serves the nearest that passes bound and guard; otherwise the nearest of all is an example.
pub(super) fn judge(question: &Canonical, near: Vec<(f32, Earlier)>, serve_above: Option<f32>) -> Found {
    let mut example = Found::Nothing;
    for (similarity, earlier) in near {
        let verdict = question.compare(&Canonical::read(&earlier.question));
        let reason = match verdict {
            Verdict::Same if serve_above.is_some_and(|bound| similarity > bound) => {
                return Found::Serve(earlier, similarity);
            }
            Verdict::Same => None,
            Verdict::Different(reason) => Some(reason),
        };
        if matches!(example, Found::Nothing) {
            example = Found::Example(earlier, reason);
        }
    }
    example
}

fn weight(earlier: &Earlier) -> usize {
    size_of::<Earlier>() + earlier.question.len() + earlier.vector.bytes() + 2 * size_of::<Key>()
}
