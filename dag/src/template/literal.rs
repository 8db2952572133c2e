//! Values as SQL literals, and the proof that each stands where a value may stand.
//!
//! Rendering wraps every literal in two characters that no text contains. [`settle`] then reads the
//! whole SQL once with a small lexer: a literal inside quotes, glued to a word or cut by a filter is
//! refused, whatever the template did to bring it there. Only then do the marks go.

use minijinja::{Value, value::ValueKind};

use super::TemplateError;
use crate::codes::tm03;

/// Opens a literal. These four are noncharacters: Unicode promises that no text uses them.
pub(super) const OPEN: char = '\u{fdd0}';
/// Closes a literal.
pub(super) const CLOSE: char = '\u{fdd1}';
/// Opens a mark: the offset in the template from which the text behind it came.
pub(super) const MARK: char = '\u{fdd2}';
/// Closes a mark.
pub(super) const END_MARK: char = '\u{fdd3}';

/// Whether a text contains what only rendering may write.
pub(super) fn reserved(text: &str) -> bool {
    text.contains([OPEN, CLOSE, MARK, END_MARK])
}

/// Refuses a template that contains it.
pub(super) fn no_reserved(template: &str) -> Result<(), TemplateError> {
    let Some(offset) = template.find([OPEN, CLOSE, MARK, END_MARK]) else { return Ok(()) };
    Err(TemplateError {
        code: tm03::TEMPLATE_SYNTAX,
        message: "the text holds a character that no text may hold (U+FDD0 to U+FDD3)".to_owned(),
        help: Some("remove it".to_owned()),
        offset: Some(offset),
    })
}

/// A value that has no literal: what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct NoLiteral {
    pub(super) message: String,
    pub(super) help: &'static str,
}

fn refuse<T>(message: impl Into<String>, help: &'static str) -> Result<T, NoLiteral> {
    Err(NoLiteral { message: message.into(), help })
}

/// A value as marked SQL.
pub(super) fn marked(value: &Value) -> Result<String, NoLiteral> {
    if value.is_safe()
        && let Some(text) = value.as_str()
    {
        // What a block or macro of the template wrote: its own SQL, with its values marked already.
        return Ok(moment(text).map_or_else(|| text.to_owned(), |literal| format!("{OPEN}{literal}{CLOSE}")));
    }
    literal(value).map(|literal| format!("{OPEN}{literal}{CLOSE}"))
}

fn literal(value: &Value) -> Result<String, NoLiteral> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok("NULL".to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "TRUE" } else { "FALSE" }.to_owned()),
        ValueKind::Number if value.is_integer() => Ok(value.to_string()),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) if number.is_finite() => Ok(format!("{number:?}")),
            Ok(number) => refuse(format!("{number} has no SQL literal"), "give a finite number"),
            Err(_) => refuse(format!("the number {value} is too large for SQL"), "give a smaller number"),
        },
        ValueKind::String => string(value.as_str().unwrap_or_default(), value.is_safe()),
        ValueKind::Seq | ValueKind::Iterable => list(value),
        ValueKind::Map => refuse("a map has no SQL literal", "name one of its fields, as in `tasks.x.result.count`"),
        ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid => {
            refuse("this value has no SQL literal", "give text, a number, a boolean, a date or a list of those")
        }
        _ => refuse("this value has no SQL literal", "give text, a number, a boolean, a date or a list of those"),
    }
}

