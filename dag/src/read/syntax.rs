//! Text to one tree: size, encoding, YAML syntax, JSON, one document.

use saphyr_parser::ScanError;

use super::{
    json,
    tree::{self, Data, NoTree, Node},
};
use crate::{
    codes::tm01,
    compile::MAX_BYTES,
    diagnostic::{Diagnostic, Place},
};

/// Reads the one document of a text.
pub(crate) fn parse(text: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    if let Some(problem) = too_large(text.len()) {
        problems.push(problem);
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = match json::document(text, problems) {
        Some(document) => Ok(vec![document]),
        None => tree::documents(text, problems),
    };
    let documents = match documents {
        Ok(documents) => documents,
        Err(NoTree::Refused(problem)) => {
            problems.push(problem);
            return None;
        }
        Err(NoTree::Syntax(error)) => {
            problems.push(syntax_problem(text, &error));
            return None;
        }
    };
    one_document(documents, problems)
}

/// Refuses a definition by its size alone.
pub(crate) fn too_large(bytes: usize) -> Option<Diagnostic> {
    (bytes > MAX_BYTES).then(|| {
        let message = format!("the definition has {bytes} bytes; at most {MAX_BYTES} are read");
        Diagnostic::error(tm01::TOO_LARGE, Place { line: 1, column: 1 }, "", message)
            .help("keep data in files or tables, and split the definition into several pipelines")
    })
}

/// The text of a file's bytes.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Diagnostic> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let sound = bytes.get(..error.valid_up_to()).and_then(|sound| std::str::from_utf8(sound).ok()).unwrap_or("");
    let place = place_at(sound, sound.len());
    let message = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16 text".to_owned(),
        _ => format!("the byte 0x{:02x} is not UTF-8", bytes.get(error.valid_up_to()).copied().unwrap_or(0)),
    };
    Err(Diagnostic::error(tm01::NOT_UTF8, place, "", message)
        .help("save the file as UTF-8; most editors offer it under “save with encoding”"))
}

/// Line and column of a byte offset.
fn place_at(text: &str, offset: usize) -> Place {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
}

fn one_document(documents: Vec<Node>, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let start = Place { line: 1, column: 1 };
    let mut documents = documents.into_iter();
    let Some(first) = documents.next().filter(|node| !matches!(node.data, Data::Null)) else {
        let problem = Diagnostic::error(tm01::EMPTY, start, "", "there is nothing in this definition")
            .help("begin with `pipeline: a_name` and `tasks:`");
        problems.push(problem);
        return None;
    };
    if let Some(second) = documents.next() {
        let problem = Diagnostic::error(tm01::SEVERAL_DOCUMENTS, second.place, "", "a second document begins here")
            .help("one file holds one pipeline: move what follows `---` to a file of its own");
        problems.push(problem);
    }
    Some(first)
}

/// Turns the scanner's complaint into one that says what to do.
fn syntax_problem(text: &str, error: &ScanError) -> Diagnostic {
    let line = error.marker().line();
    let place = Place {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(error.marker().col() + 1).unwrap_or(u32::MAX),
    };
    if let Some(tab) = tab_near(text, line) {
        return Diagnostic::error(tm01::TAB, tab, "", "a tab stands where spaces must be")
            .help("YAML indents with spaces only: replace the tab by two spaces");
    }
    if error.info().contains("recursion limit") {
        return Diagnostic::error(tm01::TOO_DEEP, place, "", "brackets are nested too deeply")
            .help("no part of a definition needs this; is a bracket repeated by mistake?");
    }
    let (message, help) = explain(error.info());
    let line_of = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let message = match line_of.trim() {
        "" => message.to_owned(),
        shown if shown.chars().count() <= 60 => format!("{message}: `{shown}`"),
        _ => message.to_owned(),
    };
    Diagnostic::error(tm01::NOT_YAML, place, "", message).help(help)
}

/// A tab in the indentation of the line or of the one before it.
fn tab_near(text: &str, line: usize) -> Option<Place> {
    let first = line.saturating_sub(1).max(1);
    text.lines().enumerate().skip(first - 1).take(2).find_map(|(index, content)| {
        let indent = content.chars().take_while(|c| c.is_whitespace());
        let column = indent.enumerate().find(|(_, c)| *c == '\t')?.0;
        Some(Place {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        })
    })
}

/// The scanner's complaints by a part of their wording, in our words.
const EXPLAINED: [(&str, &str, &str); 17] = [
    (
        "mapping values are not allowed",
        "a second `:` stands where none can be",
        "put the text after the first `:` in quotes; or the line above lacks its own value, or this line is indented wrongly",
    ),
    (
        "simple key expect",
        "a `:` with a space behind it is missing, here or in the line above",
        "write `key: value`; a key without a value of its own ends with `:`",
    ),
    (
        "did not find expected key",
        "this line is not indented like the ones around it",
        "lines of one map begin in the same column; indent with two spaces per level",
    ),
    (
        "did not find expected '-'",
        "this line is not indented like the list above it",
        "items of one list begin with `-` in the same column",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "put `- …` on a line of its own, below its key",
    ),
    (
        "unexpected end of stream",
        "a quote is opened and never closed",
        "close the quote, or use a block: `key: |` and the text indented below",
    ),
    (
        "in quoted scalar",
        "a quoted text is indented wrongly, or its closing quote is missing",
        "close the quote on the same line, or use a block: `key: |`",
    ),
    (
        "',' or '}'",
        "a `{` is opened, and `,` or `}` is missing",
        "close the brace; a text with `{`, `}`, `,` or `:` in it needs quotes",
    ),
    (
        "',' or ']'",
        "a `[` is opened, and `,` or `]` is missing",
        "close the bracket; a text with `[`, `]` or `,` in it needs quotes",
    ),
    (
        "in flow construct",
        "a line inside brackets is indented too little",
        "close the bracket, or indent its lines further than the key",
    ),
    ("unknown escape", "a double-quoted text holds a `\\` that means nothing", "write `\\\\`, or use 'single quotes'"),
    ("after double-quoted", "something follows a closing quote", "put the whole value in one pair of quotes"),
    (
        "unknown anchor",
        "an alias names an anchor that is not there",
        "a value that starts with `*` needs quotes; else define the anchor with `&name` before",
    ),
    ("alphabetic or numeric", "an anchor or alias has no name", "a value that starts with `*` or `&` needs quotes"),
    ("unexpected character", "a text cannot begin with this character", "put the value in quotes"),
    ("in block scalar", "a block of text is indented wrongly", "indent all lines of the block further than its key"),
    ("unprintable", "there is a character that cannot be seen", "remove it"),
];

fn explain(info: &str) -> (&'static str, &'static str) {
    let known = EXPLAINED.iter().find(|(part, _, _)| info.contains(part));
    known.map_or(("this is not YAML", "check indentation, colons and quotes around here"), |(_, message, help)| {
        (message, help)
    })
}
