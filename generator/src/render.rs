//! A resolved request as a definition in YAML, for people to read.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    answer::Options,
    catalog::{Catalog, TableId},
    checks::{Checked, Expect, On},
    ident::slug,
    query::task_name,
    request::Action,
    resolve::{Built, Draft},
};

/// The names that a definition uses.
struct Names {
    result: String,
    table: String,
    connection: String,
    pipeline: String,
}

/// One group of checks: one task.
struct CheckTask<'a> {
    name: String,
    on: On,
    action: Action,
    checks: Vec<&'a Checked>,
}

/// A definition being written.
pub(crate) struct Definition<'a> {
    catalog: &'a Catalog,
    draft: &'a Draft,
    built: &'a Built,
    checks: Vec<CheckTask<'a>>,
    names: Names,
    out: String,
}

impl<'a> Definition<'a> {
    /// The definition's text and its name.
    pub(crate) fn write(
        catalog: &'a Catalog,
        (draft, built, checks): (&'a Draft, &'a Built, &'a [Checked]),
        request: &str,
        options: &Options,
    ) -> (String, String) {
        let names = names(draft, built, catalog, options);
        let mut this = Self { catalog, draft, built, checks: Vec::new(), names, out: String::new() };
        this.checks = this.grouped(checks);
        this.head(request);
        this.line(0, "tasks:");
        this.extracts();
        this.check_tasks(true);
        this.sql();
        this.check_tasks(false);
        this.load();
        (this.names.pipeline, this.out)
    }

    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn head(&mut self, request: &str) {
        let pipeline = self.names.pipeline.clone();
        self.line(0, &format!("pipeline: {pipeline}"));
        self.line(0, &format!("description: {}", quoted(&request.split_whitespace().collect::<Vec<_>>().join(" "))));
        if !self.draft.schedules.is_empty() {
            self.line(0, "triggers:");
            for (cron, zone, _) in &self.draft.schedules {
                let _ = writeln!(self.out, "  - cron: {}", quoted(cron));
                let _ = writeln!(self.out, "    timezone: {}", zone.as_deref().unwrap_or("UTC"));
            }
        }
        let mut defaults = Vec::new();
        if let Some((retries, wait)) = self.draft.retries {
            defaults.push(format!("retries: {retries}"));
            defaults.extend(wait.map(|seconds| format!("backoff: {{initial: {seconds}s, max: {seconds}s}}")));
        }
        defaults.extend(self.draft.timeout.map(|seconds| format!("timeout: {seconds}s")));
        if !defaults.is_empty() {
            self.line(0, &format!("defaults: {{{}}}", defaults.join(", ")));
        }
    }

    fn extracts(&mut self) {
        let mut tables = self.built.query.scope.tables();
        for check in self.checks.iter().flat_map(|task| &task.checks) {
            if let Expect::Known { table, .. } = &check.expect {
                tables.push(*table);
            }
            if let On::Table(table) = check.on {
                tables.push(table);
            }
        }
        tables.sort_unstable();
        tables.dedup();
        for id in tables {
            let table = self.catalog.table(id);
            let text = format!(
                "{}: {{extract: {{connection: {}, table: {}}}}}",
                task_name(self.catalog, id),
                scalar(&table.connection),
                scalar(&table.name)
            );
            self.line(2, &text);
        }
    }

    /// One task per set of rows and action.
    fn grouped(&self, checks: &'a [Checked]) -> Vec<CheckTask<'a>> {
        let mut tasks: Vec<CheckTask<'a>> = Vec::new();
        for check in checks {
            match tasks.iter_mut().find(|t| t.on == check.on && t.action == check.action) {
                Some(task) => task.checks.push(check),
                None => {
                    let of = match check.on {
                        On::Result => self.names.result.clone(),
                        On::Table(table) => task_name(self.catalog, table),
                    };
                    let verb = match check.action {
                        Action::Fail => "checked",
                        Action::Warn => "watched",
                        Action::Quarantine => "clean",
                    };
                    tasks.push(CheckTask {
                        name: format!("{of}_{verb}"),
                        on: check.on,
                        action: check.action,
                        checks: vec![check],
                    });
                }
            }
        }
        tasks
    }

    fn check_tasks(&mut self, before: bool) {
        let wanted: Vec<usize> =
            (0..self.checks.len()).filter(|i| (self.checks[*i].on != On::Result) == before).collect();
        for i in wanted {
            let task = &self.checks[i];
            let input = match task.on {
                On::Result => self.names.result.clone(),
                On::Table(table) => task_name(self.catalog, table),
            };
            let mut lines = vec![
                (2, format!("{}:", task.name)),
                (4, "check:".to_owned()),
                (6, format!("input: {input}")),
                (6, "expect:".to_owned()),
            ];
            lines.extend(task.checks.iter().map(|check| (8, format!("- {}", self.expectation(check, &input)))));
            let action = match task.action {
                Action::Fail => "fail",
                Action::Warn => "warn",
                Action::Quarantine => "quarantine",
            };
            lines.push((6, format!("on_fail: {action}")));
            for (indent, text) in lines {
                self.line(indent, &text);
            }
        }
    }

    fn expectation(&self, check: &Checked, input: &str) -> String {
        match &check.expect {
            Expect::Plain(value) => flow_entry(value),
            Expect::Offending(sql) => {
                format!("sql: {}", quoted(&format!("SELECT * FROM {} WHERE {sql}", crate::ident::ident(input))))
            }
            Expect::Known { column, table, key } => {
                format!(
                    "references: {{column: {}, to: {}, to_column: {}}}",
                    scalar(column),
                    task_name(self.catalog, *table),
                    scalar(key)
                )
            }
        }
    }

    fn sql(&mut self) {
        let clean = |table: TableId| {
            let task = self.checks.iter().find(|t| t.on == On::Table(table) && t.action == Action::Quarantine);
            task.map(|t| t.name.clone())
        };
        let sql = self.built.query.sql(self.catalog, &clean);
        let result = self.names.result.clone();
        self.line(2, &format!("{result}:"));
        self.line(4, "sql: |");
        for line in sql.lines() {
            self.line(6, line);
        }
    }

    fn load(&mut self) {
        let clean =
            self.checks.iter().find(|t| t.on == On::Result && t.action == Action::Quarantine).map(|t| t.name.clone());
        let input = clean.unwrap_or_else(|| self.names.result.clone());
        let mode = if self.draft.append == Some(true) { "append" } else { "replace" };
        let needs: Vec<&str> = self
            .checks
            .iter()
            .filter(|t| t.on == On::Result || t.action != Action::Quarantine)
            .map(|t| t.name.as_str())
            .filter(|name| *name != input)
            .collect();
        let needs = if needs.is_empty() { None } else { Some(format!("needs: [{}]", needs.join(", "))) };
        let load = format!(
            "load: {{input: {input}, connection: {}, table: {}, mode: {mode}}}",
            scalar(&self.names.connection),
            scalar(&self.names.table)
        );
        self.line(2, "publish:");
        self.line(4, &load);
        if let Some(needs) = needs {
            self.line(4, &needs);
        }
    }
}

fn names(draft: &Draft, built: &Built, catalog: &Catalog, options: &Options) -> Names {
    let table = draft.target_table.clone().or_else(|| draft.called.clone()).unwrap_or_else(|| built.name.clone());
    let pipeline = slug(draft.called.as_deref().unwrap_or(&table));
    let taken = |name: &str| {
        name == "publish"
            || catalog
                .table_ids()
                .any(|t| task_name(catalog, t) == name || format!("{}_clean", task_name(catalog, t)) == name)
    };
    let mut result = slug(&table);
    while taken(&result) {
        result.push_str("_result");
    }
    let connection = draft.target_connection.clone().unwrap_or_else(|| options.default_target.clone());
    Names { result, table: slug(&table), connection, pipeline }
}

/// Text in double quotes; YAML reads JSON's escapes.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A name bare where YAML cannot take it for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", "none"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-');
    if plain && !WORDS.contains(&text.to_lowercase().as_str()) { text.to_owned() } else { quoted(text) }
}

/// `not_null: [a, b]`.
fn flow_entry(value: &Value) -> String {
    match value.as_object().and_then(|map| map.iter().next()) {
        Some((key, inner)) => format!("{key}: {}", flow(inner)),
        None => value.to_string(),
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            format!("{{{}}}", map.iter().map(|(k, v)| format!("{k}: {}", flow(v))).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => scalar(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
