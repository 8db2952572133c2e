//! One task after the other, each with the columns that those before it give.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use tidemill_connectors::{Connection, Connections, TableInfo};
use tidemill_dag::{
    codes::tm05,
    compile::Compiled,
    diagnostic::{Diagnostic, Place, Severity},
    plan::{PlannedTask, Relation},
    spec::{Check, Expectation, Extract, ForEach, Load, Returns, Sql, TaskKind},
    template::{self, Context},
};

use super::{
    ProvedTask, load, place,
    tables::{self, Tables},
};
use crate::{
    Analysis, ColumnLineage, Direct, Engine, EngineError, Influence, Session, Source, Use,
    check::{Rule, find_column, tested},
    dataset::storable,
    session::Typed,
};

/// What is known of a relation's columns.
#[derive(Debug, Clone)]
pub(super) enum Columns {
    Known(SchemaRef),
    /// Only the run will tell.
    Later,
    /// Something is wrong with it, and was reported.
    Broken,
}

impl Columns {
    fn known(&self) -> Option<&SchemaRef> {
        match self {
            Self::Known(schema) => Some(schema),
            Self::Later | Self::Broken => None,
        }
    }
}

/// What all tasks of a definition share while they are proved.
#[derive(Clone)]
pub(super) struct Shared {
    pub engine: Engine,
    pub compiled: Arc<Compiled>,
    pub connections: Connections,
    pub sample: Context,
    pub tables: Tables,
    /// The columns of every task so far, views too.
    pub columns: BTreeMap<String, Columns>,
}

/// What was found out about one task.
#[derive(Default)]
pub(super) struct Found {
    /// Its own columns and those of its views.
    pub columns: BTreeMap<String, Columns>,
    pub tasks: BTreeMap<String, ProvedTask>,
    pub warnings: Vec<Diagnostic>,
    pub errors: Vec<Diagnostic>,
}

struct Prover<'a> {
    shared: &'a Shared,
    /// What templates see, where that is more than the sample: the first item of a list that stands in the definition.
    item: Option<Context>,
    /// Whether the items of its list are only known when it runs.
    items_unknown: bool,
    found: Found,
}

/// Proves one task whose upstreams are proved, in a session that is emptied first.
pub(super) async fn prove(shared: &Shared, session: &mut Session, planned: &PlannedTask) -> Found {
    let item = first_item(shared, planned);
    let items_unknown = planned.task.for_each.is_some() && item.is_none();
    let mut prover = Prover { shared, item, items_unknown, found: Found::default() };
    prover.task(session, planned).await;
    prover.found
}

/// What templates see for the first item of a list that stands in the definition.
fn first_item(shared: &Shared, planned: &PlannedTask) -> Option<Context> {
    let Some(ForEach::List(items)) = &planned.task.for_each else { return None };
    let item = template::render_value(items.first()?, &shared.sample).ok()?;
    Some(Context { item: Some((0, item)), ..shared.sample.clone() })
}

/// A task's session, and what it lacks.
struct Room<'s> {
    session: &'s mut Session,
    /// Relations without known columns, as they are written in SQL.
    missing: BTreeMap<String, Columns>,
}

impl Room<'_> {
    fn columns(&self, name: &str) -> Columns {
        match (self.session.relations().get(name), self.missing.get(name)) {
            (Some(schema), _) => Columns::Known(SchemaRef::clone(schema)),
            (None, Some(missing)) => missing.clone(),
            (None, None) => Columns::Broken,
        }
    }

    fn add(&mut self, name: &str, columns: Columns) {
        if let Columns::Known(schema) = &columns
            && self.session.add_empty(name, SchemaRef::clone(schema)).is_ok()
        {
            return;
        }
        self.missing.insert(name.to_owned(), columns);
    }
}