fn string(text: &str, safe: bool) -> Result<String, NoLiteral> {
    if safe && let Some(literal) = moment(text) {
        return Ok(literal);
    }
    if reserved(text) || text.contains('\0') {
        return refuse("the text holds a character that SQL cannot", "remove NUL and other control characters from it");
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

fn list(value: &Value) -> Result<String, NoLiteral> {
    let Ok(items) = value.try_iter() else {
        return refuse("this list cannot be read", "give a plain list of values");
    };
    let items: Vec<String> = items.map(|item| literal(&item)).collect::<Result<_, _>>()?;
    if items.is_empty() {
        return refuse(
            "an empty list has no SQL literal",
            "put the condition into `{% if … %}`, so that it only stands there when the list has values",
        );
    }
    Ok(format!("({})", items.join(", ")))
}

/// Dates and times come as safe text of exactly these forms; nothing else that is safe looks like them.
fn moment(text: &str) -> Option<String> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    match shape.as_str() {
        "0000-00-00" => Some(format!("DATE '{text}'")),
        "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00.000Z" | "0000-00-00T00:00:00.000000Z" => {
            Some(format!("TIMESTAMP '{text}'"))
        }
        _ => None,
    }
}

/// Text as a date or time literal.
pub(super) fn typed_moment(text: &str) -> Option<String> {
    moment(text)
}

/// The filter `ident`: a name, or several, quoted for SQL.
pub(super) fn ident(value: &Value) -> Result<Value, NoLiteral> {
    let quote = |name: &str| {
        if name.is_empty() || reserved(name) || name.contains('\0') {
            return refuse(format!("`{name}` cannot be a name in SQL"), "give a name that is not empty");
        }
        Ok(format!("\"{}\"", name.replace('"', "\"\"")))
    };
    let names = match value.kind() {
        ValueKind::String => quote(value.as_str().unwrap_or_default())?,
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().into_iter().flatten();
            let names: Vec<String> = items
                .map(|item| match item.as_str() {
                    Some(name) => quote(name),
                    None => refuse("`ident` makes names from text only", "give a list of texts"),
                })
                .collect::<Result<_, _>>()?;
            names.join(", ")
        }
        _ => return refuse("`ident` makes a name from text", "give a text, or a list of texts"),
    };
    Ok(Value::from_safe_string(format!("{OPEN}{names}{CLOSE}")))
}

/// SQL without marks, and where its pieces came from.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) sql: String,
    /// Offsets in `sql` and in the template, ascending by the first.
    pub(super) origins: Vec<(usize, usize)>,
    /// Literals that stand where no value may; they are left out of `sql`.
    pub(super) misplaced: Vec<Misplaced>,
}

/// A literal that stands where no value may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) message: &'static str,
    pub(super) help: &'static str,
    /// Where in the template, if marks were there.
    pub(super) offset: Option<usize>,
}

/// Takes the marks out of rendered SQL, and refuses literals that stand where no value may.
pub(super) fn settle(rendered: &str) -> Result<String, Misplaced> {
    let settled = examine(rendered);
    match settled.misplaced.into_iter().next() {
        Some(misplaced) => Err(misplaced),
        None => Ok(settled.sql),
    }
}

/// The same, with everything there is to say about it.
pub(super) fn examine(rendered: &str) -> Settled {
    let mut lexer = Lexer::default();
    let mut settled = Settled { sql: String::with_capacity(rendered.len()), ..Settled::default() };
    let mut rest = rendered;
    while let Some(at) = rest.find([OPEN, CLOSE, MARK, END_MARK]) {
        lexer.feed(&rest[..at]);
        settled.sql.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        let sign = chars.next();
        rest = chars.as_str();
        match sign {
            Some(MARK) => {
                let (number, behind) = rest.split_once(END_MARK).unwrap_or((rest, ""));
                if let Ok(offset) = number.parse() {
                    settled.origins.push((settled.sql.len(), offset));
                }
                rest = behind;
            }
            Some(OPEN) => {
                let Some((literal, behind)) = rest.split_once(CLOSE) else {
                    settled.misplaced.push(misplaced(CUT, &settled));
                    break;
                };
                if let Err(misplaced) = place_literal(literal, behind, &mut lexer, &mut settled) {
                    settled.misplaced.push(misplaced);
                }
                rest = behind;
            }
            Some(_) | None => {
                settled.misplaced.push(misplaced(CUT, &settled));
                break;
            }
        }
    }
    settled.sql.push_str(rest);
    settled
}

const CUT: (&str, &str) = (
    "a filter cut a value that was already written as SQL",
    "use filters on the value itself, not on a block that holds it",
);
const QUOTED: (&str, &str) = (
    "a value stands inside quotes",
    "remove the quotes around `{{ … }}`: text is quoted for you; join pieces with `||` or `~`",
);
const QUOTED_NAME: (&str, &str) =
    ("a value stands inside a quoted name", "write `{{ … | ident }}` without quotes: it makes the whole name");
const GLUED: (&str, &str) = (
    "a value is glued to the text beside it",
    "put a space between; to build a text, use `||`, or `~` inside the braces",
);

