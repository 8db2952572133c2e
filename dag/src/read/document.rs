//! The document itself and everything in it but tasks.

use indexmap::IndexMap;

use super::{
    Draft,
    decode::{At, Decode, Fields, Problems, advise, decode_map, decode_words, wrong_type},
    task::{self, Read},
    tree::{Data, Node},
};
use crate::{
    codes::tm04,
    diagnostic::Diagnostic,
    spec::{Backoff, Concurrency, Defaults, OnOverlap, Param, ParamType, Pipeline, Task},
};

/// More tasks than this are refused: a run keeps a row for each.
const MAX_TASKS: usize = 100_000;

pub(super) fn decode(root: &Node) -> Draft {
    let mut draft = Draft::default();
    let mut tasks_node = None;
    let problems = &mut draft.problems;
    let Some(mut fields) = Fields::of(root, At::ROOT, problems) else {
        advise(problems, "a definition begins with `pipeline: a_name`, and has `tasks:`");
        return draft;
    };
    let name = fields.required("pipeline");
    let pipeline = Pipeline {
        pipeline: name.unwrap_or_default(),
        description: fields.optional("description"),
        owner: fields.optional("owner"),
        triggers: fields.or_default("triggers"),
        params: fields.with(params, "params"),
        vars: fields.or_default("vars"),
        concurrency: fields.or_default("concurrency"),
        defaults: fields.or_default("defaults"),
        timeout: fields.optional("timeout"),
        expect_within: fields.optional("expect_within"),
        outputs: fields.or_default("outputs"),
        on_success: fields.or_default("on_success"),
        on_failure: fields.or_default("on_failure"),
        tasks: IndexMap::new(),
    };
    if let Some(entry) = fields.find("tasks") {
        tasks_node = Some(&entry.value);
    }
    fields.done();
    let tasks = match tasks_node {
        Some(node) => tasks(node, &mut draft),
        None => {
            let message = "`tasks` is missing: there is nothing to do";
            let problem = Diagnostic::error(tm04::NO_TASKS, root.place, "", message)
                .help("add `tasks:` and under it one `name:` with a kind per task");
            draft.problems.push(problem);
            IndexMap::new()
        }
    };
    draft.pipeline = Some(Pipeline { tasks, ..pipeline });
    draft
}

fn tasks(node: &Node, draft: &mut Draft) -> IndexMap<String, Task> {
    let at = At::ROOT;
    let at = at.key("tasks");
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        Data::Null => &[],
        Data::List(_) | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Broken => {
            wrong_type::<()>(node, at, "a map from names to tasks", &mut draft.problems);
            advise(&mut draft.problems, "write each task as `name:` with its settings indented below, without `-`");
            return IndexMap::new();
        }
    };
    if entries.is_empty() {
        let problem = Diagnostic::error(tm04::NO_TASKS, node.place, at.to_string(), "there are no tasks")
            .help("add at least one: a name, and below it a kind such as `extract`, `sql` or `load`");
        draft.problems.push(problem);
    }
    if entries.len() > MAX_TASKS {
        let message = format!("{} tasks; at most {MAX_TASKS} are read", entries.len());
        draft.problems.push(
            Diagnostic::error(tm04::TOO_MANY_TASKS, node.place, at.to_string(), message)
                .help("split the definition into several pipelines"),
        );
        return IndexMap::new();
    }
    let mut tasks = IndexMap::with_capacity(entries.len());
    for entry in entries {
        match task::decode(entry, at.key(&entry.key), &mut draft.problems) {
            Read::Sound(task) => {
                tasks.insert(entry.key.clone(), *task);
            }
            Read::Broken => {
                draft.broken.insert(entry.key.clone());
            }
        }
    }
    tasks
}

/// A parameter that cannot be read is kept as text: it was noted, and templates may name it.
fn params(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<IndexMap<String, Param>> {
    let Data::Map(entries) = &node.data else {
        return IndexMap::decode(node, at, problems);
    };
    let read = entries.iter().map(|entry| {
        let param = Param::decode(&entry.value, at.key(&entry.key), problems);
        let unread = Param { kind: ParamType::String, default: None, description: None };
        (entry.key.clone(), param.unwrap_or(unread))
    });
    Some(read.collect())
}

decode_map! { Param {
    kind: required("type"),
    default: optional("default"),
    description: optional("description"),
} }

decode_map! { Defaults {
    retries: optional("retries"),
    backoff: optional("backoff"),
    timeout: optional("timeout"),
} }

decode_map! { Concurrency {
    max_runs: or("max_runs", Concurrency::default().max_runs),
    max_tasks: optional("max_tasks"),
    on_overlap: or("on_overlap", Concurrency::default().on_overlap),
} }

decode_map! { Backoff {
    initial: or("initial", Backoff::default().initial),
    max: or("max", Backoff::default().max),
    factor: or("factor", Backoff::default().factor),
} }

decode_words! { OnOverlap {
    "queue" => Queue, "skip" => Skip, "cancel_running" => CancelRunning, "allow" => Allow,
} }

decode_words! { ParamType {
    "string" => String, "integer" => Integer, "number" => Number,
    "boolean" => Boolean, "date" => Date, "timestamp" => Timestamp,
} }
