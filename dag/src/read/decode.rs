//! How a node becomes a value. A decoder notes what is wrong and gives what it can.

use std::{collections::HashSet, fmt};

use indexmap::IndexMap;
use serde_json::Value;

use super::tree::{Data, Entry, Node};
use crate::{codes::tm01, diagnostic::Diagnostic, spec::Columns, suggest, time::Span};

/// Where a decoder is in the document; printed as `tasks.revenue.sql`.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl At<'_> {
    pub(crate) const ROOT: At<'static> = At { parent: None, step: Step::Root };

    pub(crate) fn key<'s>(&'s self, key: &'s str) -> At<'s> {
        At { parent: Some(self), step: Step::Key(key) }
    }

    pub(crate) fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            let inner = !matches!(parent.step, Step::Root);
            match self.step {
                Step::Key(_) if inner => f.write_str(".")?,
                Step::Root | Step::Key(_) | Step::Index(_) => {}
            }
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Where decoders note what is wrong.
pub(crate) type Problems = Vec<Diagnostic>;

/// Something that can be read from a node.
pub(crate) trait Decode: Sized {
    /// Gives the value, or notes why there is none.
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self>;
}

/// Notes that a node is not what is wanted here.
pub(crate) fn wrong_type<T>(node: &Node, at: At<'_>, expected: &str, problems: &mut Problems) -> Option<T> {
    if !matches!(node.data, Data::Broken) {
        let message = format!("expected {expected}, found {}", node.describe());
        problems.push(Diagnostic::error(tm01::WRONG_TYPE, node.place, at.to_string(), message));
    }
    None
}

/// Adds advice to the problem noted last.
pub(crate) fn advise(problems: &mut Problems, advice: impl Into<String>) {
    if let Some(last) = problems.last_mut() {
        last.help = Some(advice.into());
    }
}

/// The keys of a map, each asked for once; [`Fields::done`] reports what nobody asked for.
pub(crate) struct Fields<'n, 'p> {
    node: &'n Node,
    entries: &'n [Entry],
    at: At<'n>,
    asked: Vec<&'static str>,
    problems: &'p mut Problems,
}

impl<'n, 'p> Fields<'n, 'p> {
    pub(crate) fn of(node: &'n Node, at: At<'n>, problems: &'p mut Problems) -> Option<Self> {
        match &node.data {
            Data::Map(entries) => Some(Self { node, entries, at, asked: Vec::with_capacity(12), problems }),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::List(_) | Data::Broken => {
                wrong_type(node, at, "a map of settings", problems)
            }
        }
    }

    /// Says that a key is known, whatever its value.
    pub(crate) fn ask(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// The value of a key, if it is there.
    pub(crate) fn find(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A key that must be there.
    pub(crate) fn required<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        match self.find(key) {
            Some(entry) => T::decode(&entry.value, self.at.key(key), self.problems),
            None => {
                let message = format!("`{key}` is missing");
                let problem = Diagnostic::error(tm01::MISSING_KEY, self.node.place, self.at.to_string(), message);
                self.problems.push(problem.help(format!("add `{key}: …`")));
                None
            }
        }
    }

    /// A key that may be left out. A broken value counts as left out: it was noted.
    pub(crate) fn optional<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.find(key)?;
        if matches!(entry.value.data, Data::Null) {
            return None;
        }
        T::decode(&entry.value, self.at.key(key), self.problems)
    }

    /// The same with the value that stands for a missing one.
    pub(crate) fn or<T: Decode>(&mut self, key: &'static str, missing: T) -> T {
        self.optional(key).unwrap_or(missing)
    }

    /// The same with the type's own default.
    pub(crate) fn or_default<T: Decode + Default>(&mut self, key: &'static str) -> T {
        self.optional(key).unwrap_or_default()
    }

    /// The same by a decoder of its own.
    pub(crate) fn with<T: Default>(
        &mut self,
        decode: fn(&Node, At<'_>, &mut Problems) -> Option<T>,
        key: &'static str,
    ) -> T {
        match self.find(key) {
            Some(entry) if !matches!(entry.value.data, Data::Null) => {
                decode(&entry.value, self.at.key(key), self.problems).unwrap_or_default()
            }
            Some(_) | None => T::default(),
        }
    }

    /// Reports keys that nobody asked for.
    pub(crate) fn done(self) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let message = format!("`{}` is not known here", entry.key);
            let help = suggest::help(&entry.key, self.asked.iter().copied(), "known here");
            let path = self.at.key(&entry.key).to_string();
            self.problems.push(Diagnostic::error(tm01::UNKNOWN_KEY, entry.place, path, message).help(help));
        }
    }
}

