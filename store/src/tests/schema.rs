//! The migrated schema, compared with a golden dump; and what its laws forbid.

use std::{fmt::Write, path::Path};

use super::bed::Bed;
use crate::db::{Columns, Sql};

/// One line per column, constraint and index, in an order of its own.
const DUMP: Sql = Sql {
    sqlite: "SELECT name || ': ' || sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY tbl_name, type DESC, name",
    postgres: "SELECT line FROM ( \
               SELECT 1 AS part, table_name::text AS owner, ordinal_position::int AS place, \
               table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END AS line \
               FROM information_schema.columns WHERE table_schema = 'public' \
               UNION ALL SELECT 2, conrelid::regclass::text, 0, \
               conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
               UNION ALL SELECT 3, tablename::text, 0, indexdef FROM pg_indexes WHERE schemaname = 'public' \
               ) AS lines WHERE owner NOT LIKE '\\_sqlx%' ORDER BY owner, part, place, line",
};

async fn same_as_golden(bed: &Bed, name: &str) {
    let mut dump = String::new();
    for row in bed.store.desk.db.read("dump the schema", DUMP, &[]).await.expect("a dump") {
        let line: String = Columns::of(&row, "schema").next("line").expect("text");
        for line in line.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")) {
            writeln!(dump, "{line}").expect("memory");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &dump).expect("a golden file");
    }
    let golden = std::fs::read_to_string(&path).expect("a golden file");
    assert!(golden == dump, "the schema changed; if that is meant, run this test once with UPDATE_GOLDEN=1\n{dump}");
}

#[tokio::test]
async fn sqlite_has_the_schema_it_should() {
    same_as_golden(&Bed::sqlite().await, "sqlite.schema").await;
}

#[tokio::test]
async fn postgres_has_the_schema_it_should() {
    same_as_golden(&Bed::postgres().await, "postgres.schema").await;
}

/// Rows that no life leads to.
const IMPOSSIBLE: [&str; 11] = [
    "UPDATE tasks SET state = 'running'",
    "UPDATE tasks SET state = 'waiting', offered_at = NULL",
    "UPDATE tasks SET owner = 'w'",
    "UPDATE tasks SET state = 'succeeded', offered_at = NULL",
    "UPDATE tasks SET state = 'paused'",
    "UPDATE tasks SET attempt = 0",
    "UPDATE tasks SET up_pending = 1",
    "UPDATE runs SET state = 'succeeded'",
    "UPDATE runs SET tasks_left = 2",
    "UPDATE versions SET state = 'forgotten'",
    "INSERT INTO version_events (pipeline, version, at, event, from_state, to_state, actor) \
     SELECT pipeline, id, 1, 'activate', 'active', 'active', 'nobody' FROM versions",
];

async fn forbids(bed: &Bed) {
    bed.run(&[&[]]).await;
    for sql in IMPOSSIBLE {
        let done = bed.store.desk.db.change("break a law", sql, &[]).await;
        assert!(done.is_err(), "the database allowed: {sql}");
    }
    bed.holds().await;
}

#[tokio::test]
async fn sqlite_forbids_impossible_rows() {
    forbids(&Bed::sqlite().await).await;
}

#[tokio::test]
async fn postgres_forbids_impossible_rows() {
    forbids(&Bed::postgres().await).await;
}

/// A comment of its own stands above every column.
#[test]
fn every_column_has_a_comment() {
    for folder in ["sqlite", "postgres"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(folder);
        let mut columns = 0;
        for entry in std::fs::read_dir(path).expect("migrations") {
            let text = std::fs::read_to_string(entry.expect("a file").path()).expect("text");
            let mut before = "";
            for line in text.lines() {
                let name = line.strip_prefix("    ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
                if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                    assert!(before.trim_start().starts_with("-- "), "no comment above `{line}` in {folder}");
                    columns += 1;
                }
                before = line;
            }
        }
        assert!(columns > 60, "{columns} columns seen");
    }
}

/// Opening a database again changes nothing, and two may open an empty one at once.
#[tokio::test]
async fn a_database_opens_twice() {
    for bed in [Bed::sqlite().await, Bed::postgres().await] {
        let (one, two) = tokio::join!(bed.another(), bed.another());
        assert_eq!(one.0.pipelines().await.expect("pipelines"), two.0.pipelines().await.expect("pipelines"));
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("new.db").display());
    let postgres = tidemill_testkit::Postgres::shared().fresh().await.expect("a database");
    for url in [sqlite, postgres, "sqlite::memory:".into()] {
        let (one, two) = tokio::join!(Bed::over(url.clone(), None), Bed::over(url, None));
        one.run(&[&[]]).await;
        two.run(&[&[]]).await;
        one.holds().await;
        two.holds().await;
    }
}
