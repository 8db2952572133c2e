//! Whether rows fit the table that they are to be loaded into.

use arrow::datatypes::Schema;
use tidemill_connectors::{Connection, ConnectorError, TableInfo, catalogue, files::settle};
use tidemill_dag::{
    codes::tm05,
    spec::{Load, LoadMode},
};

use crate::name::nearest;

/// Something that is wrong with a load; `key` tells which part of it.
pub(super) struct Misfit {
    pub part: &'static str,
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that is wrong with a load of rows with these columns.
pub(super) fn misfits(
    load: &Load,
    rows: &Schema,
    connection: &dyn Connection,
    target: Result<TableInfo, ConnectorError>,
) -> Vec<Misfit> {
    let mut found: Vec<Misfit> = mode(load, connection).into_iter().collect();
    let target = match target {
        Ok(info) => Some(info),
        Err(ConnectorError::UnknownTable { .. }) => None,
        Err(error) => {
            found.push(of_error("table", &error));
            None
        }
    };
    found.extend(load.key.iter().filter_map(|column| key(column, rows, "the rows have")));
    if let Some(info) = &target {
        found.extend(load.key.iter().filter_map(|column| key(column, &info.schema, "the table has")));
    }
    let existing = target.as_ref().map(|info| info.schema.as_ref());
    if let Err(error) = settle(&load.table, existing, rows, load.mode, load.contract) {
        let help = error.help();
        found.push(Misfit { part: "contract", code: tm05::LOAD_COLUMNS, message: error.to_string(), help });
    }
    found
}

fn mode(load: &Load, connection: &dyn Connection) -> Option<Misfit> {
    let kind = catalogue::KINDS.iter().find(|kind| kind.name == connection.kind())?;
    let word = match load.mode {
        LoadMode::Append => "append",
        LoadMode::Replace => "replace",
        LoadMode::Merge => "merge",
    };
    if kind.loads.contains(&word) {
        return None;
    }
    let advice = match kind.loads {
        [] => "load into another connection: nothing can be written to this one".to_owned(),
        modes => format!("possible are: {}", modes.join(", ")),
    };
    let error = ConnectorError::Mode { kind: kind.name, mode: word, table: load.table.clone(), advice };
    Some(of_error("mode", &error))
}

fn of_error(part: &'static str, error: &ConnectorError) -> Misfit {
    Misfit { part, code: error.code(), message: error.to_string(), help: error.help() }
}

fn key(column: &str, schema: &Schema, whose: &str) -> Option<Misfit> {
    if schema.field_with_name(column).is_ok() {
        return None;
    }
    let near = nearest(column, schema.fields().iter().map(|field| field.name().as_str()));
    let help = near.map(|near| format!("did you mean `{near}`?"));
    Some(Misfit { part: "key", code: tm05::LOAD_KEY, message: format!("{whose} no column `{column}`"), help })
}
