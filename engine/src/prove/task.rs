//! One task after the other, each with the columns that those before it give.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use tidemill_connectors::{Connection, Connections, TableInfo};
use tidemill_dag::{
    codes::tm05,
    compile::Compiled,
    diagnostic::{Diagnostic, Place, Severity},
    plan::{PlannedTask, Relation},
    spec::{Check, Expectation, Extract, Load, Returns, Sql, TaskKind},
    template::{self, Context},
};

use super::{Proof, ProvedTask, load, place};
use crate::{
    ColumnLineage, Direct, Engine, EngineError, Influence, Session, Source, Use,
    check::{Rule, find_column, tested},
    dataset::storable,
};

/// What is known of a relation's columns.
#[derive(Debug, Clone)]
enum Columns {
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

pub(super) struct Prover<'a> {
    engine: &'a Engine,
    compiled: &'a Compiled,
    connections: &'a Connections,
    sample: &'a Context,
    /// Tables are looked up once, whoever reads them.
    described: HashMap<(String, String), Option<TableInfo>>,
    /// The columns of every task so far, views too.
    columns: BTreeMap<String, Columns>,
    proof: Proof,
    errors: Vec<Diagnostic>,
}

/// A task's session, and what it lacks.
struct Room {
    session: Session,
    /// Relations without known columns, as they are written in SQL.
    missing: BTreeMap<String, Columns>,
}

