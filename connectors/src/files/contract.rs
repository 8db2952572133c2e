//! How the columns of a load meet those of the table. Pure.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use indexmap::IndexMap;
use tidemill_dag::spec::{Contract, LoadMode};

use super::adapt::wider;
use crate::{ConnectorError, column_type};

/// What the table and the load's files will look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The table's columns after the load.
    pub table: IndexMap<String, String>,
    /// The columns that are written; of the load's, those that the contract lets in.
    pub written: SchemaRef,
}

/// Settles both. `existing` is empty for a table that never was. A table that is replaced under `evolve` takes
/// the load's columns as they are: none of its old rows stay.
pub fn settle(
    table: &str,
    existing: Option<&Schema>,
    load: &Schema,
    mode: LoadMode,
    contract: Contract,
) -> Result<Settled, ConnectorError> {
    let load = column_type::canonical_schema(load);
    let whole = || Settled { table: column_type::to_columns(&load), written: Arc::clone(&load) };
    let Some(existing) = existing else { return Ok(whole()) };
    let drift = |problem: String| ConnectorError::Drift { table: table.to_owned(), contract: word(contract), problem };
    match contract {
        Contract::Strict => strict(existing, &load).map(|()| whole_in_order(existing, &load)).map_err(drift),
        Contract::Evolve if mode == LoadMode::Replace => Ok(whole()),
        Contract::Evolve => {
            let columns = evolve(existing, &load).map_err(drift)?;
            Ok(Settled { table: columns, written: Arc::clone(&load) })
        }
        Contract::Ignore => ignore(existing, &load).map_err(drift),
    }
}

/// The contract's word.
pub const fn word(contract: Contract) -> &'static str {
    match contract {
        Contract::Evolve => "evolve",
        Contract::Strict => "strict",
        Contract::Ignore => "ignore",
    }
}

fn strict(existing: &Schema, load: &Schema) -> Result<(), String> {
    let mut problems = Vec::new();
    for field in existing.fields() {
        match load.field_with_name(field.name()) {
            Err(_) => problems.push(format!("column `{}` is missing", field.name())),
            Ok(new) if new.data_type() != field.data_type() => problems.push(changed(field, new)),
            Ok(_) => {}
        }
    }
    let extra = load.fields().iter().filter(|field| existing.field_with_name(field.name()).is_err());
    problems.extend(extra.map(|field| format!("column `{}` is new", field.name())));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

fn whole_in_order(existing: &Schema, load: &SchemaRef) -> Settled {
    Settled { table: column_type::to_columns(existing), written: Arc::clone(load) }
}

fn changed(old: &Field, new: &Field) -> String {
    let (was, is) = (column_type::to_text(old.data_type()), column_type::to_text(new.data_type()));
    format!("column `{}` was {was} and is {is} now", old.name())
}

fn evolve(existing: &Schema, load: &Schema) -> Result<IndexMap<String, String>, String> {
    let mut columns = IndexMap::new();
    let mut problems = Vec::new();
    for old in existing.fields() {
        let data_type = match load.field_with_name(old.name()) {
            Err(_) => Some(old.data_type().clone()),
            Ok(new) => wider(old.data_type(), new.data_type()).or_else(|| {
                problems.push(format!("{}, and no type holds both", changed(old, new)));
                None
            }),
        };
        columns.extend(data_type.map(|data_type| (old.name().clone(), column_type::to_text(&data_type))));
    }
    for new in load.fields().iter().filter(|new| existing.field_with_name(new.name()).is_err()) {
        columns.insert(new.name().clone(), column_type::to_text(new.data_type()));
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems.join("; ")) }
}

fn ignore(existing: &Schema, load: &Schema) -> Result<Settled, String> {
    let mut problems = Vec::new();
    let mut written = Vec::new();
    for new in load.fields() {
        let Ok(old) = existing.field_with_name(new.name()) else { continue };
        // The table keeps its types: the load's must fit into them.
        if wider(old.data_type(), new.data_type()).as_ref() == Some(old.data_type()) {
            written.push(Arc::clone(new));
        } else {
            problems.push(changed(old, new));
        }
    }
    if written.is_empty() && problems.is_empty() {
        problems.push("none of the columns is in the table".into());
    }
    if problems.is_empty() {
        Ok(Settled { table: column_type::to_columns(existing), written: Arc::new(Schema::new(written)) })
    } else {
        Err(problems.join("; "))
    }
}
