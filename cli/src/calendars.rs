//! The project's calendars: `calendars/NAME.yaml`, each a list of days.

use std::collections::BTreeMap;
use std::path::Path;

use tidemill_dag::schedule::calendar;

use crate::error::{CliError, Findings};
use crate::project::shown;

/// Every calendar of a project, by name. A project without the folder has none.
pub fn read(root: &Path) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let folder = root.join("calendars");
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let unread = |source| CliError::ReadFile { path: folder.clone(), source };
    let mut calendars = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let yaml = path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml");
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| yaml) else { continue };
        let text =
            std::fs::read_to_string(&path).map_err(|source| CliError::ReadFile { path: path.clone(), source })?;
        let days = calendar::read(&text)
            .map_err(|list| CliError::Definitions(vec![Findings { file: shown(&path), text, list }]))?;
        calendars.insert(name.to_owned(), days);
    }
    Ok(calendars)
}