fn misplaced((message, help): (&'static str, &'static str), settled: &Settled) -> Misplaced {
    Misplaced { message, help, offset: settled.origins.last().map(|(_, offset)| *offset) }
}

fn place_literal(literal: &str, behind: &str, lexer: &mut Lexer, settled: &mut Settled) -> Result<(), Misplaced> {
    match lexer.state {
        State::Plain => {}
        // A value in a comment could end the comment, and says nothing to anybody.
        State::LineComment | State::BlockComment(_) => return Ok(()),
        State::Quoted('\'') | State::Escaped | State::Dollar(_) => return Err(misplaced(QUOTED, settled)),
        State::Quoted(_) => return Err(misplaced(QUOTED_NAME, settled)),
    }
    let glues = |c: char| c.is_alphanumeric() || matches!(c, '_' | '\'' | '"' | '`' | '$' | '@' | '&' | '#' | '\\');
    if settled.sql.chars().next_back().is_some_and(glues) || visible(behind).is_some_and(glues) {
        return Err(misplaced(GLUED, settled));
    }
    if literal.starts_with('-') && settled.sql.ends_with('-') {
        settled.sql.push(' ');
    }
    lexer.feed(literal);
    if lexer.state != State::Plain {
        return Err(misplaced(CUT, settled));
    }
    settled.sql.push_str(literal);
    Ok(())
}

/// The next character that is SQL.
fn visible(mut text: &str) -> Option<char> {
    while let Some(behind) = text.strip_prefix(MARK) {
        text = behind.split_once(END_MARK)?.1;
    }
    text.chars().next()
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    #[default]
    Plain,
    /// In quotes of this kind, in which the same quote twice stands for one.
    Quoted(char),
    /// In `E'…'`, where a backslash takes the next character's meaning.
    Escaped,
    /// In `$tag$ … $tag$`.
    Dollar(String),
    LineComment,
    BlockComment(u32),
}

/// Knows whether SQL is inside quotes or comments.
#[derive(Debug, Default)]
struct Lexer {
    state: State,
    last: Option<char>,
    before_last: Option<char>,
}

impl Lexer {
    fn feed(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = self.step(c, rest);
            let (head, tail) = rest.split_at(taken);
            for c in head.chars() {
                self.before_last = self.last;
                self.last = Some(c);
            }
            rest = tail;
        }
    }

    /// Reads one token's worth of characters; gives how many bytes that were.
    fn step(&mut self, c: char, rest: &str) -> usize {
        let one = c.len_utf8();
        match &mut self.state {
            State::Plain => return self.plain(c, rest),
            State::Quoted(quote) => {
                if c == *quote {
                    self.state = State::Plain;
                }
            }
            State::Escaped => match c {
                '\\' => return one + rest[one..].chars().next().map_or(0, char::len_utf8),
                '\'' => self.state = State::Plain,
                _ => {}
            },
            State::Dollar(tag) => {
                if rest.starts_with(tag.as_str()) {
                    let length = tag.len();
                    self.state = State::Plain;
                    return length;
                }
            }
            State::LineComment => {
                if c == '\n' {
                    self.state = State::Plain;
                }
            }
            State::BlockComment(depth) => {
                if rest.starts_with("/*") {
                    *depth += 1;
                    return 2;
                }
                if rest.starts_with("*/") {
                    *depth -= 1;
                    if *depth == 0 {
                        self.state = State::Plain;
                    }
                    return 2;
                }
            }
        }
        one
    }

    fn plain(&mut self, c: char, rest: &str) -> usize {
        let one = c.len_utf8();
        match c {
            '\'' if self.escape_prefix() => self.state = State::Escaped,
            '\'' | '"' | '`' => self.state = State::Quoted(c),
            '-' if rest.starts_with("--") => self.state = State::LineComment,
            '/' if rest.starts_with("/*") => {
                self.state = State::BlockComment(1);
                return 2;
            }
            '$' => {
                let tag = dollar_tag(rest);
                if let Some(tag) = tag {
                    self.state = State::Dollar(tag.to_owned());
                    return tag.len();
                }
            }
            _ => {}
        }
        one
    }

    fn escape_prefix(&self) -> bool {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        matches!(self.last, Some('e' | 'E')) && !self.before_last.is_some_and(word)
    }
}

/// `$$` or `$tag$` at the start of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let word = text[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    word.then(|| &text[..end])
}
