//! Where things stand in a definition's text.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    diagnostic::Place,
    read::tree::{Data, Node},
};

/// From paths such as `tasks.revenue.sql` to places in the text.
#[derive(Clone, Default)]
pub struct Places(Option<Arc<Inner>>);

struct Inner {
    text: String,
    root: Node,
    /// Where lines begin, in bytes.
    lines: OnceLock<Vec<usize>>,
    /// Built when the first place is asked for: sound definitions are never asked.
    marks: OnceLock<HashMap<String, Mark>>,
}

/// Where a key and its value stand.
#[derive(Clone, Copy)]
struct Mark {
    key: Place,
    value: Place,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("bytes", &self.0.as_ref().map(|inner| inner.text.len())).finish()
    }
}

impl Places {
    pub(crate) fn new(text: &str, root: Node) -> Self {
        Self(Some(Arc::new(Inner { text: text.to_owned(), root, lines: OnceLock::new(), marks: OnceLock::new() })))
    }

    /// Where the value at `path` stands; for a path that is not in the text, the nearest one above it that is.
    pub fn of(&self, path: &str) -> Place {
        self.mark(path).map_or_else(Place::default, |mark| mark.value)
    }

    /// Where the key of the value at `path` stands.
    pub fn key(&self, path: &str) -> Place {
        self.mark(path).map_or_else(Place::default, |mark| mark.key)
    }

    /// The place of one character of the text value at `path`, as of an error inside SQL. `offset` counts
    /// bytes in `value`, which is that text value.
    pub fn within(&self, path: &str, value: &str, offset: usize) -> Place {
        let Some(inner) = &self.0 else { return Place::default() };
        let start = self.of(path);
        inner.find(start, value, offset).unwrap_or(start)
    }

    fn mark(&self, path: &str) -> Option<Mark> {
        let marks = self.0.as_ref()?.marks();
        let mut path = path;
        loop {
            if let Some(mark) = marks.get(path) {
                return Some(*mark);
            }
            path = match path.rfind(['.', '[']) {
                Some(end) => &path[..end],
                None if path.is_empty() => return None,
                None => "",
            };
        }
    }
}

impl Inner {
    fn marks(&self) -> &HashMap<String, Mark> {
        self.marks.get_or_init(|| {
            let mut marks = HashMap::new();
            collect(&self.root, self.root.place, String::new(), &mut marks);
            marks
        })
    }

    /// Folding and indentation change nothing but white space, so the n-th visible character of a value
    /// is the n-th visible character of its text. Only escapes break this; then there is no answer.
    fn find(&self, start: Place, value: &str, offset: usize) -> Option<Place> {
        let line = usize::try_from(start.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(start.column).ok()?.checked_sub(1)?;
        let starts = self.lines.get_or_init(|| {
            let behind = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(behind).collect()
        });
        let mut lines = (line..).zip(self.text[*starts.get(line)?..].lines());
        let (_, first) = lines.next()?;
        let first: String = first.chars().skip(column).collect();
        let (skip, quote) = match first.chars().next()? {
            '|' | '>' => (first.chars().count(), None),
            quote @ ('\'' | '"') => (1, Some(quote)),
            _ => (0, None),
        };
        if quote.is_some() && value.contains(['\'', '"', '\\', '\n', '\t']) {
            return None;
        }
        let before = value.get(..offset)?;
        let visible = before.chars().filter(|c| !c.is_whitespace()).count();
        let head = first.chars().enumerate().skip(skip).map(|(at, c)| (line, column + at, c));
        let tail = lines.flat_map(|(at, text)| text.chars().enumerate().map(move |(column, c)| (at, column, c)));
        let (line, column, _) = head.chain(tail).filter(|(_, _, c)| !c.is_whitespace()).nth(visible)?;
        Some(Place { line: u32::try_from(line + 1).ok()?, column: u32::try_from(column + 1).ok()? })
    }
}

fn collect(node: &Node, key: Place, path: String, marks: &mut HashMap<String, Mark>) {
    match &node.data {
        Data::Map(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&entry.value, entry.place, format!("{path}{dot}{}", entry.key), marks);
            }
        }
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, item.place, format!("{path}[{index}]"), marks);
            }
        }
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Broken => {}
    }
    marks.insert(path, Mark { key, value: node.place });
}
