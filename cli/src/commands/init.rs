use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::Init;
use crate::config;
use crate::error::{CliError, Exit};
use crate::out::Out;

const PROJECT: &str = "\
# A Tidemill project. `tidemill config reference` prints every setting with its default.
connections:
  # Every CSV, JSON lines or Parquet file in the folder `data` is a table.
  data: {kind: files, path: data}
  # Results go here.
  out: {kind: files, path: out, format: parquet}
";

const PIPELINE: &str = "\
# Try it:  tidemill plan pipelines/hello.yaml  ·  tidemill run hello
pipeline: hello
description: Greetings per language, as an example to change.
tasks:
  greetings: {extract: {connection: data, table: greetings}}
  per_language:
    sql: SELECT language, count(*) AS greetings FROM greetings GROUP BY language ORDER BY language
  sane:
    check: {input: per_language, expect: [{not_null: language}, {unique: language}]}
  publish:
    load: {input: per_language, connection: out, table: greetings_per_language}
    needs: [sane]
";

const DATA: &str = "language,greeting\nen,hello\nen,hi\nde,hallo\nfr,bonjour\n";

/// Makes a project. What is there already is never overwritten: then nothing at all is written.
pub fn run(args: Init, project: Option<&Path>, out: Out) -> Result<Exit, CliError> {
    let dir = args.dir.or_else(|| project.map(Path::to_owned)).unwrap_or_else(|| PathBuf::from("."));
    let files = [(config::FILE, PROJECT), ("pipelines/hello.yaml", PIPELINE), ("data/greetings.csv", DATA)];
    if let Some((name, _)) = files.iter().find(|(name, _)| dir.join(name).exists()) {
        return Err(CliError::Exists { path: dir.join(name) });
    }
    for (name, text) in files {
        write(&dir.join(name), text)?;
    }
    if out.json {
        out.value(&json!({"root": dir, "files": files.map(|(name, _)| name)}))?;
        return Ok(Exit::Ok);
    }
    for (name, _) in files {
        out.line(format!("wrote {}", dir.join(name).display()))?;
    }
    let at = if dir == Path::new(".") { String::new() } else { format!("-C {} ", dir.display()) };
    out.line(format!(
        "\nNow try:\n  tidemill {at}run hello\n  tidemill {at}ask \"number of greetings per language\" --yes"
    ))?;
    Ok(Exit::Ok)
}

/// Writes a new file and the folders above it.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let wrong = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::Exists { path: path.to_owned() },
        _ => CliError::WriteFile { path: path.to_owned(), source },
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(wrong)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)
}
