//! What each task reads and waits for: from its SQL, its inputs, its templates and its `needs`.

mod others;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;

use crate::{
    codes::{tm02, tm03},
    compile::Known,
    graph::Why,
    report::Report,
    spec::{Check, Command, Expectation, OnFail, Pipeline, Returns, Task, TaskKind},
    sql::{self, Mention},
    suggest,
    template::{
        TemplateError,
        names::{self, Scope, Used},
        probe,
    },
};

/// Errors about the names in one query; more say nothing new.
const MAX_ERRORS: usize = 50;

/// Something a task takes rows from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Another task, by its place in the definition.
    Task(usize),
    /// A table of a connection.
    Table { connection: String, table: String, written: String },
}

/// What one task reads and waits for.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Where rows come from, each once, in the order of mention.
    pub(crate) reads: Vec<Source>,
    /// What it waits for, each once with the first reason.
    pub(crate) edges: BTreeMap<usize, Why>,
}

/// Finds the links of all tasks.
pub(crate) struct Linker<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) broken: &'a BTreeSet<String>,
    pub(crate) known: &'a Known,
    pub(crate) report: &'a mut Report,
    pub(crate) stand_ins: Value,
    /// Whether what is looked at may name `item` and `index`.
    pub(crate) items: bool,
}

/// The task that is looked at.
#[derive(Clone, Copy)]
struct Here<'a> {
    index: usize,
    path: &'a str,
}

