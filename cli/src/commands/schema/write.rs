//! Puts inferred columns into the project's file, where a person reviews them. Only the entries of the
//! connections concerned are written anew; everything else keeps its layout and comments.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidemill_connectors::SchemaSource;

use super::Described;
use crate::config;
use crate::error::{CliError, Findings};
use crate::out::Out;
use crate::project::{Project, shown};
use crate::words;
use crate::yaml;

pub(super) fn run(project: &Project, all: &[Described], out: Out) -> Result<(), CliError> {
    let path = project.root.join(config::FILE);
    let mut text = match &project.file {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|source| CliError::ReadFile { path: file.clone(), source })?
        }
        None => yaml::block(&json!({"connections": project.config.connections})),
    };
    let mut written = Vec::new();
    for (connection, tables) in inferred(all) {
        let Some(mut entry) = project.config.connections.get(connection).cloned() else { continue };
        for (table, columns) in tables {
            if entry["tables"].is_null() {
                entry["tables"] = json!({});
            }
            entry["tables"][table]["columns"] = columns;
            written.push(format!("{connection}.{table}"));
        }
        text = replaced(&text, connection, &entry);
    }
    // What cannot be read back is not written: the file stays as it was.
    if let Err(list) = config::read(&text) {
        return Err(CliError::Config(Findings { file: shown(&path), text, list }));
    }
    if !written.is_empty() {
        replace_file(&path, &text)?;
    }
    if out.json {
        return out.value(&json!({"file": path, "written": written}));
    }
    let count = u64::try_from(written.len()).unwrap_or(u64::MAX);
    match written.is_empty() {
        true => out.line("nothing to write: every type is written down already"),
        false => out.line(format!(
            "{} tables are now written down in {}: {}. Look them over.",
            words::count(count),
            shown(&path),
            written.join(", ")
        )),
    }
}

/// Tables whose types were concluded, with their columns, by connection.
fn inferred(all: &[Described]) -> BTreeMap<&str, Vec<(&str, Value)>> {
    let mut found: BTreeMap<&str, Vec<(&str, Value)>> = BTreeMap::new();
    for described in all {
        let Ok(info) = &described.info else { continue };
        // Loaded tables carry their types with them.
        if info.source == SchemaSource::Inferred {
            let columns: Map<String, Value> = info.columns().into_iter().map(|(k, v)| (k, v.into())).collect();
            found.entry(&described.connection).or_default().push((&described.table, columns.into()));
        }
    }
    found
}

/// The text with one entry of `connections` written anew.
fn replaced(text: &str, connection: &str, entry: &Value) -> String {
    let mut block = String::new();
    let one: Map<String, Value> = [(connection.to_owned(), entry.clone())].into_iter().collect();
    yaml::entries(&one, 1, &mut block);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let filler = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let Some(section) = lines.iter().position(|line| line.starts_with("connections:")) else { return text.to_owned() };
    let names = |line: &str| {
        let rest = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(connection);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let inside = |i: &usize| lines[section + 1..=*i].iter().all(|line| filler(line) || indent(line) > 0);
    let found = (section + 1..lines.len()).find(|i| inside(i) && !filler(lines[*i]) && names(lines[*i]));
    let Some(start) = found else { return text.to_owned() };
    let deeper = |line: &&&str| !filler(line) && indent(line) > indent(lines[start]);
    let length = lines[start + 1..].iter().take_while(deeper).count();
    let end = start + 1 + length;
    format!("{}{block}{}", lines[..start].concat(), lines[end..].concat())
}

/// Whole or not at all.
fn replace_file(path: &std::path::Path, text: &str) -> Result<(), CliError> {
    let aside = path.with_extension("yaml.new");
    std::fs::write(&aside, text)
        .and_then(|()| std::fs::rename(&aside, path))
        .map_err(|source| CliError::WriteFile { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_entry_of_the_connection_changes() {
        let text = "# top\nconnections:\n  # mine\n  shop: {kind: files, path: a}\n  out:\n    kind: files\n    path: b\nworker: {slots: 2} # two\n";
        let entry = json!({"kind": "files", "path": "a", "tables": {"t": {"columns": {"x": "int64"}}}});
        let shop = replaced(text, "shop", &entry);
        assert!(shop.starts_with("# top\nconnections:\n  # mine\n  shop:\n    kind: files\n    path: a\n"), "{shop}");
        assert!(shop.ends_with("  out:\n    kind: files\n    path: b\nworker: {slots: 2} # two\n"), "{shop}");
        let out = replaced(text, "out", &json!({"kind": "files", "path": "c"}));
        assert!(out.contains("path: a}\n  out: {kind: files, path: c}\nworker"), "{out}");
        assert_eq!(replaced(text, "none", &entry), text);
    }
}
