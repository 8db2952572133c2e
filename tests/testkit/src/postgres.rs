//! A real PostgreSQL of its own, on a socket in a temporary folder.

use std::{
    ffi::OsStr,
    fs, io,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::{disk::SmallDisk, process::Process, tls::Certificates};

/// Whether what is committed survives a power cut. Tests of behaviour need not; measurements do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As a production server: every commit is flushed.
    Flushed,
    /// Nothing is flushed: what is committed survives the end of the server, not that of the machine.
    Lost,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// It is not installed.
    #[error(
        "PostgreSQL is not installed: neither the PATH nor /usr/lib/postgresql has `{0}`. `tests/run` installs what tests need; run that first"
    )]
    NotInstalled(&'static str),
    /// A program could not be run, or said no.
    #[error("`{program}` failed: {output}")]
    Program {
        /// Which one.
        program: String,
        /// What it said.
        output: String,
    },
    /// A file or folder could not be made.
    #[error("could not prepare the server's folder")]
    Folder(#[from] io::Error),
    /// The server did not answer.
    #[error("the server did not answer")]
    Silent(#[from] sqlx::Error),
}

/// A server. Dropped, or when its process ends in whatever way, the server ends and its folder goes.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    /// Where its data is, if it is to get full.
    disk: Option<SmallDisk>,
    user: Option<Account>,
    server: PathBuf,
    settings: Vec<String>,
    port: u16,
    databases: AtomicU32,
}

const USER: &str = "tidemill";
const PATIENCE: Duration = Duration::from_secs(60);
/// Part of the name of the socket.
const PORT: u16 = 5432;

impl Postgres {
    /// The server that all tests of one process share; it flushes nothing.
    ///
    /// # Panics
    /// If there is no PostgreSQL: a test that needs one must not pass without.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Durability::Lost).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Starts one.
    pub fn start(durability: Durability) -> Result<Self, PostgresError> {
        Self::start_for(durability, 300)
    }

    /// Starts one that takes so many connections at most.
    pub fn start_for(durability: Durability, connections: u32) -> Result<Self, PostgresError> {
        let server = Self::prepare(durability, connections)?;
        server.again()?;
        Ok(server)
    }

    /// Starts one whose data is on a small disk, where this user may mount one; see [`Postgres::disk`].
    pub fn start_small(connections: u32) -> Result<Self, PostgresError> {
        let server = Self::spare_small(connections)?;
        server.init()?;
        server.again()?;
        Ok(server)
    }

    /// The same without any data, not started: see [`Postgres::follow`].
    pub fn spare_small(connections: u32) -> Result<Self, PostgresError> {
        const MEBIBYTES: u32 = 400;
        let mut server = Self::spare(Durability::Lost, connections)?;
        server.disk = SmallDisk::mount(MEBIBYTES)?;
        server.settings.extend(["min_wal_size=32MB".to_owned(), "max_wal_size=64MB".to_owned()]);
        Ok(server)
    }

    /// The small disk that its data is on.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Starts it if it ended by itself, and waits until it answers.
    pub async fn recover(&self) -> Result<(), PostgresError> {
        let since = Instant::now();
        loop {
            if !self.process.is_running() {
                self.again()?;
            }
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(session) => return Ok(session.close().await?),
                Err(error) if since.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Starts one that strangers reach by TLS and with a password only, on a port of 127.0.0.1; with the certificates that
    /// it proves itself with.
    pub async fn start_guarded(password: &str) -> Result<(Self, Certificates), PostgresError> {
        let mut server = Self::prepare(Durability::Lost, 50)?;
        let folder = server.process.folder();
        let files = Certificates::write(folder)?;
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600))?;
        let rules = folder.join("data/pg_hba.conf");
        fs::write(&rules, "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")?;
        if let Some(user) = &server.user {
            for file in [&files.certificate, &files.key, &rules] {
                chown(file, Some(user.uid), Some(user.gid))?;
            }
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (certificate, key) = (files.certificate.display(), files.key.display());
        server.settings.retain(|setting| !setting.starts_with("listen_addresses"));
        server.settings.extend([
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={certificate}"),
            format!("ssl_key_file={key}"),
        ]);
        server.port = port;
        server.again()?;
        let mut session = PgConnection::connect(&server.url("postgres")).await?;
        session.execute(AssertSqlSafe(format!("ALTER ROLE {USER} PASSWORD '{password}'"))).await?;
        session.close().await?;
        Ok((server, files))
    }

    fn prepare(durability: Durability, connections: u32) -> Result<Self, PostgresError> {
        let server = Self::spare(durability, connections)?;
        server.init()?;
        Ok(server)
    }

    fn init(&self) -> Result<(), PostgresError> {
        let args = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", USER, "-D"];
        let mut initdb = as_user(&self.user, &find("initdb")?);
        finished("initdb", initdb.args(args).arg(self.data()).output()?).map(drop)
    }

    /// A server without any data, not started: see [`Postgres::follow`].
    pub fn spare(durability: Durability, connections: u32) -> Result<Self, PostgresError> {
        let server = find("postgres")?;
        let folder = TempDir::with_prefix("tidemill-pg-")?;
        let user = Account::for_server()?;
        if let Some(user) = &user {
            chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        let process = Process::new(folder, Signal::SIGQUIT)?;
        let settings = settings(durability, connections);
        Ok(Self { process, disk: None, user, server, settings, port: PORT, databases: AtomicU32::new(0) })
    }

    /// Starts it as a copy of another server that follows every commit there, and makes that one wait for it: what is
    /// committed is on both. Whatever this one held is forgotten.
    pub async fn follow(&self, primary: &Self) -> Result<(), PostgresError> {
        self.crash();
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let mut copy = as_user(&self.user, &find("pg_basebackup")?);
        copy.args(["-U", USER, "-p", &primary.port.to_string(), "-h"]).arg(primary.socket_folder());
        copy.args(["-X", "stream", "-R", "--no-sync", "-c", "fast", "-D"]).arg(&data);
        finished("pg_basebackup", copy.output()?)?;
        self.again()?;
        let mut session = PgConnection::connect(&primary.url("postgres")).await?;
        session.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        session.execute("SELECT pg_reload_conf()").await?;
        let since = Instant::now();
        let together = "SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')";
        while !sqlx::query_scalar::<_, bool>(together).fetch_one(&mut session).await? {
            if since.elapsed() > PATIENCE {
                return Err(PostgresError::Program { program: "postgres".into(), output: self.process.log() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(session.close().await?)
    }

    /// Makes a server that follows another one take writes itself.
    pub async fn promote(&self) -> Result<(), PostgresError> {
        let mut session = PgConnection::connect(&self.url("postgres")).await?;
        session.execute("SELECT pg_promote(true, 60)").await?;
        Ok(session.close().await?)
    }

    fn data(&self) -> PathBuf {
        self.disk.as_ref().map_or_else(|| self.process.folder().to_owned(), SmallDisk::path).join("data")
    }

    /// Starts it again after [`Postgres::stop`] or [`Postgres::crash`], with all that was committed.
    pub fn again(&self) -> Result<(), PostgresError> {
        let folder = self.process.folder();
        // What an earlier start wrote there must not be taken for this one's word.
        let _ = fs::remove_file(self.status());
        let mut command = as_user(&self.user, &self.server);
        command.arg("-D").arg(self.data()).arg("-k").arg(folder);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.process.start(&mut command)?;
        self.wait()
    }

    /// Ends it as an administrator does: connections are closed, what was committed is kept.
    pub fn stop(&self) {
        self.process.end(Signal::SIGINT);
    }

    /// Ends it as a crash does: it is recovered from its log when it starts again.
    pub fn crash(&self) {
        self.process.end(Signal::SIGQUIT);
    }

    /// Freezes it with all its connections: they stay open and nothing answers.
    pub fn pause(&self) {
        self.process.signal_all(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal_all(Signal::SIGCONT);
    }

    fn status(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    /// Waits until it takes connections: the last thing it writes into its pid file is that it is ready.
    fn wait(&self) -> Result<(), PostgresError> {
        let since = Instant::now();
        loop {
            let state = fs::read_to_string(self.status()).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| ["ready", "standby"].contains(&line.trim())) {
                return Ok(());
            }
            if since.elapsed() > PATIENCE || !self.process.is_running() {
                let output = self.process.log();
                return Err(PostgresError::Program { program: "postgres".into(), output });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The address of a new, empty database.
    pub async fn fresh(&self) -> Result<String, PostgresError> {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    /// The address of a database that is on this server or on another one.
    pub fn url_of_both(&self, other: &Self, database: &str) -> String {
        format!("{},{}", self.url(database), other.process.folder().display())
    }

    /// The address of a database by name.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost:{}/{database}?host={}", self.port, self.process.folder().display())
    }

    /// The port of a server that [`Postgres::start_guarded`] started.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid().and_then(|pid| u32::try_from(pid.as_raw()).ok())
    }

    /// The folder of its socket.
    pub fn socket_folder(&self) -> &Path {
        self.process.folder()
    }
}

fn settings(durability: Durability, connections: u32) -> Vec<String> {
    let mut settings = vec!["listen_addresses=", "shared_buffers=128MB", "log_min_messages=error"];
    if durability == Durability::Lost {
        // What was committed is in the log: a server that is killed has it when it starts again.
        settings.extend(["fsync=off", "full_page_writes=off"]);
    }
    let connections = format!("max_connections={connections}");
    settings.into_iter().map(str::to_owned).chain([connections]).collect()
}

/// Looks where Debian puts servers too; newest first.
fn find(program: &'static str) -> Result<PathBuf, PostgresError> {
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(versions.into_iter().rev().map(|version| version.join("bin")))
        .map(|folder| folder.join(program))
        .find(|place| place.is_file())
        .ok_or(PostgresError::NotInstalled(program))
}

/// Who the server runs as: it refuses to run as root.
#[derive(Debug)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    fn for_server() -> Result<Option<Self>, PostgresError> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let name = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
        Ok(Some(Self { uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
    }
}

fn id(args: &[&str]) -> Result<u32, PostgresError> {
    let text = finished("id", Command::new("id").args(args).output()?)?;
    text.trim().parse().map_err(|_| PostgresError::Program { program: "id".into(), output: text })
}

fn as_user(user: &Option<Account>, program: &Path) -> Command {
    let Some(Account { uid, gid }) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]).arg(program);
    command
}

fn finished(program: &str, output: Output) -> Result<String, PostgresError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(PostgresError::Program { program: program.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_starts_answers_and_leaves_nothing() {
        let server = Postgres::start(Durability::Lost).expect("a server");
        let url = server.fresh().await.expect("a database");
        let mut connection = PgConnection::connect(&url).await.expect("a connection");
        let (one,): (i32,) = sqlx::query_as("SELECT 1").fetch_one(&mut connection).await.expect("an answer");
        assert_eq!(one, 1);
        for end in [Postgres::stop, Postgres::crash] {
            end(&server);
            assert!(PgConnection::connect(&url).await.is_err());
            server.again().expect("it comes back");
            PgConnection::connect(&url).await.expect("a connection");
        }
        server.pause();
        let folder = server.socket_folder().to_owned();
        drop(server);
        assert!(!folder.exists(), "the server's folder is still there");
    }
}