impl Linker<'_> {
    pub(crate) fn all(&mut self) -> Vec<Links> {
        let pipeline = self.pipeline;
        pipeline.tasks.iter().enumerate().map(|(index, (name, task))| self.task(index, name, task)).collect()
    }

    fn task(&mut self, index: usize, name: &str, task: &Task) -> Links {
        let mut links = Links::default();
        let path = format!("tasks.{name}");
        let here = Here { index, path: &path };
        if let Some(for_each) = &task.for_each {
            self.for_each(&format!("{path}.for_each"), for_each, &mut links);
        }
        self.items = task.for_each.is_some();
        self.kind(here, &task.kind, &mut links);
        if let Some(when) = &task.when {
            self.condition(&format!("{path}.when"), when, &mut links);
        }
        self.items = false;
        for (position, need) in task.needs.iter().enumerate() {
            if let Some(need) = self.known_task(need, &format!("{path}.needs[{position}]")) {
                links.edges.entry(need).or_insert(Why::Needs);
            }
        }
        links
    }

    fn kind(&mut self, here: Here<'_>, kind: &TaskKind, links: &mut Links) {
        let at = |rest: &str| format!("{}.{}{rest}", here.path, kind.name());
        match kind {
            TaskKind::Extract(extract) => {
                links.reads.push(Source::Table {
                    connection: extract.connection.clone(),
                    table: extract.table.clone(),
                    written: written(&extract.connection, &extract.table),
                });
            }
            TaskKind::Sql(sql) => {
                let path = if matches!(sql, crate::spec::Sql::Text(_)) { at("") } else { at(".query") };
                self.query(here, &path, sql.query(), links);
            }
            TaskKind::Load(load) => self.input(&load.input, &at(".input"), links),
            TaskKind::Check(check) => self.check(here, &at(""), check, links),
            TaskKind::Python(python) => {
                for (argument, input) in &python.inputs {
                    self.input(input, &at(&format!(".inputs.{argument}")), links);
                }
                for (argument, value) in &python.args {
                    self.value(&at(&format!(".args.{argument}")), value, links);
                }
                for (name, value) in &python.env {
                    self.text(&at(&format!(".env.{name}")), value, links);
                }
            }
            TaskKind::Shell(shell) => {
                if let Command::List(words) = &shell.command {
                    for (position, word) in words.iter().enumerate() {
                        self.text(&at(&format!(".command[{position}]")), word, links);
                    }
                }
                for (name, value) in &shell.env {
                    self.text(&at(&format!(".env.{name}")), value, links);
                }
            }
            TaskKind::Http(http) => {
                self.text(&at(".url"), &http.url, links);
                for (name, value) in &http.headers {
                    self.text(&at(&format!(".headers.{name}")), value, links);
                }
                if let Some(json) = &http.json {
                    self.value(&at(".json"), json, links);
                }
            }
            TaskKind::Wait(wait) => self.wait(here, &at(""), wait, links),
            TaskKind::Run(run) => {
                for (name, value) in &run.params {
                    self.value(&at(&format!(".params.{name}")), value, links);
                }
            }
            TaskKind::Notify(notify) => self.notify(&at(""), notify, links),
            TaskKind::Approval(approval) => self.approval(&at(""), approval, links),
            TaskKind::Llm(_) => {}
        }
    }

    fn check(&mut self, here: Here<'_>, path: &str, check: &Check, links: &mut Links) {
        self.input(&check.input, &format!("{path}.input"), links);
        for (position, expectation) in check.expect.iter().enumerate() {
            let path = format!("{path}.expect[{position}].{}", expectation.name());
            match expectation {
                Expectation::References(references) => self.input(&references.to, &format!("{path}.to"), links),
                Expectation::Sql(query) => self.query(here, &path, query, links),
                Expectation::NotNull(_)
                | Expectation::Unique(_)
                | Expectation::Between(_)
                | Expectation::AcceptedValues(_)
                | Expectation::Regex(_)
                | Expectation::RowCount(_)
                | Expectation::Freshness(_) => {}
            }
        }
    }

    /// A task by its name.
    fn known_task(&mut self, name: &str, path: &str) -> Option<usize> {
        if let Some(index) = self.pipeline.tasks.get_index_of(name) {
            return Some(index);
        }
        if !self.broken.contains(name) {
            let help = match name.split_once('.') {
                Some((connection, table)) if self.known.connections.contains_key(connection) => format!(
                    "`{connection}` is a connection: read its table `{table}` with an `extract` task, and name that task here"
                ),
                Some(_) | None if self.report.crowded() => "correct the first errors first".to_owned(),
                Some(_) | None => suggest::help(name, self.task_names(), "tasks"),
            };
            self.report.error(tm02::UNKNOWN_TASK, path, format!("there is no task `{name}`")).advise(help);
        }
        None
    }

    fn task_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.pipeline.tasks.keys().chain(self.broken).map(String::as_str)
    }

    /// A task whose rows are taken.
    fn input(&mut self, name: &str, path: &str, links: &mut Links) {
        let Some(index) = self.known_task(name, path) else { return };
        links.edges.entry(index).or_insert(Why::Input);
        if let Some((message, help)) = self.no_rows(index) {
            self.report.error(tm02::NO_ROWS, path, message).advise(help);
        } else {
            add(&mut links.reads, Source::Task(index));
        }
    }

    /// Why a task has no rows to take.
    fn no_rows(&self, index: usize) -> Option<(String, String)> {
        let (name, task) = self.pipeline.tasks.get_index(index)?;
        let message = format!("`{name}` is a `{}` task and gives no rows", task.kind.name());
        match &task.kind {
            TaskKind::Extract(_) | TaskKind::Sql(_) | TaskKind::Check(_) => None,
            // Not built yet, which is reported; what they will give is not known here.
            TaskKind::Llm(_) => None,
            TaskKind::Python(python) if python.returns == Returns::Rows => None,
            TaskKind::Python(_) => {
                Some((format!("`{name}` returns a value, not rows"), format!("let `{name}` say `returns: rows`")))
            }
            TaskKind::Load(load) => {
                Some((message, format!("read `{}`, whose rows it stores, and put `{name}` under `needs`", load.input)))
            }
            TaskKind::Shell(_)
            | TaskKind::Http(_)
            | TaskKind::Wait(_)
            | TaskKind::Approval(_)
            | TaskKind::Run(_)
            | TaskKind::Notify(_) => Some((message, format!("to wait for it, put `{name}` under `needs`"))),
        }
    }

    /// SQL: names of its templates, then relations of everything it can become.
    fn query(&mut self, here: Here<'_>, path: &str, text: &str, links: &mut Links) {
        if let Some(offset) = crate::secret::find(text) {
            self.report
                .error_within(
                    tm03::SECRET_IN_SQL,
                    path,
                    text,
                    offset,
                    "a secret must not stand in SQL: SQL is logged and shown",
                )
                .advise("connections carry their own secrets; name the connection's table instead");
            return;
        }
        let used = names::of_template(text, &self.scope());
        let sound = used.errors.is_empty();
        let readable = used.errors.iter().all(|error| error.code == tm03::UNKNOWN_VARIABLE);
        self.used(path, text, used, links);
        if !readable {
            return;
        }
        let mut probed = probe::sql(text, &self.stand_ins);
        if !sound {
            // Unknown names bring errors of their own; what else is wrong is still worth saying.
            probed.errors.retain(|error| error.code == tm03::QUOTED_VALUE);
            probed.unproved = None;
        }
        self.template_errors(path, text, probed.errors, probed.unproved);
        let mut seen = BTreeSet::new();
        let enough = self.report.findings.len() + MAX_ERRORS;
        for probe in &probed.probes {
            match sql::mentions(&probe.sql) {
                Ok(mentions) => {
                    for mention in mentions {
                        if self.report.findings.len() < enough && seen.insert(mention.parts.clone()) {
                            let origins: Vec<usize> =
                                mention.offsets.iter().map(|offset| probe.origin(*offset)).collect();
                            self.relation(here, path, (text, &origins), &mention, links);
                        }
                    }
                }
                Err(error) => {
                    let offset = probe.origin(error.offset);
                    self.report.error_within(error.code, path, text, offset, error.message).advise(error.help);
                    return;
                }
            }
        }
    }

    fn relation(
        &mut self,
        here: Here<'_>,
        path: &str,
        (text, origins): (&str, &[usize]),
        mention: &Mention,
        links: &mut Links,
    ) {
        if let Some(offset) = origins.iter().copied().find(|origin| text[*origin..].starts_with("{{")) {
            self.report
                .error_within(tm03::NO_TEMPLATE_HERE, path, text, offset, "the name of a table cannot come from a template")
                .advise("write the name itself, or put it into `{% if … %}` branches: what is read must be known before the run");
            return;
        }
        let offset = origins.first().copied().unwrap_or(0);
        match mention.parts.as_slice() {
            [name] => {
                if let Some(index) = self.pipeline.tasks.get_index_of(name) {
                    links.edges.entry(index).or_insert(Why::Sql);
                    match self.no_rows(index) {
                        Some((message, help)) => {
                            self.report.error_within(tm02::NO_ROWS, path, text, offset, message).advise(help);
                        }
                        None => add(&mut links.reads, Source::Task(index)),
                    }
                } else if !self.broken.contains(name) {
                    let help = self.help_for_name(here, name);
                    let message = format!("`{name}` is neither a task nor a table of a connection");
                    self.report.error_within(tm02::UNKNOWN_RELATION, path, text, offset, message).advise(help);
                }
            }
            [connection, table @ ..] => {
                let table = table.join(".");
                match self.table_problem(connection, &table) {
                    Some((code, message, help)) => {
                        self.report.error_within(code, path, text, offset, message).advise(help);
                    }
                    None => {
                        let written: Vec<String> = mention.parts.iter().map(|part| sql::written(part)).collect();
                        let written = written.join(".");
                        add(&mut links.reads, Source::Table { connection: connection.clone(), table, written });
                    }
                }
            }
            [] => {}
        }
    }

    /// What somebody may have meant by a single name.
    fn help_for_name(&self, here: Here<'_>, name: &str) -> String {
        if self.report.crowded() {
            return "a table is written `connection.table`".to_owned();
        }
        let homes = self.known.connections.iter().filter_map(|(connection, facts)| {
            let table = facts.tables.as_ref()?.iter().find(|table| table.eq_ignore_ascii_case(name))?;
            Some(format!("`{}`", written(connection, table)))
        });
        let homes: Vec<String> = homes.collect();
        if !homes.is_empty() {
            return format!("write the table with its connection: {}", homes.join(" or "));
        }
        if let Some(near) = suggest::nearest(name, self.task_names()) {
            return format!("did you mean `{near}`?");
        }
        let own = self.pipeline.tasks.get_index(here.index).map(|(name, _)| name.as_str());
        let tasks = suggest::listed(self.task_names().filter(|task| Some(*task) != own));
        match tasks {
            Some(tasks) => format!("other tasks: {tasks}; a table is written `connection.table`"),
            None => "a table is written `connection.table`".to_owned(),
        }
    }

    /// What is wrong with a connection's table.
    pub(crate) fn table_problem(&self, connection: &str, table: &str) -> Option<(&'static str, String, String)> {
        let Some(facts) = self.known.connections.get(connection) else {
            return Some((
                tm02::UNKNOWN_CONNECTION,
                format!("there is no connection `{connection}`"),
                unknown_connection_help(connection, self.known),
            ));
        };
        let tables = facts.tables.as_ref()?;
        if tables.iter().any(|known| known == table) {
            return None;
        }
        let exact = tables.iter().find(|known| known.eq_ignore_ascii_case(table));
        let help = match exact {
            Some(exact) => {
                format!("in SQL, a name with capital letters needs quotes: `{}`", written(connection, exact))
            }
            None => suggest::help(table, tables.iter().map(String::as_str), &format!("tables of `{connection}`")),
        };
        Some((tm02::UNKNOWN_TABLE, format!("the connection `{connection}` has no table `{table}`"), help))
    }

    fn scope(&self) -> Scope<'_> {
        Scope { pipeline: self.pipeline, broken: self.broken, items: self.items, crowded: self.report.crowded() }
    }

    fn used(&mut self, path: &str, text: &str, used: Used, links: &mut Links) {
        for error in used.errors {
            self.report.template(path, text, error);
        }
        for task in used.tasks {
            if let Some(index) = self.pipeline.tasks.get_index_of(&task) {
                links.edges.entry(index).or_insert(Why::Template);
            }
        }
    }

    fn text(&mut self, path: &str, text: &str, links: &mut Links) {
        let used = names::of_template(text, &self.scope());
        self.prove_text(path, text, used, links);
    }

    fn condition(&mut self, path: &str, text: &str, links: &mut Links) {
        let used = names::of_condition(text, &self.scope());
        self.prove_text(path, text, used, links);
    }

    fn prove_text(&mut self, path: &str, text: &str, used: Used, links: &mut Links) {
        let sound = used.errors.is_empty();
        self.used(path, text, used, links);
        if sound {
            let probed = probe::text(text, &self.stand_ins);
            self.template_errors(path, text, probed.errors, probed.unproved);
        }
    }

    fn value(&mut self, path: &str, value: &serde_json::Value, links: &mut Links) {
        match value {
            serde_json::Value::String(text) => self.text(path, text, links),
            serde_json::Value::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{position}]"), item, links);
                }
            }
            serde_json::Value::Object(map) => {
                for (key, item) in map {
                    self.value(&format!("{path}.{key}"), item, links);
                }
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }

    fn template_errors(&mut self, path: &str, text: &str, errors: Vec<TemplateError>, unproved: Option<TemplateError>) {
        let failed = !errors.is_empty();
        for error in errors {
            self.report.template(path, text, error);
        }
        if let Some(mut error) = unproved.filter(|_| !failed) {
            error.code = tm03::UNPROVED_TEMPLATE;
            error.message = format!("only the run can show whether this works: {}", error.message);
            error.help =
                Some("names that only appear in the run are not checked; list tasks it reads under `needs`".to_owned());
            self.report.template(path, text, error).only_warn();
        }
    }
}