/// A decoder, given what it does with node, place and problems.
macro_rules! decoder {
    ($name:ident, $node:ident, $at:ident, $problems:ident, $body:block) => {
        impl $crate::read::decode::Decode for $name {
            fn decode(
                $node: &$crate::read::tree::Node,
                $at: $crate::read::decode::At<'_>,
                $problems: &mut $crate::read::decode::Problems,
            ) -> Option<Self> {
                $body
            }
        }
    };
}
pub(crate) use decoder;

/// Decoding of a struct, field by field: `required(key)` or one of the lenient ones.
macro_rules! decode_map {
    ($name:ident { $($field:ident: $how:ident($($arg:expr),+)),* $(,)? }) => {
        $crate::read::decode::decoder!($name, node, at, problems, {
            let mut fields = $crate::read::decode::Fields::of(node, at, problems)?;
            $(let $field = fields.$how($($arg),+);)*
            fields.done();
            Some(Self { $($field: decode_map!(@value $how $field)),* })
        });
    };
    (@value required $field:ident) => { $field? };
    (@value $how:ident $field:ident) => { $field };
}
pub(crate) use decode_map;

/// Decoding of a choice of words.
macro_rules! decode_words {
    ($name:ident { $($word:literal => $value:ident),* $(,)? }) => {
        $crate::read::decode::decoder!($name, node, at, problems, {
            match $crate::read::decode::word(node, at, &[$($word),*], problems)? {
                $($word => Some(Self::$value),)*
                _ => None,
            }
        });
    };
}
pub(crate) use decode_words;

/// One of the allowed words.
pub(crate) fn word<'n>(node: &'n Node, at: At<'_>, words: &[&str], problems: &mut Problems) -> Option<&'n str> {
    let Data::Text(text) = &node.data else {
        wrong_type::<()>(node, at, "a word", problems);
        if !matches!(node.data, Data::Broken) {
            advise(problems, format!("one of {}", suggest::listed(words.iter().copied()).unwrap_or_default()));
        }
        return None;
    };
    if words.contains(&text.as_str()) {
        return Some(text);
    }
    let message = format!("`{text}` is not allowed here");
    let help = suggest::help(text, words.iter().copied(), "allowed");
    problems.push(Diagnostic::error(tm01::UNKNOWN_WORD, node.place, at.to_string(), message).help(help));
    None
}

impl Decode for String {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::Text(text) => Some(text.clone()),
            Data::Bool(_) | Data::Number(_) => {
                wrong_type::<()>(node, at, "text", problems);
                advise(problems, "put it in quotes to make it text");
                None
            }
            Data::Null | Data::List(_) | Data::Map(_) | Data::Broken => wrong_type(node, at, "text", problems),
        }
    }
}

impl Decode for bool {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::Bool(value) => Some(*value),
            Data::Null | Data::Number(_) | Data::Text(_) | Data::List(_) | Data::Map(_) | Data::Broken => {
                wrong_type::<()>(node, at, "`true` or `false`", problems);
                if matches!(&node.data, Data::Text(_)) {
                    advise(problems, "write `true` or `false`, without quotes");
                }
                None
            }
        }
    }
}

macro_rules! decode_whole {
    ($($t:ty),*) => {$(
        impl Decode for $t {
            fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
                let Data::Number(number) = &node.data else {
                    wrong_type::<()>(node, at, "a whole number", problems);
                    advise_bare_number(node, problems);
                    return None;
                };
                let whole = number.as_u64();
                let fits = whole.and_then(|n| Self::try_from(n).ok());
                if fits.is_none() {
                    let message = match whole {
                        Some(_) => format!("{number} is too large; at most {} is allowed", Self::MAX),
                        None => format!("{number} is not a whole number that is 0 or more"),
                    };
                    problems.push(Diagnostic::error(tm01::OUT_OF_RANGE, node.place, at.to_string(), message));
                }
                fits
            }
        }
    )*};
}
decode_whole!(u16, u32, u64);

fn advise_bare_number(node: &Node, problems: &mut Problems) {
    if let Data::Text(text) = &node.data
        && text.parse::<f64>().is_ok()
    {
        advise(problems, "leave the quotes out");
    }
}

impl Decode for f64 {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::Number(number) => number.as_f64(),
            Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_) | Data::Map(_) | Data::Broken => {
                wrong_type(node, at, "a number", problems)
            }
        }
    }
}

