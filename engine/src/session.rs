//! A session: the relations that one task's SQL can read, and what is done with them.

mod run;

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::{
    catalog::{
        CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
        TableProvider, TableProviderFactory,
    },
    common::TableReference,
    datasource::{ViewTable, empty::EmptyTable},
    execution::{SessionState, SessionStateBuilder, context::SQLOptions, runtime_env::RuntimeEnv},
    logical_expr::LogicalPlan,
    prelude::SessionConfig,
    sql::parser::Statement as ParsedStatement,
};
use sqlparser::ast::Statement;
use tidemill_connectors::{Connection, TableInfo};
use tidemill_dag::time::Timestamp;

use crate::{
    DatasetFiles, Engine, EngineConfig, EngineError, Manifest, Rows, SqlPlace,
    analysis::{self, Analysis},
    functions,
    name::{self, HOME},
    relation::{ConnectionTable, DatasetTable},
    rules,
};

/// The relations that one task reads, and the moment it calls now.
///
/// Only queries run here: no statement that defines, changes, copies, sets or explains anything, no table
/// function that opens a file, no schema of system tables. Names keep their case ([`crate::name`]).
pub struct Session {
    engine: Engine,
    state: SessionState,
    share: run::Share,
    relations: BTreeMap<String, SchemaRef>,
}

/// A query that was planned and analysed.
pub(crate) struct Typed {
    plan: LogicalPlan,
    pub(crate) analysis: Analysis,
}

impl Session {
    pub(crate) fn new(engine: Engine, now: Timestamp) -> Self {
        let mut state = engine.blank().clone();
        state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        functions::set_moment(&mut state, now);
        state.execution_props_mut().query_execution_start_time = Some(now.to_utc());
        let share = run::Share { environment: engine.environment(), bytes: engine.share_bytes() };
        Self { engine, state, share, relations: BTreeMap::new() }
    }

    /// Forgets every relation, so that the session serves another task.
    pub(crate) fn clear(&mut self) {
        self.state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        self.relations.clear();
    }

    /// A connection's table under `name`, written as in SQL (`flights.flights`, or a task's name). Nothing is
    /// read before a query wants it, and then only the columns and rows it wants.
    ///
    /// # Errors
    /// The table or one of `columns` (all if empty) is not there, or the connection cannot be reached.
    pub async fn add_table(
        &mut self,
        name: &str,
        connection: Arc<dyn Connection>,
        table: &str,
        columns: &[String],
    ) -> Result<SchemaRef, EngineError> {
        let table = ConnectionTable::open(connection, table, columns).await?;
        self.register(name, Arc::new(table))
    }

    /// The same for a table whose columns were looked up already.
    ///
    /// # Errors
    /// One of `columns` is not there.
    pub fn add_described(
        &mut self,
        name: &str,
        connection: Arc<dyn Connection>,
        info: &TableInfo,
        columns: &[String],
    ) -> Result<SchemaRef, EngineError> {
        let table = ConnectionTable::described(connection, info, columns)?;
        self.register(name, Arc::new(table))
    }

    /// A data set under `name`.
    ///
    /// # Errors
    /// The manifest is not understood.
    pub fn add_dataset(
        &mut self,
        name: &str,
        manifest: &Manifest,
        files: Arc<dyn DatasetFiles>,
    ) -> Result<SchemaRef, EngineError> {
        let table = DatasetTable::new(manifest, files)?;
        self.register(name, Arc::new(table))
    }

    /// A query under `name`; it is folded into whatever reads it.
    ///
    /// # Errors
    /// The query is not valid over the relations added so far.
    pub async fn add_view(&mut self, name: &str, sql: &str) -> Result<SchemaRef, EngineError> {
        let plan = self.plan(sql).await?;
        // The type that readers see must be the one after coercion (of unions, for example).
        let schema = unique_columns(self.analyse(plan.clone())?.schema().inner())?;
        self.add_plan(name, plan, schema)
    }

    /// The same for a query that was typed in this session.
    pub(crate) fn add_typed(&mut self, name: &str, typed: &Typed) -> Result<SchemaRef, EngineError> {
        self.add_plan(name, typed.plan.clone(), SchemaRef::clone(&typed.analysis.schema))
    }

    fn add_plan(&mut self, name: &str, plan: LogicalPlan, schema: SchemaRef) -> Result<SchemaRef, EngineError> {
        self.register(name, Arc::new(ViewTable::new(plan, None)))?;
        self.relations.insert(name.to_owned(), SchemaRef::clone(&schema));
        Ok(schema)
    }

    /// A relation without rows, for dry runs.
    ///
    /// # Errors
    /// SQL cannot mention the name.
    pub fn add_empty(&mut self, name: &str, schema: SchemaRef) -> Result<SchemaRef, EngineError> {
        self.register(name, Arc::new(EmptyTable::new(schema)))
    }

