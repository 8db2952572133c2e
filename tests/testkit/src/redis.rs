//! A real Redis of its own, on a private port, that keeps nothing on disk.

use std::{
    fs, io,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{process::Process, tls::Certificates};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It is not installed.
    #[error(
        "Redis is not installed: no `redis-server` on the PATH. `tests/run` installs what tests need; run that first"
    )]
    NotInstalled,
    /// A file, folder, port or process could not be had.
    #[error("could not prepare the server")]
    Machine(#[from] io::Error),
    /// It did not come up.
    #[error("the server did not answer: {0}")]
    Silent(String),
    /// It said no.
    #[error("the server refuses: {0}")]
    Refused(String),
}

/// What kind of server is wanted. By default: no password, no TLS.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// The password of the default user.
    pub password: Option<String>,
    /// Whether it speaks only TLS on its port, with a certificate of [`Redis::certificates`].
    pub tls: bool,
    /// The port of the server that this one copies.
    pub replica_of: Option<u16>,
}

/// A server. Dropped, or when its process ends in whatever way, the server ends and its folder goes.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    options: RedisOptions,
    certificates: Option<Certificates>,
}

const PATIENCE: Duration = Duration::from_secs(30);
const PROGRAM: &str = "redis-server";

impl Redis {
    /// The server that all tests of one process share; each test uses names of its own.
    ///
    /// # Panics
    /// If there is no Redis: a test that needs one must not pass without.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(RedisOptions::default()).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Starts one.
    pub fn start(options: RedisOptions) -> Result<Self, RedisError> {
        // Between our look for a free port and the server's start somebody else may take it.
        let mut tries = 0;
        loop {
            match Self::start_once(options.clone()) {
                Err(RedisError::Silent(log)) if tries < 5 && log.contains("Address already in use") => tries += 1,
                done => return done,
            }
        }
    }

    fn start_once(options: RedisOptions) -> Result<Self, RedisError> {
        let folder = TempDir::with_prefix("tidemill-redis-")?;
        let certificates = options.tls.then(|| Certificates::write(folder.path())).transpose()?;
        let port = free_port()?;
        let server = Self { process: Process::new(folder, Signal::SIGTERM)?, port, options, certificates };
        server.again()?;
        Ok(server)
    }

