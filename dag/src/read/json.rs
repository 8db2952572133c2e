//! JSON with places. YAML readers stumble over what JSON allows: tabs between tokens, escaped surrogates.

use serde_json::Value;

use super::tree::{Data, Entry, MAX_DEPTH, Node, duplicate};
use crate::diagnostic::{Diagnostic, Place};

/// Reads JSON text; `None` if it is none, and then it may still be YAML.
pub(super) fn document(text: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut found = Vec::new();
    let mut reader = Reader { text, at: 0, place: Place { line: 1, column: 1 }, problems: &mut found };
    let node = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return None;
    }
    problems.append(&mut found);
    Some(node)
}

struct Reader<'t, 'p> {
    text: &'t str,
    at: usize,
    place: Place,
    problems: &'p mut Vec<Diagnostic>,
}

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let taken = &self.rest()[..bytes];
        for c in taken.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.at += bytes;
        taken
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len());
    }

    fn eat(&mut self, sign: char) -> bool {
        self.space();
        let found = self.rest().starts_with(sign);
        if found {
            self.advance(sign.len_utf8());
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        self.space();
        let place = self.place;
        let data = match self.rest().chars().next()? {
            '{' if depth < MAX_DEPTH => self.map(depth)?,
            '[' if depth < MAX_DEPTH => self.list(depth)?,
            '"' => Data::Text(self.string()?),
            _ => self.word()?,
        };
        Some(Node::new(place, data))
    }

    fn map(&mut self, depth: usize) -> Option<Data> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        self.eat('{');
        if self.eat('}') {
            return Some(Data::Map(entries));
        }
        loop {
            self.space();
            let place = self.place;
            let key = self.string()?;
            if !self.eat(':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            match seen.get(&key) {
                Some(first) => self.problems.push(duplicate(&key, place, *first)),
                None => {
                    seen.insert(key.clone(), place);
                    entries.push(Entry { key, place, value });
                }
            }
            if !self.eat(',') {
                return self.eat('}').then_some(Data::Map(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Data> {
        let mut items = Vec::new();
        self.eat('[');
        if self.eat(']') {
            return Some(Data::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.eat(',') {
                return self.eat(']').then_some(Data::List(items));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        })?;
        serde_json::from_str(self.advance(end.0 + 1)).ok()
    }

    fn word(&mut self) -> Option<Data> {
        let rest = self.rest();
        let end = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        match serde_json::from_str(self.advance(end)).ok()? {
            Value::Null => Some(Data::Null),
            Value::Bool(value) => Some(Data::Bool(value)),
            Value::Number(number) => Some(Data::Number(number)),
            Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}