    /// The relations added so far, with their columns.
    pub fn relations(&self) -> &BTreeMap<String, SchemaRef> {
        &self.relations
    }

    /// What a query gives and from what, without reading anything.
    ///
    /// # Errors
    /// The query is not valid.
    pub async fn analyze(&self, sql: &str) -> Result<Analysis, EngineError> {
        self.typed(sql).await.map(|typed| typed.analysis)
    }

    /// The same, with the plan, to be added as a view.
    pub(crate) async fn typed(&self, sql: &str) -> Result<Typed, EngineError> {
        let plan = self.plan(sql).await?;
        let analysed = self.analyse(plan.clone())?;
        let optimised = self.state.optimizer().optimize(analysed.clone(), &self.state, |_, _| {})?;
        let analysis = Analysis {
            schema: unique_columns(analysed.schema().inner())?,
            lineage: analysis::lineage(&analysed, &|found| self.written(found))?,
            pushdown: analysis::pushdown(&optimised, &|found| self.written(found))?,
        };
        Ok(Typed { plan, analysis })
    }

    /// Runs a query.
    ///
    /// # Errors
    /// The query is not valid. What goes wrong with the rows themselves comes through the stream.
    pub async fn stream(&self, sql: &str) -> Result<Rows, EngineError> {
        let plan = self.plan(sql).await?;
        self.run_plan(plan)
    }

    /// All rows of a relation.
    ///
    /// # Errors
    /// There is no such relation.
    pub async fn stream_table(&self, name: &str) -> Result<Rows, EngineError> {
        let plan = self.scan_plan(name).await?;
        self.run_plan(plan)
    }

    /// A plan that reads a relation whole, without SQL text.
    pub(crate) async fn scan_plan(&self, name: &str) -> Result<LogicalPlan, EngineError> {
        if !self.relations.contains_key(name) {
            return Err(self.unknown_relation(name, None));
        }
        let reference = resolve(name)?;
        let provider = self.provider(&reference).await?;
        let source = datafusion::datasource::provider_as_source(provider);
        Ok(datafusion::logical_expr::LogicalPlanBuilder::scan(reference, source, None)?.build()?)
    }

    async fn provider(&self, reference: &TableReference) -> Result<Arc<dyn TableProvider>, EngineError> {
        let schema = self.state.schema_for_ref(reference.clone())?;
        match schema.table(reference.table()).await? {
            Some(provider) => Ok(provider),
            None => Err(self.unknown_relation(&reference.to_string(), None)),
        }
    }

    /// Runs a plan over this session's relations.
    pub(crate) fn run_plan(&self, plan: LogicalPlan) -> Result<Rows, EngineError> {
        let analysed = self.analyse(plan)?;
        let schema = unique_columns(analysed.schema().inner())?;
        let ways = run::ways(&self.state, &self.share, analysed);
        Ok(self.engine.produce(schema, ways))
    }

    pub(crate) fn analyse(&self, plan: LogicalPlan) -> Result<LogicalPlan, EngineError> {
        let options = Arc::clone(self.state.config_options());
        Ok(self.state.analyzer().execute_and_check(plan, &options, |_, _| {})?)
    }

    /// SQL text to a plan that was not analysed yet.
    pub(crate) async fn plan(&self, sql: &str) -> Result<LogicalPlan, EngineError> {
        // Names of relations that this query does not even mention must not decide how it is spelled.
        let lower = sql.to_lowercase();
        let mentioned = self.relations.iter().filter(|(name, _)| {
            let last = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
            lower.contains(&last.to_lowercase())
        });
        let known = mentioned.flat_map(|(name, schema)| {
            let columns = schema.fields().iter().map(|field| field.name().as_str());
            name.split('.').map(|part| part.trim_matches('"')).chain(columns)
        });
        let mut text = name::fold_case(sql, known);
        let plan = loop {
            match self.plan_exactly(&text).await {
                Ok(plan) => break plan,
                Err(error) => match respelled(&text, &error) {
                    Some(again) => text = again,
                    None => return Err(error),
                },
            }
        };
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        Ok(plan)
    }

    /// Text whose names have the case of what they name. Every round of [`respelled`] settles one name for good.
    async fn plan_exactly(&self, sql: &str) -> Result<LogicalPlan, EngineError> {
        let dialect = self.state.config_options().sql_parser.dialect;
        let statement = self.state.sql_to_statement(sql, &dialect)?;
        only_a_query(&statement)?;
        for reference in self.state.resolve_table_references(&statement)? {
            self.must_know(&reference, sql)?;
        }
        Ok(self.state.statement_to_plan(statement).await?)
    }