    /// Starts it again after [`Redis::stop`], on the same port; it has forgotten everything.
    pub fn again(&self) -> Result<(), RedisError> {
        let mut command = Command::new(PROGRAM);
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--unixsocketperm", "700"]);
        command.arg("--dir").arg(self.process.folder()).arg("--unixsocket").arg(self.socket());
        match &self.certificates {
            Some(files) => {
                command.args(["--port", "0", "--tls-auth-clients", "no", "--tls-port", &self.port.to_string()]);
                command.arg("--tls-cert-file").arg(&files.certificate).arg("--tls-key-file").arg(&files.key);
                command.arg("--tls-ca-cert-file").arg(&files.authority);
            }
            None => drop(command.args(["--port", &self.port.to_string()])),
        }
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password, "--masterauth", password]);
        }
        if let Some(master) = self.options.replica_of {
            command.args(["--replicaof", "127.0.0.1", &master.to_string(), "--repl-diskless-sync-delay", "0"]);
        }
        self.process.start(&mut command).map_err(missing)?;
        self.wait()
    }

    fn wait(&self) -> Result<(), RedisError> {
        let since = Instant::now();
        while self.ask(&["PING"]).is_err() {
            if since.elapsed() > PATIENCE || !self.process.is_running() {
                return Err(RedisError::Silent(self.process.log()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it and forgets everything it held; [`Redis::again`] brings it back.
    pub fn stop(&self) {
        self.process.end(Signal::SIGKILL);
        let _ = fs::remove_file(self.socket());
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Its address, without the password: `redis://127.0.0.1:PORT`, or `rediss://localhost:PORT` with TLS.
    pub fn address(&self) -> String {
        self.url_with("")
    }

    /// Its address with all that a client needs to be let in.
    pub fn url(&self) -> String {
        self.url_with(&self.options.password.as_ref().map_or_else(String::new, |password| format!(":{password}@")))
    }

    fn url_with(&self, login: &str) -> String {
        let (scheme, host) = if self.options.tls { ("rediss", "localhost") } else { ("redis", "127.0.0.1") };
        format!("{scheme}://{login}{host}:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid().and_then(|pid| u32::try_from(pid.as_raw()).ok())
    }

    /// What it proves itself with, if it speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    fn socket(&self) -> PathBuf {
        self.process.folder().join("socket")
    }

    /// Says something to the server past all clients under test, as `CONFIG SET` or `FLUSHALL`, and returns its
    /// answer as text; the parts of a list on lines of their own.
    pub fn ask(&self, words: &[&str]) -> Result<String, RedisError> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(stream);
        if let Some(password) = &self.options.password {
            say(lines.get_mut(), &["AUTH", password])?;
            hear(&mut lines)?;
        }
        say(lines.get_mut(), words)?;
        hear(&mut lines)
    }
}

fn missing(error: io::Error) -> RedisError {
    if error.kind() == io::ErrorKind::NotFound { RedisError::NotInstalled } else { error.into() }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn say(to: &mut UnixStream, words: &[&str]) -> io::Result<()> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    to.write_all(text.as_bytes())
}

fn hear(from: &mut BufReader<UnixStream>) -> Result<String, RedisError> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(RedisError::Silent("it hung up".into()));
    };
    match kind {
        "-" => Err(RedisError::Refused(rest.to_owned())),
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Ok(String::new()) };
            let mut text = vec![0; length + 2];
            from.read_exact(&mut text)?;
            text.truncate(length);
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        "*" => {
            let parts = (0..rest.parse::<usize>().unwrap_or(0)).map(|_| hear(from));
            Ok(parts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        _ => Ok(rest.to_owned()),
    }
}

/// A Redis, a copy of it, and a Sentinel that watches both and makes the copy the master when the first is gone.
#[derive(Debug)]
pub struct Sentinel {
    /// The master at the beginning.
    pub first: Redis,
    /// The copy.
    pub second: Redis,
    process: Process,
    port: u16,
}

impl Sentinel {
    /// The name under which the sentinel knows the master.
    pub const MASTER: &str = "tidemill";

    /// Starts all three and waits until the sentinel knows the copy.
    pub fn start(password: Option<&str>) -> Result<Self, RedisError> {
        let options = RedisOptions { password: password.map(str::to_owned), ..RedisOptions::default() };
        let first = Redis::start(options.clone())?;
        let second = Redis::start(RedisOptions { replica_of: Some(first.port), ..options })?;
        let folder = TempDir::with_prefix("tidemill-sentinel-")?;
        let port = free_port()?;
        let (name, file) = (Self::MASTER, folder.path().join("sentinel.conf"));
        let mut text = format!(
            "port {port}\nbind 127.0.0.1\nunixsocket {}\nsentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n",
            folder.path().join("socket").display(),
            first.port
        );
        if let Some(password) = password {
            text.push_str(&format!("sentinel auth-pass {name} {password}\n"));
        }
        fs::write(&file, text)?;
        let process = Process::new(folder, Signal::SIGTERM)?;
        process.start(Command::new(PROGRAM).arg(file).arg("--sentinel")).map_err(missing)?;
        let sentinel = Self { first, second, process, port };
        let since = Instant::now();
        while !sentinel.knows_the_copy() {
            if since.elapsed() > PATIENCE {
                return Err(RedisError::Silent(sentinel.process.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(sentinel)
    }

    fn knows_the_copy(&self) -> bool {
        let port = self.second.port.to_string();
        let known = self.ask(&["SENTINEL", "REPLICAS", Self::MASTER]).is_ok_and(|text| text.contains(&port));
        known && self.second.ask(&["INFO", "replication"]).is_ok_and(|text| text.contains("master_link_status:up"))
    }

    /// Says something to the sentinel.
    pub fn ask(&self, words: &[&str]) -> Result<String, RedisError> {
        let mut lines = BufReader::new(UnixStream::connect(self.socket())?);
        say(lines.get_mut(), words)?;
        hear(&mut lines)
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("socket")
    }

    fn folder(&self) -> &Path {
        self.process.folder()
    }

    /// The sentinel's own address.
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_forgets_and_leaves_nothing() {
        let server =
            Redis::start(RedisOptions { password: Some("p w".into()), ..RedisOptions::default() }).expect("one");
        server.ask(&["RPUSH", "list", "a", "b"]).expect("it answers");
        assert_eq!(server.ask(&["LRANGE", "list", "0", "-1"]).expect("it answers"), "a\nb");
        server.stop();
        assert!(server.ask(&["PING"]).is_err());
        server.again().expect("it comes back");
        assert_eq!(server.ask(&["LLEN", "list"]).expect("it answers"), "0");
        assert!(matches!(server.ask(&["NONSENSE"]), Err(RedisError::Refused(_))));
        let folder = server.process.folder().to_owned();
        server.pause();
        drop(server);
        assert!(!folder.exists(), "the server's folder is still there");
    }

    #[test]
    fn a_server_with_tls_listens_on_its_port() {
        let server = Redis::start(RedisOptions { tls: true, ..RedisOptions::default() }).expect("a server");
        assert!(server.address().starts_with("rediss://localhost:"));
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok());
        assert!(server.certificates().is_some_and(|files| files.authority.is_file()));
    }

    #[test]
    fn a_sentinel_names_the_copy_when_the_master_is_gone() {
        let all = Sentinel::start(Some("pw")).expect("a sentinel");
        let master = || all.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Sentinel::MASTER]).expect("it answers");
        assert!(master().ends_with(&all.first.port().to_string()));
        all.first.stop();
        let since = Instant::now();
        while !master().ends_with(&all.second.port().to_string()) {
            assert!(since.elapsed() < PATIENCE, "no failover: {}", all.process.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