impl Prover<'_> {
    async fn task(&mut self, session: &mut Session, planned: &PlannedTask) {
        let mut room = self.room(session, planned);
        for view in &planned.views {
            let columns = match &view.kind {
                TaskKind::Extract(extract) => self.extract(&view.name, extract, &mut room).await,
                TaskKind::Sql(sql) => self.view(&view.name, sql, &mut room).await,
                _ => Columns::Broken,
            };
            self.found.columns.insert(view.name.clone(), columns);
        }
        let columns = match &planned.task.kind {
            TaskKind::Extract(extract) => {
                let columns = self.extract(&planned.name, extract, &mut room).await;
                self.must_be_storable(&planned.name, "extract", columns)
            }
            TaskKind::Sql(sql) => {
                let columns = self.sql(&planned.name, sql, &room).await;
                self.must_be_storable(&planned.name, "sql", columns)
            }
            TaskKind::Check(check) => self.check(&planned.name, check, &room).await,
            TaskKind::Load(load) => {
                self.load(&planned.name, load, &room).await;
                Columns::Broken
            }
            TaskKind::Python(python) if python.returns == Returns::Rows => {
                let path = format!("tasks.{}.python", planned.name);
                let message = "its columns are known only when it has run, so what reads it is not proved".to_owned();
                self.warn(&path, message);
                Columns::Later
            }
            TaskKind::Wait(wait) => {
                if let Some(query) = &wait.sql {
                    self.condition(&format!("tasks.{}.wait.sql", planned.name), query, &room).await;
                }
                Columns::Broken
            }
            TaskKind::Llm(_)
            | TaskKind::Python(_)
            | TaskKind::Shell(_)
            | TaskKind::Http(_)
            | TaskKind::Approval(_)
            | TaskKind::Run(_)
            | TaskKind::Notify(_) => Columns::Broken,
        };
        if matches!(columns, Columns::Later) {
            self.found.tasks.entry(planned.name.clone()).or_default();
        }
        self.found.columns.insert(planned.name.clone(), columns);
    }

    /// A session with what the task reads, except its own views.
    fn room<'s>(&mut self, session: &'s mut Session, planned: &PlannedTask) -> Room<'s> {
        let shared = self.shared;
        session.clear();
        let mut room = Room { session, missing: BTreeMap::new() };
        for relation in &planned.reads {
            match relation {
                Relation::Task { name, ordinal } => {
                    let from = shared.compiled.plan.get(*ordinal).and_then(|task| shared.columns.get(&task.name));
                    room.add(name, from.cloned().unwrap_or(Columns::Broken));
                }
                Relation::View { .. } => {}
                Relation::Table { connection, table, written } => {
                    let Some((connection, info)) = self.described(connection, table) else {
                        room.missing.insert(written.clone(), Columns::Broken);
                        continue;
                    };
                    if let Err(error) = room.session.add_described(written, connection, &info, &[]) {
                        let path = tables::mentioned(planned);
                        self.report(&path, shared.compiled.places.of(&path), &error);
                        room.missing.insert(written.clone(), Columns::Broken);
                    }
                }
            }
        }
        room
    }

    /// A table's columns; what is wrong with it was reported when it was looked up.
    fn described(&self, connection: &str, table: &str) -> Option<(Arc<dyn Connection>, TableInfo)> {
        let found = Arc::clone(self.shared.connections.get(connection)?);
        self.shared.tables.get(connection, table).map(|info| (found, info.clone()))
    }

    async fn extract(&mut self, name: &str, extract: &Extract, room: &mut Room<'_>) -> Columns {
        let path = format!("tasks.{name}.extract");
        let Some((connection, info)) = self.described(&extract.connection, &extract.table) else {
            return self.lost(name, room, Columns::Broken);
        };
        let mut complete = true;
        for (index, column) in extract.columns.iter().enumerate() {
            if info.schema.field_with_name(column).is_err()
                && let Err(error) =
                    find_column(&info.schema, column).map(|_| ()).and_then(|()| not_exact(&info, column))
            {
                let at = format!("{path}.columns[{index}]");
                self.report(&at, self.shared.compiled.places.of(&at), &error);
                complete = false;
            }
        }
        if !complete {
            return self.lost(name, room, Columns::Broken);
        }
        match room.session.add_described(name, connection, &info, &extract.columns) {
            Err(error) => {
                self.report(&path, self.shared.compiled.places.of(&path), &error);
                self.lost(name, room, Columns::Broken)
            }
            Ok(schema) => {
                let relation = format!("{}.{}", extract.connection, extract.table);
                let pushdown = match room.session.typed(&format!("SELECT * FROM {}", crate::name::quote(name))).await {
                    Ok(typed) => typed.analysis.pushdown,
                    Err(_) => Vec::new(),
                };
                let proved = ProvedTask {
                    schema: Some(SchemaRef::clone(&schema)),
                    lineage: schema.fields().iter().map(|field| unchanged(&relation, field.name())).collect(),
                    pushdown,
                };
                self.found.tasks.insert(name.to_owned(), proved);
                Columns::Known(schema)
            }
        }
    }

    async fn sql(&mut self, name: &str, sql: &Sql, room: &Room<'_>) -> Columns {
        match self.query(name, sql, room).await {
            Ok(typed) => self.keep(name, typed.analysis),
            Err(columns) => columns,
        }
    }

    async fn view(&mut self, name: &str, sql: &Sql, room: &mut Room<'_>) -> Columns {
        let typed = match self.query(name, sql, room).await {
            Ok(typed) => typed,
            Err(columns) => return self.lost(name, room, columns),
        };
        match room.session.add_typed(name, &typed) {
            Ok(_) => self.keep(name, typed.analysis),
            Err(error) => {
                let (path, _) = sql_path(name, sql);
                self.report(&path, self.shared.compiled.places.of(&path), &error);
                self.lost(name, room, Columns::Broken)
            }
        }
    }

    /// A task's query, or what an error in it makes of the task.
    async fn query(&mut self, name: &str, sql: &Sql, room: &Room<'_>) -> Result<Typed, Columns> {
        let (path, template) = sql_path(name, sql);
        let text = self.render(&path, template)?;
        match room.session.typed(&text).await {
            Ok(typed) => Ok(typed),
            Err(error) => Err(self.sql_failed(&path, template, &text, &error, room)),
        }
    }

    fn keep(&mut self, name: &str, analysis: Analysis) -> Columns {
        let Analysis { schema, lineage, pushdown } = analysis;
        let proved = ProvedTask { schema: Some(SchemaRef::clone(&schema)), lineage, pushdown };
        self.found.tasks.insert(name.to_owned(), proved);
        Columns::Known(schema)
    }

    /// A view without columns: whatever reads it cannot be proved either.
    fn lost(&mut self, name: &str, room: &mut Room<'_>, columns: Columns) -> Columns {
        if matches!(columns, Columns::Later) {
            self.found.tasks.entry(name.to_owned()).or_default();
        }
        room.missing.insert(name.to_owned(), columns.clone());
        columns
    }

    /// Rendered SQL, or what a template that cannot be rendered makes of the task.
    fn render(&mut self, path: &str, template: &str) -> Result<String, Columns> {
        let error = match template::render_sql(template, self.item.as_ref().unwrap_or(&self.shared.sample)) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let of_item = self.items_unknown && template::is_about_items(template);
        if of_item || template.contains("tasks") || template.contains("trigger") {
            let message = "its template needs what only a run knows, so it is not proved".to_owned();
            self.warn(path, message);
            return Err(Columns::Later);
        }
        let at = match error.offset {
            Some(offset) => self.shared.compiled.places.within(path, template, offset),
            None => self.shared.compiled.places.of(path),
        };
        let mut diagnostic = Diagnostic::error(error.code, at, path, error.message);
        diagnostic.help = error.help;
        self.found.errors.push(diagnostic);
        Err(Columns::Broken)
    }

    /// An error in SQL, or the consequence of one that was reported before.
    fn sql_failed(&mut self, path: &str, template: &str, text: &str, error: &EngineError, room: &Room<'_>) -> Columns {
        if let EngineError::UnknownRelation { name, .. } = error
            && let Some((_, columns)) = room.missing.iter().find(|(missing, _)| missing.eq_ignore_ascii_case(name))
        {
            if matches!(columns, Columns::Later) {
                self.warn(path, format!("it reads `{name}`, whose columns only a run knows, so it is not proved"));
            }
            return columns.clone();
        }
        let at = place::in_definition(&self.shared.compiled.places, path, template, text, error.place());
        self.report(path, at, error);
        Columns::Broken
    }

    /// A query whose columns nobody reads.
    async fn condition(&mut self, path: &str, template: &str, room: &Room<'_>) {
        let Ok(text) = self.render(path, template) else { return };
        if let Err(error) = room.session.typed(&text).await {
            self.sql_failed(path, template, &text, &error, room);
        }
    }

    async fn check(&mut self, name: &str, check: &Check, room: &Room<'_>) -> Columns {
        let columns = room.columns(&check.input);
        for (index, expectation) in check.expect.iter().enumerate() {
            let path = format!("tasks.{name}.check.expect[{index}]");
            if let Expectation::Sql(template) = expectation {
                let path = format!("{path}.sql");
                self.condition(&path, template, room).await;
                continue;
            }
            let Some(schema) = columns.known() else { continue };
            match tested(expectation, schema) {
                Err(error) => self.report(&path, self.shared.compiled.places.of(&path), &error),
                Ok(one) => {
                    if let Rule::References { to, to_column } = &one.rule
                        && let Some(known) = room.columns(to).known()
                        && let Err(error) = find_column(known, to_column)
                    {
                        self.report(&path, self.shared.compiled.places.of(&path), &error);
                    }
                }
            }
        }
        if let Some(schema) = columns.known() {
            let lineage = schema.fields().iter().map(|field| unchanged(&check.input, field.name())).collect();
            let proved = ProvedTask { schema: Some(SchemaRef::clone(schema)), lineage, pushdown: Vec::new() };
            self.found.tasks.insert(name.to_owned(), proved);
        }
        columns
    }

    async fn load(&mut self, name: &str, load: &Load, room: &Room<'_>) {
        let columns = room.columns(&load.input);
        let (Some(rows), Some(connection)) = (columns.known(), self.shared.connections.get(&load.connection)) else {
            return;
        };
        let target = connection.describe(&load.table).await;
        for misfit in load::misfits(load, rows, connection.as_ref(), target) {
            let path = format!("tasks.{name}.load.{}", misfit.part);
            let at = self.shared.compiled.places.of(&path);
            let mut diagnostic = Diagnostic::error(misfit.code, at, path, misfit.message);
            diagnostic.help = misfit.help;
            self.found.errors.push(diagnostic);
        }
        let lineage = rows.fields().iter().map(|field| unchanged(&load.input, field.name())).collect();
        let proved = ProvedTask { schema: Some(SchemaRef::clone(rows)), lineage, pushdown: Vec::new() };
        self.found.tasks.insert(name.to_owned(), proved);
    }

    fn must_be_storable(&mut self, name: &str, kind: &str, columns: Columns) -> Columns {
        let Columns::Known(schema) = &columns else { return columns };
        match storable(schema) {
            Ok(()) => columns,
            Err(error) => {
                let path = format!("tasks.{name}.{kind}");
                self.report(&path, self.shared.compiled.places.of(&path), &error);
                Columns::Broken
            }
        }
    }

    fn report(&mut self, path: &str, at: Place, error: &EngineError) {
        self.found.errors.push(diagnostic(path, at, error));
    }

    fn warn(&mut self, path: &str, message: String) {
        let place = self.shared.compiled.places.of(path);
        let mut warning = Diagnostic::error(tm05::NOT_PROVABLE, place, path, message);
        warning.severity = Severity::Warning;
        self.found.warnings.push(warning);
    }
}

