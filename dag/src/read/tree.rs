//! Nodes with places: what a definition's text says before anybody asks what it means.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Number, Value};

use crate::{
    codes::tm01,
    diagnostic::{Diagnostic, Place},
};

/// Nothing in the language needs more levels than this.
pub(super) const MAX_DEPTH: usize = 64;
/// Nodes in a whole definition, those that aliases stand for included.
const MAX_NODES: usize = 1_000_000;
/// Nodes that aliases may stand for.
const MAX_ALIASED: usize = 100_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
    /// Nodes in it, itself included.
    size: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was reported already.
    Broken,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn new(place: Place, data: Data) -> Self {
        let size = 1 + match &data {
            Data::List(items) => items.iter().map(|item| item.size).sum(),
            Data::Map(entries) => entries.iter().map(|entry| entry.value.size).sum::<usize>(),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Broken => 0,
        };
        Self { place, data, size }
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(value) => format!("`{value}`"),
            Data::Number(number) => format!("the number {number}"),
            Data::Text(text) if text.chars().count() > 40 || text.contains('\n') => "a text".to_owned(),
            Data::Text(text) => format!("the text `{text}`"),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
            Data::Broken => "something that cannot be read".to_owned(),
        }
    }

    /// The same as plain JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null | Data::Broken => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }
}

/// Why there is no tree.
pub(crate) enum NoTree {
    /// The text is not YAML.
    Syntax(ScanError),
    /// It is, and still nothing that can be read.
    Refused(Diagnostic),
}

/// Reads all documents of a text.
pub(crate) fn documents(text: &str, problems: &mut Vec<Diagnostic>) -> Result<Vec<Node>, NoTree> {
    let mut builder =
        Builder { open: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new(), nodes: 0, aliased: 0, problems };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(NoTree::Syntax)?;
        builder.take(event, span).map_err(NoTree::Refused)?;
    }
    Ok(builder.documents)
}

fn place(span: Span) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(span.start.line()), column: number(span.start.col() + 1) }
}

/// A list or map that is not finished yet.
struct Open {
    place: Place,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node>, seen: HashMap<String, Place>, broken: bool },
}

