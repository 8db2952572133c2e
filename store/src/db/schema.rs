//! Brings a database to the newest schema.

use sqlx::{
    SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::Db;

macro_rules! steps {
    ($folder:literal) => {
        steps!($folder: 1 "pipelines", 2 "runs", 3 "tasks", 4 "events", 5 "logs", 6 "schedules")
    };
    ($folder:literal: $($number:literal $name:literal),*) => {
        Migrator::with_migrations(vec![$(Migration::new(
            $number,
            $name.into(),
            MigrationType::Simple,
            include_str!(concat!("../../../migrations/", $folder, "/000", $number, "_", $name, ".sql")).into_sql_str(),
            false,
        )),*])
    };
}

/// Processes that open one database at the same time wait for each other: PostgreSQL by the migrator's own lock,
/// SQLite by a transaction around all steps.
pub(super) async fn migrate(db: &Db) -> Result<(), MigrateError> {
    match db {
        Db::Postgres(pool) => steps!("postgres").run(pool).await,
        Db::Sqlite { writer, .. } => {
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
            steps!("sqlite").run_direct(None, &mut *tx, false).await?;
            Ok(tx.commit().await?)
        }
    }
}