impl Decode for Span {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        let written = match &node.data {
            Data::Text(text) => text.clone(),
            Data::Number(number) => number.to_string(),
            Data::Null | Data::Bool(_) | Data::List(_) | Data::Map(_) | Data::Broken => {
                return wrong_type(node, at, "a length of time such as `30s`", problems);
            }
        };
        written.parse().map_err(|_| problems.push(bad_span(node, at, &written))).ok()
    }
}

fn bad_span(node: &Node, at: At<'_>, written: &str) -> Diagnostic {
    let message = format!("`{written}` is not a length of time");
    let help = match guess_span(written) {
        Some(guess) => format!("write a whole number and one of ms, s, m, h, d: `{guess}`"),
        None => "write a whole number and one of ms, s, m, h, d, as in `30s` or `5m`".to_owned(),
    };
    Diagnostic::error(tm01::BAD_SPAN, node.place, at.to_string(), message).help(help)
}

/// `30` means seconds to most people, and `5 minutes` is plain.
fn guess_span(written: &str) -> Option<String> {
    let split = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
    let (number, unit) = written.split_at(split);
    let number = number.parse::<u64>().ok()?;
    let unit = match unit.trim().trim_end_matches('s') {
        "" | "sec" | "second" => "s",
        "min" | "minute" => "m",
        "hr" | "hour" => "h",
        "day" => "d",
        "m" => "ms",
        "week" | "w" => return Some(format!("{}d", number.checked_mul(7)?)),
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

impl Decode for Value {
    fn decode(node: &Node, _: At<'_>, _: &mut Problems) -> Option<Self> {
        Some(node.to_json())
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        let Data::List(items) = &node.data else {
            wrong_type::<()>(node, at, "a list", problems);
            match &node.data {
                Data::Text(text) => advise(problems, format!("write it as a list: `[{text}]`")),
                Data::Map(_) => advise(problems, "begin it with `- `: each item of a list has a dash of its own"),
                Data::Null | Data::Bool(_) | Data::Number(_) | Data::List(_) | Data::Broken => {}
            }
            return None;
        };
        Some(items.iter().enumerate().filter_map(|(i, item)| T::decode(item, at.index(i), problems)).collect())
    }
}

impl<T: Decode> Decode for IndexMap<String, T> {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        let Data::Map(entries) = &node.data else {
            return wrong_type(node, at, "a map", problems);
        };
        let decoded = entries.iter().filter_map(|entry| {
            let value = T::decode(&entry.value, at.key(&entry.key), problems)?;
            Some((entry.key.clone(), value))
        });
        Some(decoded.collect())
    }
}

impl Decode for Columns {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::Text(column) => Some(Self::One(column.clone())),
            Data::List(_) => Vec::decode(node, at, problems).map(Self::Many),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Map(_) | Data::Broken => {
                wrong_type(node, at, "a column or a list of columns", problems)
            }
        }
    }
}

/// A map with exactly one key, the key being one of `words`: the key's word and its value.
pub(crate) fn single<'n>(
    node: &'n Node,
    at: At<'_>,
    words: &[&'static str],
    problems: &mut Problems,
) -> Option<(&'static str, &'n Entry)> {
    let Data::Map(entries) = &node.data else {
        wrong_type::<()>(node, at, "a map with one key", problems);
        if !matches!(node.data, Data::Broken) {
            advise(problems, format!("one of {}", suggest::listed(words.iter().copied()).unwrap_or_default()));
        }
        return None;
    };
    let known: HashSet<&str> = words.iter().copied().collect();
    let (known, unknown): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| known.contains(entry.key.as_str()));
    for entry in &unknown {
        let message = format!("`{}` is not known here", entry.key);
        let help = suggest::help(&entry.key, words.iter().copied(), "known here");
        let path = at.key(&entry.key).to_string();
        problems.push(Diagnostic::error(tm01::UNKNOWN_KEY, entry.place, path, message).help(help));
    }
    match (known.as_slice(), unknown.is_empty()) {
        ([entry], _) => words.iter().find(|word| **word == entry.key).map(|word| (*word, *entry)),
        ([], true) => {
            let message = "nothing is said here";
            let help = format!("one of {}", suggest::listed(words.iter().copied()).unwrap_or_default());
            problems.push(Diagnostic::error(tm01::ONE_OF, node.place, at.to_string(), message).help(help));
            None
        }
        ([], false) => None,
        ([_, second, ..], _) => {
            let message = format!("`{}` is one too many here: one item says one thing", second.key);
            problems.push(
                Diagnostic::error(tm01::ONE_OF, second.place, at.to_string(), message)
                    .help(format!("begin a new item of the list: `- {}: …`", second.key)),
            );
            None
        }
    }
}