struct Builder<'p> {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: Vec<Node>,
    nodes: usize,
    aliased: usize,
    problems: &'p mut Vec<Diagnostic>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let place = place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let data = self.scalar(&text, style, tag.as_deref(), place);
                self.finish(Node::new(place, data), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", place);
                self.begin(place, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", place);
                self.begin(
                    place,
                    anchor,
                    Inside::Map { entries: Vec::new(), key: None, seen: HashMap::new(), broken: false },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, inside: Inside) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} levels of nesting");
            return Err(Diagnostic::error(tm01::TOO_DEEP, place, "", message)
                .help("no part of a definition needs this many; flatten the value, or keep it in a file of its own"));
        }
        self.open.push(Open { place, anchor, inside });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Diagnostic> {
        let Some(Open { place, anchor, inside }) = self.open.pop() else { return Ok(()) };
        let data = match inside {
            Inside::List(items) => Data::List(items),
            Inside::Map { broken: true, .. } => Data::Broken,
            Inside::Map { entries, .. } => Data::Map(entries),
        };
        self.finish(Node::new(place, data), anchor)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Diagnostic> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(tm01::ALIAS_LIMIT, place, "", "this alias stands inside the value it names")
                .help("write the value out instead of `*alias`"));
        };
        self.aliased += target.size;
        if self.aliased > MAX_ALIASED {
            let message = format!("the aliases up to here stand for more than {MAX_ALIASED} values");
            return Err(Diagnostic::error(tm01::ALIAS_LIMIT, place, "", message)
                .help("aliases of aliases multiply; write the values out"));
        }
        let node = Node { place, ..target.clone() };
        self.finish(node, 0)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes + self.aliased > MAX_NODES {
            let message = format!("the definition holds more than {MAX_NODES} values");
            return Err(Diagnostic::error(tm01::TOO_LARGE, node.place, "", message)
                .help("keep data in files or tables, and split the definition"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open { inside: Inside::List(items), .. }) => items.push(node),
            Some(Open { inside: Inside::Map { entries, key, seen, broken }, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => {
                    *broken |= matches!(key.data, Data::Map(_) | Data::List(_) | Data::Broken);
                    self.problems.extend(add_entry(entries, seen, &key, node));
                }
            },
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Data {
        let text_asked = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if !text_asked && let Some(tag) = tag {
            self.refuse_tag(Some(tag), "str", place);
            return Data::Broken;
        }
        if text_asked || style != ScalarStyle::Plain { Data::Text(text.to_owned()) } else { plain(text) }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, allowed: &str, place: Place) {
        let Some(tag) = tag else { return };
        if tag.is_yaml_core_schema() && tag.suffix == allowed {
            return;
        }
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let problem = Diagnostic::error(tm01::BAD_TAG, place, "", format!("the tag `{name}` is not supported"))
            .help("leave it out; a text that looks like a number needs quotes, nothing else needs a mark");
        self.problems.push(problem);
    }
}

/// Puts a pair into a map, or says why not.
fn add_entry(
    entries: &mut Vec<Entry>,
    seen: &mut HashMap<String, Place>,
    key: &Node,
    value: Node,
) -> Option<Diagnostic> {
    let place = key.place;
    let name = match &key.data {
        Data::Text(text) if text == "<<" => {
            return Some(
                Diagnostic::error(tm01::BAD_KEY, place, "", "`<<` does not merge maps here")
                    .help("merge keys left YAML with version 1.2; put shared task settings under `defaults:`"),
            );
        }
        Data::Text(text) => text.clone(),
        Data::Bool(value) => value.to_string(),
        Data::Number(number) => number.to_string(),
        Data::Null => "null".to_owned(),
        Data::Broken => return None,
        Data::List(_) | Data::Map(_) => {
            return Some(
                Diagnostic::error(tm01::BAD_KEY, place, "", format!("{} cannot be a key", key.describe()))
                    .help("keys are plain text; a value that starts with `{{` needs quotes around it"),
            );
        }
    };
    if let Some(first) = seen.get(&name) {
        return Some(duplicate(&name, place, *first));
    }
    seen.insert(name.clone(), place);
    entries.push(Entry { key: name, place, value });
    None
}

/// A key that stands twice.
pub(super) fn duplicate(name: &str, place: Place, first: Place) -> Diagnostic {
    let message = format!("`{name}` stands twice in this map; the first is in line {}", first.line);
    Diagnostic::error(tm01::DUPLICATE_KEY, place, "", message).help("keep one of them, or rename one")
}

/// What an unquoted word means: the core schema of YAML 1.2, in which `yes` and `on` are text.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Data::Text(text.to_owned()), Data::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        let whole = signed.parse::<i64>().map(Number::from).or_else(|_| signed.parse::<u64>().map(Number::from));
        return whole.ok().or_else(|| Number::from_f64(signed.parse().ok()?));
    }
    if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+')) {
        return Number::from_f64(text.parse().ok()?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        let mut problems = Vec::new();
        let documents = documents(text, &mut problems).ok().expect("valid YAML");
        assert_eq!(problems, []);
        documents[0].to_json()
    }

    #[test]
    fn plain_words_follow_the_core_schema_of_yaml_1_2() {
        let value =
            json("[1, -2, 0x1F, 0o17, 1.5, 1e3, .5, yes, on, ~, true, 010, 1_000, '3', 18446744073709551615, 12:30]");
        let expected = serde_json::json!([
            1,
            -2,
            31,
            15,
            1.5,
            1000.0,
            0.5,
            "yes",
            "on",
            null,
            true,
            10,
            "1_000",
            "3",
            18_446_744_073_709_551_615_u64,
            "12:30"
        ]);
        assert_eq!(value, expected);
    }

    #[test]
    fn places_count_characters_from_one() {
        let mut problems = Vec::new();
        let documents = documents(
            "ä: 1
öö: {x: 2}
",
            &mut problems,
        )
        .ok()
        .expect("valid YAML");
        let Data::Map(entries) = &documents[0].data else { panic!("a map") };
        assert_eq!(entries[1].place, Place { line: 2, column: 1 });
        assert_eq!(entries[1].value.place, Place { line: 2, column: 5 });
    }

    #[test]
    fn aliases_stand_for_their_anchor() {
        assert_eq!(
            json(
                "a: &x {k: 1}
b: *x"
            ),
            serde_json::json!({"a": {"k": 1}, "b": {"k": 1}})
        );
    }
}