impl Room {
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

impl<'a> Prover<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        compiled: &'a Compiled,
        connections: &'a Connections,
        sample: &'a Context,
    ) -> Self {
        Self {
            engine,
            compiled,
            connections,
            sample,
            described: HashMap::new(),
            columns: BTreeMap::new(),
            proof: Proof::default(),
            errors: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Result<Proof, Vec<Diagnostic>> {
        if self.errors.is_empty() { Ok(self.proof) } else { Err(self.errors) }
    }

    pub(super) async fn task(&mut self, planned: &PlannedTask) {
        let own = (planned.name.as_str(), &planned.task.kind);
        for (name, kind) in planned.views.iter().map(|view| (view.name.as_str(), &view.kind)).chain([own]) {
            if let TaskKind::Extract(extract) = kind {
                // First, so that what is wrong is told at the place that says it.
                self.describe(&extract.connection, &extract.table, &format!("tasks.{name}.extract.table")).await;
            }
        }
        let mut room = self.room(planned).await;
        for view in &planned.views {
            let columns = match &view.kind {
                TaskKind::Extract(extract) => self.extract(&view.name, extract, &mut room).await,
                TaskKind::Sql(sql) => self.view(&view.name, sql, &mut room).await,
                _ => Columns::Broken,
            };
            self.columns.insert(view.name.clone(), columns);
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
            TaskKind::Llm(_)
            | TaskKind::Python(_)
            | TaskKind::Shell(_)
            | TaskKind::Http(_)
            | TaskKind::Wait(_)
            | TaskKind::Approval(_)
            | TaskKind::Run(_)
            | TaskKind::Notify(_) => Columns::Broken,
        };
        if matches!(columns, Columns::Later) {
            self.proof.tasks.entry(planned.name.clone()).or_default();
        }
        self.columns.insert(planned.name.clone(), columns);
    }

    /// A session with what the task reads, except its own views.
    async fn room(&mut self, planned: &PlannedTask) -> Room {
        let session = self.engine.session(self.sample.run.started);
        let mut room = Room { session, missing: BTreeMap::new() };
        for relation in &planned.reads {
            match relation {
                Relation::Task { name, ordinal } => {
                    let from = self.compiled.plan.get(*ordinal).and_then(|task| self.columns.get(&task.name));
                    room.add(name, from.cloned().unwrap_or(Columns::Broken));
                }
                Relation::View { .. } => {}
                Relation::Table { connection, table, written } => {
                    let path = match &planned.task.kind {
                        TaskKind::Sql(sql) => sql_path(&planned.name, sql).0,
                        other => format!("tasks.{}.{}", planned.name, other.name()),
                    };
                    let Some((connection, info)) = self.describe(connection, table, &path).await else {
                        room.missing.insert(written.clone(), Columns::Broken);
                        continue;
                    };
                    if let Err(error) = room.session.add_described(written, connection, &info, &[]) {
                        self.report(&path, self.compiled.places.of(&path), &error);
                        room.missing.insert(written.clone(), Columns::Broken);
                    }
                }
            }
        }
        room
    }

    /// A table's columns; what is wrong is reported the first time.
    async fn describe(
        &mut self,
        connection: &str,
        table: &str,
        path: &str,
    ) -> Option<(Arc<dyn Connection>, TableInfo)> {
        // A name that is not there was reported when the definition was read.
        let found = Arc::clone(self.connections.get(connection)?);
        let key = (connection.to_owned(), table.to_owned());
        if let Some(known) = self.described.get(&key) {
            return known.clone().map(|info| (found, info));
        }
        let info = match found.describe(table).await {
            Ok(info) => Some(info),
            Err(error) => {
                self.report(path, self.compiled.places.of(path), &EngineError::from(error));
                None
            }
        };
        self.described.insert(key, info.clone());
        info.map(|info| (found, info))
    }

    async fn extract(&mut self, name: &str, extract: &Extract, room: &mut Room) -> Columns {
        let path = format!("tasks.{name}.extract");
        let within = format!("{path}.table");
        let Some((connection, info)) = self.describe(&extract.connection, &extract.table, &within).await else {
            return self.lost(name, room, Columns::Broken);
        };
        let mut complete = true;
        for (index, column) in extract.columns.iter().enumerate() {
            if info.schema.field_with_name(column).is_err()
                && let Err(error) =
                    find_column(&info.schema, column).map(|_| ()).and_then(|()| not_exact(&info, column))
            {
                let at = format!("{path}.columns[{index}]");
                self.report(&at, self.compiled.places.of(&at), &error);
                complete = false;
            }
        }
        if !complete {
            return self.lost(name, room, Columns::Broken);
        }
        match room.session.add_described(name, connection, &info, &extract.columns) {
            Err(error) => {
                self.report(&path, self.compiled.places.of(&path), &error);
                self.lost(name, room, Columns::Broken)
            }
            Ok(schema) => {
                let relation = format!("{}.{}", extract.connection, extract.table);
                let pushdown = match room.session.analyze(&format!("SELECT * FROM {}", crate::name::quote(name))).await
                {
                    Ok(analysis) => analysis.pushdown,
                    Err(_) => Vec::new(),
                };
                let proved = ProvedTask {
                    schema: Some(SchemaRef::clone(&schema)),
                    lineage: schema.fields().iter().map(|field| unchanged(&relation, field.name())).collect(),
                    pushdown,
                };
                self.proof.tasks.insert(name.to_owned(), proved);
                Columns::Known(schema)
            }
        }
    }

    async fn sql(&mut self, name: &str, sql: &Sql, room: &Room) -> Columns {
        let (path, template) = sql_path(name, sql);
        let text = match self.render(&path, template) {
            Ok(text) => text,
            Err(columns) => return columns,
        };
        match room.session.analyze(&text).await {
            Err(error) => self.sql_failed(&path, template, &text, &error, room),
            Ok(analysis) => {
                let schema = SchemaRef::clone(&analysis.schema);
                let proved = ProvedTask {
                    schema: Some(SchemaRef::clone(&schema)),
                    lineage: analysis.lineage,
                    pushdown: analysis.pushdown,
                };
                self.proof.tasks.insert(name.to_owned(), proved);
                Columns::Known(schema)
            }
        }
    }

    async fn view(&mut self, name: &str, sql: &Sql, room: &mut Room) -> Columns {
        let columns = self.sql(name, sql, room).await;
        if columns.known().is_none() {
            return self.lost(name, room, columns);
        }
        let (path, template) = sql_path(name, sql);
        let Ok(text) = self.render(&path, template) else {
            return self.lost(name, room, Columns::Broken);
        };
        if let Err(error) = room.session.add_view(name, &text).await {
            let broken = self.sql_failed(&path, template, &text, &error, room);
            return self.lost(name, room, broken);
        }
        columns
    }

    /// A view without columns: whatever reads it cannot be proved either.
    fn lost(&mut self, name: &str, room: &mut Room, columns: Columns) -> Columns {
        if matches!(columns, Columns::Later) {
            self.proof.tasks.entry(name.to_owned()).or_default();
        }
        room.missing.insert(name.to_owned(), columns.clone());
        columns
    }

    /// Rendered SQL, or what a template that cannot be rendered makes of the task.
    fn render(&mut self, path: &str, template: &str) -> Result<String, Columns> {
        let error = match template::render_sql(template, self.sample) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        if template.contains("tasks") || template.contains("trigger") {
            let message = "its template needs what only a run knows, so it is not proved".to_owned();
            self.warn(path, message);
            return Err(Columns::Later);
        }
        let at = match error.offset {
            Some(offset) => self.compiled.places.within(path, template, offset),
            None => self.compiled.places.of(path),
        };
        let mut diagnostic = Diagnostic::error(error.code, at, path, error.message);
        diagnostic.help = error.help;
        self.errors.push(diagnostic);
        Err(Columns::Broken)
    }

    /// An error in SQL, or the consequence of one that was reported before.
    fn sql_failed(&mut self, path: &str, template: &str, text: &str, error: &EngineError, room: &Room) -> Columns {
        if let EngineError::UnknownRelation { name, .. } = error
            && let Some((_, columns)) = room.missing.iter().find(|(missing, _)| missing.eq_ignore_ascii_case(name))
        {
            if matches!(columns, Columns::Later) {
                self.warn(path, format!("it reads `{name}`, whose columns only a run knows, so it is not proved"));
            }
            return columns.clone();
        }
        let at = place::in_definition(&self.compiled.places, path, template, text, error.place());
        self.report(path, at, error);
        Columns::Broken
    }

    async fn check(&mut self, name: &str, check: &Check, room: &Room) -> Columns {
        let columns = room.columns(&check.input);
        for (index, expectation) in check.expect.iter().enumerate() {
            let path = format!("tasks.{name}.check.expect[{index}]");
            if let Expectation::Sql(template) = expectation {
                let path = format!("{path}.sql");
                let Ok(text) = self.render(&path, template) else { continue };
                if let Err(error) = room.session.analyze(&text).await {
                    self.sql_failed(&path, template, &text, &error, room);
                }
                continue;
            }
            let Some(schema) = columns.known() else { continue };
            match tested(expectation, schema) {
                Err(error) => self.report(&path, self.compiled.places.of(&path), &error),
                Ok(one) => {
                    if let Rule::References { to, to_column } = &one.rule
                        && let Some(known) = room.columns(to).known()
                        && let Err(error) = find_column(known, to_column)
                    {
                        self.report(&path, self.compiled.places.of(&path), &error);
                    }
                }
            }
        }
        if let Some(schema) = columns.known() {
            let lineage = schema.fields().iter().map(|field| unchanged(&check.input, field.name())).collect();
            let proved = ProvedTask { schema: Some(SchemaRef::clone(schema)), lineage, pushdown: Vec::new() };
            self.proof.tasks.insert(name.to_owned(), proved);
        }
        columns
    }

    async fn load(&mut self, name: &str, load: &Load, room: &Room) {
        let columns = room.columns(&load.input);
        let (Some(rows), Some(connection)) = (columns.known(), self.connections.get(&load.connection)) else { return };
        let target = connection.describe(&load.table).await;
        for misfit in load::misfits(load, rows, connection.as_ref(), target) {
            let path = format!("tasks.{name}.load.{}", misfit.part);
            let at = self.compiled.places.of(&path);
            let mut diagnostic = Diagnostic::error(misfit.code, at, path, misfit.message);
            diagnostic.help = misfit.help;
            self.errors.push(diagnostic);
        }
        let lineage = rows.fields().iter().map(|field| unchanged(&load.input, field.name())).collect();
        let proved = ProvedTask { schema: Some(SchemaRef::clone(rows)), lineage, pushdown: Vec::new() };
        self.proof.tasks.insert(name.to_owned(), proved);
    }

    fn must_be_storable(&mut self, name: &str, kind: &str, columns: Columns) -> Columns {
        let Columns::Known(schema) = &columns else { return columns };
        match storable(schema) {
            Ok(()) => columns,
            Err(error) => {
                let path = format!("tasks.{name}.{kind}");
                self.report(&path, self.compiled.places.of(&path), &error);
                Columns::Broken
            }
        }
    }

    fn report(&mut self, path: &str, at: Place, error: &EngineError) {
        let message = match error {
            EngineError::Source { source } => source.to_string(),
            other => other.to_string(),
        };
        let mut diagnostic = Diagnostic::error(error.code(), at, path, message);
        diagnostic.help = error.help();
        self.errors.push(diagnostic);
    }

    fn warn(&mut self, path: &str, message: String) {
        let place = self.compiled.places.of(path);
        let mut warning = Diagnostic::error(tm05::NOT_PROVABLE, place, path, message);
        warning.severity = Severity::Warning;
        self.proof.warnings.push(warning);
    }
}

/// Connections are asked for columns by their exact names.
fn not_exact(info: &TableInfo, column: &str) -> Result<(), EngineError> {
    let known: Vec<String> = info.schema.fields().iter().map(|field| field.name().clone()).collect();
    let near = known.iter().find(|name| name.eq_ignore_ascii_case(column)).cloned();
    Err(EngineError::UnknownColumn { column: column.to_owned(), near, known, place: None })
}

fn sql_path<'s>(name: &str, sql: &'s Sql) -> (String, &'s str) {
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
