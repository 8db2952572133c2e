//! The two minijinja environments, their budget, and their errors in our words.

use std::{io, sync::LazyLock};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Expression, Template, UndefinedBehavior, Value};

use super::{
    TemplateError,
    literal::{self, NoLiteral},
};
use crate::codes::tm03;

/// Instructions a template may take. Real ones take hundreds; a million is a fraction of a second.
const FUEL: u64 = 1_000_000;
/// Bytes a template may write.
const MAX_OUTPUT: usize = 5_000_000;
/// Bytes in a line of a template, and lines in it.
const MAX_LINE: usize = 60_000;
/// Calls of macros inside each other.
const MAX_CALLS: usize = 64;

pub(super) static SQL: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = strict();
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("sql".into()));
    environment.set_formatter(|out, _, value| {
        let text = literal::marked(value).map_err(no_literal)?;
        out.write_str(&text).map_err(Error::from)
    });
    // Those would pass text through unescaped, or escape it for another language.
    for filter in ["safe", "escape", "e", "tojson", "format"] {
        environment.remove_filter(filter);
    }
    environment.add_filter("ident", |value: &Value| literal::ident(value).map_err(no_literal));
    environment.add_filter("date", |text: &str| typed(text, 10));
    environment.add_filter("timestamp", |text: &str| typed(text, usize::MAX));
    environment
});

pub(super) static TEXT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = strict();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.add_filter("date", |text: &str| text.get(..10).unwrap_or(text).to_owned());
    environment.add_filter("timestamp", |text: &str| text.to_owned());
    environment
});

fn strict() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_CALLS);
    environment.set_debug(true);
    environment.remove_filter("pprint");
    environment.remove_global("debug");
    // Text that doubles itself in a loop needs no instructions to speak of, only memory.
    environment.remove_global("namespace");
    environment
}

fn no_literal(error: NoLiteral) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.message.clone()).with_source(error)
}

/// Text as a date (its first ten characters) or a point in time.
fn typed(text: &str, length: usize) -> Result<Value, Error> {
    let text = match (text.get(..length), text.len()) {
        (Some(day), _) => day.to_owned(),
        (None, 10) if length > 10 => format!("{text}T00:00:00Z"),
        (None, _) => text.to_owned(),
    };
    if literal::typed_moment(&text).is_some() {
        return Ok(Value::from_safe_string(text));
    }
    Err(no_literal(NoLiteral {
        message: format!("`{text}` is not a date or time"),
        help: "give ISO 8601 text, as `2024-05-31` or `2024-05-31T06:00:00Z`",
    }))
}

/// A template that the environment can read.
pub(super) fn compile<'e, 't>(environment: &'e Environment<'t>, template: &'t str) -> Result<Template<'e, 't>, Error> {
    measured(template)?;
    environment.template_from_str(template)
}

/// An expression that the environment can read.
pub(super) fn expression<'e, 't>(environment: &'e Environment<'t>, text: &'t str) -> Result<Expression<'e, 't>, Error> {
    measured(text)?;
    environment.compile_expression(text)
}

/// Minijinja counts lines and columns in sixteen bits, and stops the program where they are too few.
fn measured(template: &str) -> Result<(), Error> {
    let lines = template.split('\n');
    if lines.clone().any(|line| line.len() > MAX_LINE) || lines.count() > MAX_LINE {
        let message = format!("it has a line of more than {MAX_LINE} bytes, or as many lines; break it up");
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    Ok(())
}

/// Renders within the budget.
pub(super) fn render(environment: &Environment<'_>, template: &str, context: Value) -> Result<String, Error> {
    let mut out = Bounded(Vec::new());
    compile(environment, template)?.render_captured_to(context, &mut out)?;
    String::from_utf8(out.0).map_err(|error| Error::new(ErrorKind::WriteFailure, "not text").with_source(error))
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The environment's error in our words.
pub(super) fn explain(error: &Error) -> TemplateError {
    let detail = error.detail().unwrap_or_default().to_owned();
    let (code, message, help) = match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape | ErrorKind::InvalidDelimiter => {
            (tm03::TEMPLATE_SYNTAX, format!("the template is not understood: {detail}"), Some(SYNTAX_HELP.to_owned()))
        }
        ErrorKind::OutOfFuel => {
            let help = "a loop runs far too often; let SQL or Python do the counting";
            (tm03::TEMPLATE_ENDLESS, format!("the template takes more than {FUEL} steps"), Some(help.to_owned()))
        }
        ErrorKind::WriteFailure => {
            let help = "templates are for small texts; keep data in tables";
            (tm03::TEMPLATE_ENDLESS, format!("the template writes more than {MAX_OUTPUT} bytes"), Some(help.to_owned()))
        }
        ErrorKind::UndefinedError => {
            let help = "check the name's spelling, or give a fallback: `{{ name | default(0) }}`";
            (tm03::TEMPLATE_FAILED, "the template uses a value that is not there".to_owned(), Some(help.to_owned()))
        }
        ErrorKind::UnknownFunction => {
            (tm03::TEMPLATE_FAILED, format!("the template calls what is not there: {detail}"), None)
        }
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => {
            let help = "write its text here";
            (tm03::TEMPLATE_FAILED, "a template cannot take in another".to_owned(), Some(help.to_owned()))
        }
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => {
            let help = "filters are those of Jinja, and in SQL `ident`, `date` and `timestamp`; `safe` and `escape` are not among them";
            (tm03::TEMPLATE_FAILED, format!("the template fails: {detail}"), Some(help.to_owned()))
        }
        kind => match no_literal_in(error) {
            Some(no) => (tm03::NO_LITERAL, no.message.clone(), Some(no.help.to_owned())),
            None if detail.is_empty() => (tm03::TEMPLATE_FAILED, format!("the template fails: {kind}"), None),
            None => (tm03::TEMPLATE_FAILED, format!("the template fails: {detail}"), None),
        },
    };
    TemplateError { code, message, help, offset: error.range().map(|range| range.start) }
}

const SYNTAX_HELP: &str = "values are written `{{ params.x }}`, conditions `{% if params.x %} … {% endif %}`; a literal brace needs `{{ '{{' }}`";

fn no_literal_in(error: &Error) -> Option<&NoLiteral> {
    std::error::Error::source(error)?.downcast_ref()
}
