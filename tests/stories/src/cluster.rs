//! A cluster on this machine: real servers, and the parts of the platform as processes of the real binary.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tidemill_testkit::{Durability, Postgres, Redis, RedisOptions};

use crate::binary;

/// Longer than anything that is waited for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The servers, and the project that all parts share.
pub struct Cluster {
    /// The database's server.
    pub postgres: Postgres,
    /// The queue.
    pub redis: Redis,
    /// The address of the database.
    pub url: String,
    /// What else every process finds in its environment.
    pub env: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
    parts: AtomicU32,
}

/// A process of the platform. Dropped, it is killed.
pub struct Part {
    child: Child,
    /// What it said when it was ready.
    pub hello: Value,
    /// Where its log goes.
    pub log: PathBuf,
    /// What it is shown with every request.
    pub token: Option<String>,
}

impl Cluster {
    /// Starts the servers; `settings` is added to the project's file. PostgreSQL takes so many connections.
    pub async fn start(settings: &str, connections: u32) -> Self {
        Self::over(Postgres::start_for(Durability::Lost, connections).expect("a PostgreSQL"), settings).await
    }

    /// The same over a PostgreSQL that is there.
    pub async fn over(postgres: Postgres, settings: &str) -> Self {
        let redis = Redis::start(RedisOptions::default()).expect("a Redis");
        let url = postgres.fresh().await.expect("a database");
        let folder = tempfile::Builder::new().prefix("tidemill-cluster-").tempdir().expect("a folder");
        let text = format!(
            "connections:\n  out: {{kind: files, path: out, format: parquet}}\n\
             database: {{url: \"${{env:CLUSTER_DATABASE}}\"}}\nqueue: {{url: \"${{env:CLUSTER_QUEUE}}\"}}\n{settings}"
        );
        std::fs::write(folder.path().join("tidemill.yaml"), text).expect("a project");
        Self { postgres, redis, url, env: Vec::new(), folder, parts: AtomicU32::new(0) }
    }

    /// The project's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command in the project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.folder()).env("CLUSTER_DATABASE", &self.url);
        command.env("CLUSTER_QUEUE", self.redis.url()).env("NO_COLOR", "1").env("RUST_LOG", "tidemill=info,warn");
        command.env("RUST_BACKTRACE", "0").envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Starts a part and waits until it says that it is ready.
    pub fn part(&self, args: &[&str]) -> Part {
        self.part_with(args, &[])
    }

    /// The same, with environment variables.
    pub fn part_with(&self, args: &[&str], env: &[(&str, String)]) -> Part {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder().join(format!("{number}-{}.log", args[0]));
        let mut command = self.command(args);
        command.arg("--json").envs(env.iter().cloned());
        Part::start(command, log)
    }

    /// Runs a command to its end; its standard output as JSON.
    pub fn run(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(args).arg("--json").output().expect("the binary starts");
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).join("\n");
            panic!("{args:?} printed no JSON ({error}): {text}")
        });
        (output.status.code().unwrap_or(-1), said)
    }

    /// What the manifest of a table in the `out` connection says; none if nothing was loaded.
    pub fn manifest(&self, table: &str) -> Option<Value> {
        let path = self.folder().join("out").join(table).join("_manifest.json");
        let text = std::fs::read_to_string(path).ok()?;
        Some(serde_json::from_str(&text).expect("a manifest is JSON"))
    }
}

impl Part {
    /// Starts a command that prints JSON, and waits until it says that it is ready.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let stderr = File::create(&log).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the binary starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("it says something");
        let hello = serde_json::from_str(&line).unwrap_or_else(|error| {
            // What is wrong is told in many lines.
            let _ = stdout.read_to_string(&mut line);
            panic!("{command:?} is not ready ({error}): {line}{}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        // Somebody reads what it prints, so that it never waits.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(drop));
        Self { child, hello, log, token: None }
    }

    /// The address it serves, with `http://`.
    pub fn url(&self) -> &str {
        self.hello["url"].as_str().expect("it serves")
    }

    /// The same without.
    pub fn address(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Kills it as the machine would.
    pub fn kill(mut self) {
        self.child.kill().expect("SIGKILL can be sent");
        self.child.wait().expect("it is collected");
    }

    /// Waits for its end; its exit code.
    pub fn wait(&mut self) -> i32 {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code().unwrap_or(-1);
            }
            assert!(since.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Tells it to end, and waits for that.
    pub fn stop(mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends an HTTP request to the address it said it serves; the status, and the body as JSON.
    pub fn http(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, Value) {
        let address = self.address();
        let mut stream = TcpStream::connect(address).expect("connected");
        let mut extra: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        extra += &self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until something is there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "this does not happen: {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}
