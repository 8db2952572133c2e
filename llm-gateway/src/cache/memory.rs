//! Answers in memory: bounded in number and bytes, the least recently used go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidemill_dag::time::Timestamp;

use super::key::Key;
use crate::answer::Answer;
use crate::request::Part;

struct Slot {
    answer: Arc<Answer>,
    bytes: usize,
    used: u64,
    until: Timestamp,
}

pub(super) struct Memory {
    slots: HashMap<Key, Slot>,
    /// By last use.
    order: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    most_entries: usize,
    most_bytes: usize,
    evicted: u64,
}

impl Memory {
    pub(super) fn new(most_entries: usize, most_bytes: usize) -> Self {
        Self { slots: HashMap::new(), order: BTreeMap::new(), uses: 0, bytes: 0, most_entries, most_bytes, evicted: 0 }
    }

    pub(super) fn get(&mut self, key: &Key, now: Timestamp) -> Option<Arc<Answer>> {
        let slot = self.slots.get_mut(key)?;
        if slot.until <= now {
            self.remove(key);
            return None;
        }
        self.order.remove(&slot.used);
        self.uses += 1;
        slot.used = self.uses;
        self.order.insert(self.uses, *key);
        Some(Arc::clone(&slot.answer))
    }

    /// Keeps an answer; one that alone is larger than an eighth of the space is not kept.
    pub(super) fn put(&mut self, key: Key, answer: Arc<Answer>, until: Timestamp) {
        let bytes = weight(&answer);
        self.remove(&key);
        if bytes > self.most_bytes / 8 || self.most_entries == 0 {
            return;
        }
        self.uses += 1;
        self.bytes += bytes;
        self.order.insert(self.uses, key);
        self.slots.insert(key, Slot { answer, bytes, used: self.uses, until });
        while self.bytes > self.most_bytes || self.slots.len() > self.most_entries {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.slots.remove(key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// Bytes an answer takes, with what its place in the maps takes.
fn weight(answer: &Answer) -> usize {
    let parts: usize = answer
        .parts
        .iter()
        .map(|part| {
            size_of::<Part>()
                + match part {
                    Part::Text(text) | Part::Image(text) => text.len(),
                    Part::ToolCall { id, name, arguments } => id.len() + name.len() + arguments.len(),
                    Part::ToolResult { id, text, .. } => id.len() + text.len(),
                    Part::Foreign(value) => value.to_string().len() * 2,
                }
        })
        .sum();
    parts + answer.id.len() + answer.model.len() + size_of::<Answer>() + size_of::<Slot>() + 4 * size_of::<Key>()
}