    fn must_know(&self, reference: &TableReference, sql: &str) -> Result<(), EngineError> {
        let known = self.relations.keys().any(|name| name::table_reference(name).is_ok_and(|it| it == *reference));
        let function = reference.schema().is_none() && self.state.table_functions().contains_key(reference.table());
        if known || function {
            return Ok(());
        }
        Err(self.unknown_relation(&reference.to_string(), find_word(sql, reference.table())))
    }

    /// A relation's name as it was added.
    fn written(&self, found: &TableReference) -> String {
        let same = |name: &&String| name::table_reference(name).is_ok_and(|it| it == *found);
        self.relations.keys().find(same).cloned().unwrap_or_else(|| found.to_string())
    }

    fn unknown_relation(&self, name: &str, place: Option<SqlPlace>) -> EngineError {
        let near = name::nearest(name, self.relations.keys().map(String::as_str));
        EngineError::UnknownRelation { name: name.to_owned(), near, place }
    }

    fn register(&mut self, name: &str, provider: Arc<dyn TableProvider>) -> Result<SchemaRef, EngineError> {
        let schema = provider.schema();
        let reference = resolve(name)?;
        let (catalog, within) = (reference.catalog().unwrap_or(HOME), reference.schema().unwrap_or(HOME));
        let catalogs = self.state.catalog_list();
        let catalog = match catalogs.catalog(catalog) {
            Some(catalog) => catalog,
            None => {
                let fresh: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                catalogs.register_catalog(catalog.to_owned(), Arc::clone(&fresh));
                fresh
            }
        };
        let within_schema = match catalog.schema(within) {
            Some(schema) => schema,
            None => {
                let fresh: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(within, Arc::clone(&fresh))?;
                fresh
            }
        };
        within_schema.deregister_table(reference.table())?;
        within_schema.register_table(reference.table().to_owned(), provider)?;
        self.relations.insert(name.to_owned(), SchemaRef::clone(&schema));
        Ok(schema)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("relations", &self.relations.keys()).finish_non_exhaustive()
    }
}

/// The text with one column in the case that its relation has, if that is what the error is about.
fn respelled(sql: &str, error: &EngineError) -> Option<String> {
    match error {
        EngineError::UnknownColumn { near: Some(near), place: Some(place), .. } => name::respell(sql, *place, near),
        _ => None,
    }
}

fn resolve(name: &str) -> Result<TableReference, EngineError> {
    name::table_reference(name)
}

/// What every session begins with: rules, functions and limits, but no relations and no moment. Made once per
/// engine, because registering all functions takes longer than planning a query.
pub(crate) fn blank(limits: &EngineConfig, environment: &RuntimeEnv) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config(limits))
        .with_runtime_env(Arc::new(environment.clone()))
        .with_default_features()
        .with_type_planner(Arc::new(rules::MicrosecondTypes))
        .with_analyzer_rule(Arc::new(rules::CheckedArithmetic))
        .build();
    forget_file_formats(state.table_factories_mut());
    functions::register(&mut state);
    state
}

fn config(limits: &EngineConfig) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.partitions)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(HOME, HOME)
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    config
}

/// Table formats are for DDL, which does not run here.
fn forget_file_formats(factories: &mut std::collections::HashMap<String, Arc<dyn TableProviderFactory>>) {
    factories.clear();
}

fn only_a_query(statement: &ParsedStatement) -> Result<(), EngineError> {
    let found = match statement {
        ParsedStatement::Statement(inner) => match inner.as_ref() {
            Statement::Query(_) => return Ok(()),
            other => first_words(&other.to_string()),
        },
        other => first_words(&other.to_string()),
    };
    Err(EngineError::NotAQuery { found })
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn find_word(sql: &str, word: &str) -> Option<SqlPlace> {
    let lower = word.to_lowercase();
    for (line, text) in sql.lines().enumerate() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let text = text.to_lowercase();
        let found = text.match_indices(&lower).find(|(at, _)| {
            let before = text[..*at].chars().next_back().is_none_or(|c| !is_name(c));
            before && text[at + lower.len()..].chars().next().is_none_or(|c| !is_name(c))
        });
        if let Some((at, _)) = found {
            let column = text[..at].chars().count() + 1;
            return Some(SqlPlace { line: u32::try_from(line + 1).ok()?, column: u32::try_from(column).ok()? });
        }
    }
    None
}

/// A result's columns are addressed by name from here on, so no two may share one.
fn unique_columns(schema: &SchemaRef) -> Result<SchemaRef, EngineError> {
    let mut seen = std::collections::HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(EngineError::DuplicateColumn { column: field.name().clone() });
        }
    }
    // Metadata of single sources means nothing for the whole.
    Ok(Arc::new(Schema::new(schema.fields().clone())))
}

#[cfg(test)]
mod tests;
