//! Tables and columns as they are now; `--write` makes inferred types explicit.

mod write;

use std::sync::Arc;

use serde_json::{Value, json};
use tidemill_connectors::{Connection, ConnectorError, SchemaSource, TableInfo};

use crate::args::Schema;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::table::Table;
use crate::words;

/// The JSON Schema of the definition language.
pub fn language(out: Out) -> Result<Exit, CliError> {
    out.value(&tidemill_dag::schema::json_schema())?;
    Ok(Exit::Ok)
}

/// A table of a connection, described or not.
struct Described {
    connection: String,
    table: String,
    info: Result<TableInfo, ConnectorError>,
}

/// Shows live schemas.
pub async fn run(project: &Project, args: Schema, out: Out) -> Result<Exit, CliError> {
    let connections = project.connections()?;
    let (name, table) = match &args.what {
        None => (None, None),
        Some(what) => match what.split_once('.') {
            Some((name, table)) => (Some(name), Some(table)),
            None => (Some(what.as_str()), None),
        },
    };
    let wanted: Vec<(&String, &Arc<dyn Connection>)> =
        connections.0.iter().filter(|(n, _)| name.is_none_or(|name| name == n.as_str())).collect();
    if let (true, Some(name)) = (wanted.is_empty(), name) {
        let known = connections.0.keys().cloned().collect();
        return Err(CliError::UnknownConnection { name: name.to_owned(), known });
    }
    let mut all = Vec::new();
    for (name, connection) in wanted {
        all.extend(describe(name, connection, table).await?);
    }
    let wrong = all.iter().any(|d| d.info.is_err());
    if args.write {
        write::run(project, &all, out)?;
    } else if out.json {
        out.value(&all.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for described in &all {
            out.text(&in_words(described, out))?;
        }
    }
    Ok(if wrong { Exit::Failed } else { Exit::Ok })
}

async fn describe(
    name: &str,
    connection: &Arc<dyn Connection>,
    table: Option<&str>,
) -> Result<Vec<Described>, CliError> {
    let tables = match table {
        Some(table) => vec![table.to_owned()],
        None => connection.tables().await?,
    };
    let mut all = Vec::new();
    for table in tables {
        let info = connection.describe(&table).await;
        all.push(Described { connection: name.to_owned(), table, info });
    }
    Ok(all)
}

fn in_words(described: &Described, out: Out) -> String {
    let title = out.paint.bold(&format!("{}.{}", described.connection, described.table));
    let info = match &described.info {
        Ok(info) => info,
        Err(error) => {
            let help = error.help().map(|h| format!("\n  help: {h}")).unwrap_or_default();
            return format!(
                "{title}\n  {} {}{help}\n\n",
                out.paint.red(&format!("error[{}]", error.code())),
                error.chain()
            );
        }
    };
    let rows = info.rows.map(|n| format!(", {}", words::rows(n))).unwrap_or_default();
    let how = match info.source {
        SchemaSource::Explicit => "types are written down",
        SchemaSource::Inferred => "types are inferred from the values",
    };
    let mut table = Table::new(&["column", "type", "nullable"]);
    for (field, (name, kind)) in info.schema.fields().iter().zip(info.columns()) {
        table.row(vec![name, kind, if field.is_nullable() { "yes" } else { "no" }.to_owned()]);
    }
    let hints: String = info.hints.iter().map(|hint| format!("{} {hint}\n", out.paint.yellow("look:"))).collect();
    format!("{title}{}\n{}{hints}\n", out.paint.dim(&format!("  {how}{rows}")), table.render(out.width, out.paint))
}

fn as_json(described: &Described) -> Value {
    let (connection, table) = (&described.connection, &described.table);
    match &described.info {
        Ok(info) => {
            let fields = info.schema.fields().iter().zip(info.columns());
            let column = |(field, (name, kind)): (&arrow::datatypes::FieldRef, (String, String))| json!({"name": name, "type": kind, "nullable": field.is_nullable()});
            json!({
                "connection": connection, "table": table, "rows": info.rows, "hints": info.hints,
                "inferred": info.source == SchemaSource::Inferred, "columns": fields.map(column).collect::<Vec<_>>(),
            })
        }
        Err(error) => json!({
            "connection": connection, "table": table,
            "error": {"code": error.code(), "message": error.chain(), "help": error.help()},
        }),
    }
}