/// Advice about a connection that is not there.
pub(crate) fn unknown_connection_help(name: &str, known: &Known) -> String {
    if known.connections.is_empty() {
        return "the project has no connections; add one under `connections:` in tidemill.yaml".to_owned();
    }
    suggest::help(name, known.connections.keys().map(String::as_str), "connections")
}

fn add(reads: &mut Vec<Source>, source: Source) {
    if !reads.contains(&source) {
        reads.push(source);
    }
}

/// `connection.table` as SQL finds it. Dots in the table part the schema from the name, unless there are too many.
fn written(connection: &str, table: &str) -> String {
    let table = match table.split('.').collect::<Vec<_>>().as_slice() {
        [schema, name] if !schema.is_empty() && !name.is_empty() => {
            format!("{}.{}", sql::written(schema), sql::written(name))
        }
        _ => sql::written(table),
    };
    format!("{}.{table}", sql::written(connection))
}

/// The task whose data set a reader of `index` really gets: checks that set nothing aside let theirs through.
pub(crate) fn behind_checks(pipeline: &Pipeline, index: usize) -> usize {
    let mut index = index;
    // Each step goes to another task; in a cycle, which is reported elsewhere, the number of tasks ends it.
    for _ in 0..pipeline.tasks.len() {
        match pipeline.tasks.get_index(index).map(|(_, task)| &task.kind) {
            Some(TaskKind::Check(check)) if check.on_fail != OnFail::Quarantine => {
                match pipeline.tasks.get_index_of(&check.input) {
                    Some(input) => index = input,
                    None => break,
                }
            }
            Some(_) | None => break,
        }
    }
    index
}