/// An error at the place of a path.
pub(super) fn told(compiled: &Compiled, path: &str, error: &EngineError) -> Diagnostic {
    diagnostic(path, compiled.places.of(path), error)
}

fn diagnostic(path: &str, at: Place, error: &EngineError) -> Diagnostic {
    let message = match error {
        EngineError::Source { source } => source.to_string(),
        other => other.to_string(),
    };
    let mut diagnostic = Diagnostic::error(error.code(), at, path, message);
    diagnostic.help = error.help();
    diagnostic
}

/// Connections are asked for columns by their exact names.
fn not_exact(info: &TableInfo, column: &str) -> Result<(), EngineError> {
    let known: Vec<String> = info.schema.fields().iter().map(|field| field.name().clone()).collect();
    let near = known.iter().find(|name| name.eq_ignore_ascii_case(column)).cloned();
    Err(EngineError::UnknownColumn { column: column.to_owned(), near, known, place: None })
}

pub(super) fn sql_path<'s>(name: &str, sql: &'s Sql) -> (String, &'s str) {
    let path = match sql {
        Sql::Text(_) => format!("tasks.{name}.sql"),
        Sql::Full { .. } => format!("tasks.{name}.sql.query"),
    };
    (path, sql.query())
}

fn unchanged(relation: &str, column: &str) -> ColumnLineage {
    let source = Source { relation: relation.to_owned(), column: column.to_owned() };
    ColumnLineage { column: column.to_owned(), sources: vec![Influence { source, how: Use::Direct(Direct::Identity) }] }
}
