//! The keys of a provider: calls are spread by weight, and a key that was refused rests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tidemill_dag::time::Timestamp;

use crate::secret::Secret;

/// The keys of one provider.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Secret>,
    state: Mutex<Vec<Turn>>,
}

#[derive(Debug)]
struct Turn {
    weight: i64,
    /// Smooth weighted round robin: grows by the weight, and the one that is taken pays for all.
    credit: i64,
    rests_until: Timestamp,
}

/// The key for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    /// Calls go without.
    None,
    /// This one.
    Key(usize),
}

impl KeyRing {
    /// From keys and weights.
    pub fn new(keys: Vec<(Secret, u32)>) -> Self {
        let turn = |weight: u32| Turn { weight: i64::from(weight.max(1)), credit: 0, rests_until: Timestamp(0) };
        let state = Mutex::new(keys.iter().map(|(_, weight)| turn(*weight)).collect());
        Self { keys: keys.into_iter().map(|(key, _)| key).collect(), state }
    }

    /// The next key. If all rest, the one that rests least: asking is better than failing for sure.
    pub fn pick(&self, now: Timestamp) -> Picked {
        match self.keys.len() {
            0 => return Picked::None,
            1 => return Picked::Key(0),
            _ => {}
        }
        let mut turns = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.iter().all(|turn| turn.rests_until > now) {
            let least = turns.iter().enumerate().min_by_key(|(_, turn)| turn.rests_until);
            return Picked::Key(least.map_or(0, |(at, _)| at));
        }
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (at, turn) in turns.iter_mut().enumerate().filter(|(_, turn)| turn.rests_until <= now) {
            turn.credit += turn.weight;
            total += turn.weight;
            if best.is_none_or(|(_, credit)| turn.credit > credit) {
                best = Some((at, turn.credit));
            }
        }
        let at = best.map_or(0, |(at, _)| at);
        turns[at].credit -= total;
        Picked::Key(at)
    }

    /// The secret itself.
    pub fn secret(&self, picked: Picked) -> Option<&Secret> {
        match picked {
            Picked::None => None,
            Picked::Key(at) => self.keys.get(at),
        }
    }

    /// Leaves a key alone for a while.
    pub fn rest(&self, picked: Picked, now: Timestamp, length: Duration) {
        let Picked::Key(at) = picked else { return };
        let mut turns = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(at) {
            turn.rests_until = now.after(length);
        }
    }

    /// Whether some key does not rest.
    pub fn awake(&self, now: Timestamp) -> bool {
        let turns = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        turns.iter().any(|turn| turn.rests_until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Place;

    #[test]
    fn keys_share_by_weight_and_refused_ones_rest() {
        let secret = |text: &str| Place(text.to_owned()).read().expect("plain text");
        let ring = KeyRing::new(vec![(secret("a"), 3), (secret("b"), 1)]);
        let count = |now: i64| {
            let picks = (0..100).map(|_| ring.pick(Timestamp(now)));
            picks.filter(|picked| *picked == Picked::Key(0)).count()
        };
        assert_eq!(count(0), 75);
        ring.rest(Picked::Key(0), Timestamp(0), Duration::from_secs(1));
        assert!(ring.awake(Timestamp(10)));
        assert_eq!(count(10), 0);
        ring.rest(Picked::Key(1), Timestamp(10), Duration::from_secs(9));
        assert!(!ring.awake(Timestamp(10)));
        assert_eq!(count(20), 100, "all rest: the one that rests least");
        assert_eq!(count(20_000_000), 75);
    }
}
