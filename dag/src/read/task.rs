//! What all tasks share, and which kind a task is.

use serde_json::Value;

use super::{
    decode::{At, Decode, Fields, Problems, advise, decode_map, decode_words, wrong_type},
    tree::{Data, Entry, Node},
};
use crate::{
    codes::tm01,
    diagnostic::Diagnostic,
    spec::{ForEach, Materialize, Priority, RowsOf, RunIf, Task, TaskKind},
    suggest,
};

/// The words that name a kind.
pub(crate) const KINDS: [&str; 12] =
    ["extract", "sql", "load", "check", "llm", "python", "shell", "http", "wait", "approval", "run", "notify"];

/// Those that can run.
pub(crate) const BUILT: [&str; 11] =
    ["extract", "sql", "load", "check", "python", "shell", "http", "wait", "approval", "run", "notify"];

/// What came of a task.
pub(super) enum Read {
    Sound(Box<Task>),
    Broken,
}

pub(super) fn decode(entry: &Entry, at: At<'_>, problems: &mut Problems) -> Read {
    task(entry, at, problems).map_or(Read::Broken, |task| Read::Sound(Box::new(task)))
}

fn task(entry: &Entry, at: At<'_>, problems: &mut Problems) -> Option<Task> {
    let Data::Map(entries) = &entry.value.data else {
        wrong_type::<()>(&entry.value, at, "a task", problems);
        if !matches!(entry.value.data, Data::Broken) {
            advise(problems, format!("indent what `{}` does below it, as in `sql: SELECT …`", entry.key));
        }
        return None;
    };
    let kind = one_kind(entry, entries, at, problems);
    let mut fields = Fields::of(&entry.value, at, problems)?;
    let description = fields.optional("description");
    let needs = fields.or_default("needs");
    let when = fields.optional::<Condition>("when").map(|condition| condition.0);
    let run_if = fields.or_default("run_if");
    let for_each = fields.optional("for_each");
    let max_parallel = fields.optional("max_parallel");
    let retries = fields.optional("retries");
    let backoff = fields.optional("backoff");
    let timeout = fields.optional("timeout");
    let pool = fields.optional("pool");
    let pool_slots = fields.optional("pool_slots");
    let priority = fields.or_default("priority");
    let queue = fields.optional("queue");
    let materialize = fields.optional("materialize");
    let kind = match kind {
        Kind::One(word) => body(word, &mut fields),
        Kind::Several | Kind::None => {
            KINDS.iter().for_each(|word| fields.ask(word));
            None
        }
        // An unknown word in the place of a kind was reported as such; nothing else is known about its keys.
        Kind::Unknown => return None,
    };
    fields.done();
    Some(Task {
        kind: kind?,
        description,
        needs,
        when,
        run_if,
        for_each,
        max_parallel,
        retries,
        backoff,
        timeout,
        pool,
        pool_slots,
        priority,
        queue,
        materialize,
    })
}

enum Kind {
    One(&'static str),
    Several,
    None,
    Unknown,
}

const COMMON: [&str; 14] = [
    "description",
    "needs",
    "when",
    "run_if",
    "for_each",
    "max_parallel",
    "retries",
    "backoff",
    "timeout",
    "pool",
    "pool_slots",
    "priority",
    "queue",
    "materialize",
];

fn one_kind(entry: &Entry, entries: &[Entry], at: At<'_>, problems: &mut Problems) -> Kind {
    let mut found = entries.iter().filter_map(|e| KINDS.into_iter().find(|word| *word == e.key).map(|word| (word, e)));
    match (found.next(), found.next()) {
        (Some((word, _)), None) => Kind::One(word),
        (Some((first, _)), Some((second, where_))) => {
            let message = format!("a task does one thing, and this one has `{first}` and `{second}`");
            let help = format!("make two tasks of it; the second can read the first by its name, `{}`", entry.key);
            problems.push(Diagnostic::error(tm01::SEVERAL_KINDS, where_.place, at.to_string(), message).help(help));
            Kind::Several
        }
        (None, _) => no_kind(entry, entries, at, problems),
    }
}

/// No kind at all, or a mistyped one.
fn no_kind(entry: &Entry, entries: &[Entry], at: At<'_>, problems: &mut Problems) -> Kind {
    let strangers = entries.iter().filter(|e| !COMMON.contains(&e.key.as_str()));
    let mistyped = strangers.clone().find_map(|e| {
        suggest::nearest(&e.key, KINDS).filter(|_| suggest::nearest(&e.key, COMMON).is_none()).map(|near| (e, near))
    });
    if let Some((stranger, near)) = mistyped {
        let message = format!("`{}` is not a kind of task", stranger.key);
        problems.push(
            Diagnostic::error(tm01::UNKNOWN_KEY, stranger.place, at.key(&stranger.key).to_string(), message)
                .help(format!("did you mean `{near}`?")),
        );
        return Kind::Unknown;
    }
    let message = format!("`{}` says nothing to do", entry.key);
    let help = format!("give it one kind: {}", suggest::listed(BUILT).unwrap_or_default());
    problems.push(Diagnostic::error(tm01::NO_KIND, entry.place, at.to_string(), message).help(help));
    Kind::None
}

fn body(word: &'static str, fields: &mut Fields<'_, '_>) -> Option<TaskKind> {
    let kind = match word {
        "extract" => TaskKind::Extract(fields.required(word)?),
        "sql" => TaskKind::Sql(fields.required(word)?),
        "load" => TaskKind::Load(fields.required(word)?),
        "check" => TaskKind::Check(fields.required(word)?),
        "python" => TaskKind::Python(fields.required(word)?),
        "shell" => TaskKind::Shell(fields.required(word)?),
        "http" => TaskKind::Http(fields.required(word)?),
        "wait" => TaskKind::Wait(fields.required(word)?),
        "llm" => TaskKind::Llm(fields.required(word)?),
        "approval" => TaskKind::Approval(fields.required(word)?),
        "run" => TaskKind::Run(fields.required(word)?),
        "notify" => TaskKind::Notify(fields.required(word)?),
        _ => return None,
    };
    Some(kind)
}

/// A condition is text; a bare `true` or `false` is one too.
struct Condition(String);

impl Decode for Condition {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match node.to_json() {
            Value::Bool(value) => Some(Self(value.to_string())),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                String::decode(node, at, problems).map(Self)
            }
        }
    }
}

impl Decode for ForEach {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::List(_) => Vec::decode(node, at, problems).map(Self::List),
            Data::Text(_) => String::decode(node, at, problems).map(Self::Template),
            Data::Map(_) => RowsOf::decode(node, at, problems).map(Self::Rows),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Broken => {
                wrong_type(node, at, "a list, a template that gives one, or `rows:` with a task", problems)
            }
        }
    }
}

decode_map! { RowsOf { rows: required("rows") } }

decode_words! { RunIf {
    "all_succeeded" => AllSucceeded, "all_done" => AllDone, "any_failed" => AnyFailed,
    "any_succeeded" => AnySucceeded, "none_failed" => NoneFailed,
} }

decode_words! { Priority { "high" => High, "normal" => Normal, "low" => Low } }

decode_words! { Materialize { "view" => View, "dataset" => Dataset } }
