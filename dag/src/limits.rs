//! Slots: how many a limit has, who has them, and whose turn it is when one becomes free.
//!
//! Nothing is counted up or down anywhere: what is held is what runs, asked of the rows each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A limit that a task must pass before it may start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "limit", content = "name")]
pub enum Gate {
    /// A pool, by its name.
    Pool(String),
    /// A pipeline's `concurrency.max_tasks`, by the pipeline's name.
    Pipeline(String),
    /// A tenant's number of tasks, by the tenant's name.
    Tenant(String),
}

impl Gate {
    /// As databases store it.
    pub fn text(&self) -> String {
        match self {
            Self::Pool(name) => format!("pool:{name}"),
            Self::Pipeline(name) => format!("pipeline:{name}"),
            Self::Tenant(name) => format!("tenant:{name}"),
        }
    }

    /// From its text; none for something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let name = name.to_owned();
        match kind {
            "pool" => Some(Self::Pool(name)),
            "pipeline" => Some(Self::Pipeline(name)),
            "tenant" => Some(Self::Tenant(name)),
            _ => None,
        }
    }

    /// The name of the pool, pipeline or tenant.
    pub fn name(&self) -> &str {
        match self {
            Self::Pool(name) | Self::Pipeline(name) | Self::Tenant(name) => name,
        }
    }
}

/// A limit as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many slots there are; none where nobody defined it yet, which lets nobody in.
    pub size: Option<u32>,
    /// How many are held.
    pub held: u32,
}

impl Room {
    /// How many are free.
    pub fn free(&self) -> u32 {
        self.size.unwrap_or(0).saturating_sub(self.held)
    }

    /// Takes so many slots, if they are there.
    pub fn take(&mut self, slots: u32) -> bool {
        let fits = slots <= self.free();
        if fits {
            self.held += slots;
        }
        fits
    }

    /// Gives so many back.
    pub fn give(&mut self, slots: u32) {
        self.held = self.held.saturating_sub(slots);
    }
}

/// One of those who share a limit: what it has, when it last got something, and who waits, in their own order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share {
    /// Slots it holds.
    pub held: u32,
    /// When one of its own was let in last.
    pub served: Option<Timestamp>,
    /// How many slots each that waits wants, first come first.
    pub waiting: Vec<u32>,
}

/// Who is let in, in order: the key, as often as it is its turn.
///
/// Whoever holds least is next; among equals, whoever was not served for longest. Within one key the order stays as
/// it is, and nobody overtakes one that wants more slots than are free just now: it would wait for ever.
/// What wants more than there is at all is passed over.
pub fn turns(room: Room, shares: &BTreeMap<String, Share>) -> Vec<(String, usize)> {
    let size = room.size.unwrap_or(0);
    let mut room = room;
    let mut let_in = Vec::new();
    let mut left: BTreeMap<&String, (u32, Option<u64>, usize)> = shares.keys().map(|key| (key, (0, None, 0))).collect();
    let mut round = 0_u64;
    while room.free() > 0 {
        let next = left
            .iter_mut()
            .filter_map(|(key, state)| {
                let share = &shares[*key];
                while share.waiting.get(state.2).is_some_and(|slots| *slots > size) {
                    state.2 += 1;
                }
                let slots = *share.waiting.get(state.2)?;
                // Served in this call counts as later than any moment before it.
                let rank = (share.held + state.0, state.1, share.served, *key);
                Some((rank, slots))
            })
            .min_by(|a, b| a.0.cmp(&b.0));
        let Some(((_, _, _, key), slots)) = next else { break };
        if !room.take(slots) {
            break;
        }
        round += 1;
        if let Some(state) = left.get_mut(key) {
            let_in.push((key.clone(), state.2));
            *state = (state.0 + slots, Some(round), state.2 + 1);
        }
    }
    let_in
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(of: &[(&str, u32, Option<i64>, usize)]) -> BTreeMap<String, Share> {
        let share = |(key, held, served, waiting): &(&str, u32, Option<i64>, usize)| {
            ((*key).to_owned(), Share { held: *held, served: served.map(Timestamp), waiting: vec![1; *waiting] })
        };
        of.iter().map(share).collect()
    }

    fn room(size: u32, held: u32) -> Room {
        Room { size: Some(size), held }
    }

    fn keys(turns: &[(String, usize)]) -> String {
        turns.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn a_crowd_does_not_starve_a_few() {
        let of = shares(&[("a", 0, None, 10_000), ("b", 0, None, 3), ("c", 0, None, 1)]);
        assert_eq!(keys(&turns(room(9, 0), &of)), "abcababaa");
        let of = shares(&[("a", 4, None, 10_000), ("b", 0, None, 9)]);
        assert_eq!(keys(&turns(room(7, 4), &of)), "bbb", "who holds least is next");
    }

    #[test]
    fn one_slot_goes_round() {
        let of = shares(&[("a", 0, Some(5), 10), ("b", 0, Some(4), 10), ("c", 0, None, 10)]);
        assert_eq!(keys(&turns(room(1, 0), &of)), "c", "never served");
        let of = shares(&[("a", 0, Some(5), 10), ("b", 0, Some(4), 10), ("c", 0, Some(6), 10)]);
        assert_eq!(keys(&turns(room(1, 0), &of)), "b", "not served for longest");
    }

    #[test]
    fn large_ones_are_not_overtaken_and_impossible_ones_are_passed_over() {
        let wants = |waiting: &[u32]| Share { waiting: waiting.to_vec(), ..Share::default() };
        let of = BTreeMap::from([("a".to_owned(), wants(&[3, 1]))]);
        assert_eq!(turns(room(4, 2), &of), []);
        assert_eq!(turns(room(4, 1), &of), [("a".to_owned(), 0)]);
        let of = BTreeMap::from([("a".to_owned(), wants(&[9, 1]))]);
        assert_eq!(turns(room(4, 2), &of), [("a".to_owned(), 1)]);
    }

    #[test]
    fn what_nobody_defined_lets_nobody_in() {
        assert_eq!(turns(Room { size: None, held: 0 }, &shares(&[("a", 0, None, 1)])), []);
    }

    #[test]
    fn names_come_back() {
        for gate in [Gate::Pool("gpu".into()), Gate::Pipeline("p".into()), Gate::Tenant("a:b".into())] {
            assert_eq!(Gate::parse(&gate.text()), Some(gate));
        }
        assert_eq!(Gate::parse("queue:x"), None);
    }

    proptest! {
        #[test]
        fn shares_are_even_and_nothing_is_wasted(
            size in 0_u32..40,
            waiting in proptest::collection::vec(0_usize..30, 1..6),
        ) {
            let names: Vec<String> = (0..waiting.len()).map(|n| n.to_string()).collect();
            let of: BTreeMap<String, Share> = names.iter().zip(&waiting)
                .map(|(name, n)| (name.clone(), Share { waiting: vec![1; *n], ..Share::default() })).collect();
            let turns = turns(room(size, 0), &of);
            let total: usize = waiting.iter().sum();
            prop_assert_eq!(turns.len(), total.min(size as usize));
            let got = |name: &String| turns.iter().filter(|(key, _)| key == name).count();
            for (name, wanted) in names.iter().zip(&waiting) {
                let mine = got(name);
                let satisfied = mine == *wanted;
                prop_assert!(satisfied || names.iter().all(|other| got(other) <= mine + 1), "{:?}", turns);
            }
        }
    }
}
