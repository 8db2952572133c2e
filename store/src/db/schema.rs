//! Brings a database to the newest schema.

use sqlx::{
    SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::Db;

/// Every step: its number, and its file. To add one: a line here and a file of that name in both folders.
macro_rules! steps {
    ($folder:literal) => {
        steps!($folder:
            1 "0001_pipelines",
            2 "0002_runs",
            3 "0003_tasks",
            4 "0004_events",
            5 "0005_logs",
            6 "0006_schedules",
            10 "0010_workers",
            20 "0020_items",
            21 "0021_run_bounds",
            30 "0030_limits",
            31 "0031_backfills",
            40 "0040_trigger_keys",
            41 "0041_dead_letters",
            42 "0042_dataset_updates",
            43 "0043_schedule_pauses",
            50 "0050_version_states",
            51 "0051_api_tokens",
            52 "0052_run_lists",
            60 "0060_retention",
            61 "0061_outbox",
        )
    };
    ($folder:literal: $($number:literal $name:literal),* $(,)?) => {
        Migrator::with_migrations(vec![$(Migration::new(
            $number,
            $name[5..].into(),
            MigrationType::Simple,
            include_str!(concat!("../../../migrations/", $folder, "/", $name, ".sql")).into_sql_str(),
            false,
        )),*])
    };
}

/// The number of the newest step that this program knows.
pub(crate) fn newest_step() -> i64 {
    steps!("sqlite").iter().map(|step| step.version).max().unwrap_or_default()
}

/// Processes that open one database at the same time wait for each other: PostgreSQL by the migrator's own lock,
/// SQLite by a transaction around all steps.
pub(super) async fn migrate(db: &Db) -> Result<(), MigrateError> {
    match db {
        Db::Postgres { pool, .. } => steps!("postgres").run(pool).await,
        Db::Sqlite { writer, .. } => {
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
            steps!("sqlite").run_direct(None, &mut *tx, false).await?;
            Ok(tx.commit().await?)
        }
    }
}
