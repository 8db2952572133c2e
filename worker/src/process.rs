//! Starting, watching and really ending a user's processes.
//!
//! Every process leads a group of its own, so that whatever it starts ends with it. All are started by
//! one thread that lives as long as this handle: the parent death signal is tied to the thread.

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, mpsc},
};

use nix::{sys::signal::Signal, unistd::Pid};
use tidemill_store::LogStream;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    process::{Child, Command},
    sync::oneshot,
};

use crate::{logs::AttemptLog, sandbox::Confinement};

/// Environment variables that user processes inherit. The rest stays with the worker: it holds
/// passwords of databases and keys of stores.
const INHERITED: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "PYENV_VERSION",
    "PYENV_ROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What to start.
#[derive(Debug)]
pub(crate) struct Program {
    /// The program and its arguments; the first is looked up on `PATH`.
    pub words: Vec<OsString>,
    /// Variables beyond the inherited ones.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub folder: PathBuf,
    /// Its standard input; nothing if unset.
    pub stdin: Option<OwnedFd>,
    /// Its limits.
    pub confinement: Arc<Confinement>,
}

/// A process that runs, and what it prints.
#[derive(Debug)]
pub(crate) struct Running {
    /// The leader of its group.
    pub leader: Leader,
    /// Its output.
    pub output: Output,
}

/// The first process of a group. Dropped, the whole group dies.
#[derive(Debug)]
pub(crate) struct Leader {
    child: Child,
    group: Group,
    /// The thread must outlive the process.
    _starter: Starter,
}

/// The reading ends of a process' output.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

/// A process group; ends when it is dropped.
#[derive(Debug)]
struct Group(Pid);

impl Group {
    fn kill(&self) {
        // An error means that nobody is left to get it.
        let _ = nix::sys::signal::killpg(self.0, Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Leader {
    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the group at once.
    pub async fn kill(&mut self) {
        self.group.kill();
        let _ = self.child.wait().await;
    }
}

impl Output {
    /// Passes on what is printed, for as long as it is polled.
    pub async fn pump(&mut self, log: &AttemptLog) -> Infallible {
        let (never, _) = tokio::join!(
            pump(&mut self.stdout, LogStream::Stdout, log),
            pump(&mut self.stderr, LogStream::Stderr, log),
        );
        match never {}
    }

    /// Passes on what is in the pipes right now.
    pub fn drain(&self, mut take: impl FnMut(LogStream, &[u8])) {
        drain(&self.stdout, |bytes| take(LogStream::Stdout, bytes));
        drain(&self.stderr, |bytes| take(LogStream::Stderr, bytes));
    }
}

async fn pump(pipe: &mut pipe::Receiver, stream: LogStream, log: &AttemptLog) -> Infallible {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) => std::future::pending::<()>().await,
            Ok(count) => log.printed(stream, &buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => std::future::pending::<()>().await,
        }
    }
}

/// Reads the descriptor itself: the runtime may not know yet that something arrived.
fn drain(pipe: &pipe::Receiver, mut take: impl FnMut(&[u8])) {
    // More than a pipe holds, but not without end: somebody may go on printing.
    const MOST: usize = 1 << 20;
    let mut buffer = [0_u8; 16 * 1024];
    let mut total = 0;
    while total < MOST {
        // SAFETY: the buffer lives on this stack and is as long as said.
        let count = unsafe { libc::read(pipe.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        let Ok(count) = usize::try_from(count) else { return };
        if count == 0 {
            return;
        }
        take(&buffer[..count]);
        total += count;
    }
}

/// How a process ended, as a half sentence.
pub(crate) fn describe_end(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(libc::SIGKILL)) => "was killed (signal 9)".to_owned(),
        (None, Some(libc::SIGSEGV)) => "crashed (signal 11)".to_owned(),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
    }
}

struct Job {
    program: Program,
    starter: Starter,
    runtime: tokio::runtime::Handle,
    answer: oneshot::Sender<io::Result<Running>>,
}

/// The thread that starts processes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Starter(mpsc::Sender<Job>);

impl Starter {
    /// Starts the thread.
    pub fn new() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("tidemill-start".to_owned()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                let _in_runtime = job.runtime.enter();
                let _ = job.answer.send(start(job.program, job.starter));
            }
        })?;
        Ok(Self(jobs))
    }

    /// Starts one process.
    pub async fn start(&self, program: Program) -> io::Result<Running> {
        let (answer, started) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let job = Job { program, starter: self.clone(), runtime, answer };
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.0.send(job).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

fn start(program: Program, starter: Starter) -> io::Result<Running> {
    let Program { words, env, folder, stdin, confinement } = program;
    let (name, arguments) = words.split_first().ok_or_else(|| io::Error::other("no program was named"))?;
    let (stdout_read, stdout_write) = io::pipe()?;
    let (stderr_read, stderr_write) = io::pipe()?;
    let mut command = std::process::Command::new(name);
    command
        .args(arguments)
        .env_clear()
        .envs(INHERITED.into_iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))))
        .envs(env)
        .current_dir(folder)
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(stdout_write)
        .stderr(stderr_write)
        .process_group(0);
    // SAFETY: `apply` makes system calls on prepared memory only.
    unsafe { command.pre_exec(move || confinement.apply()) };
    let child = Command::from(command).kill_on_drop(true).spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(|| io::Error::other("no process id"))?;
    let leader = Leader { group: Group(Pid::from_raw(id)), child, _starter: starter };
    let output = Output {
        stdout: pipe::Receiver::from_owned_fd(stdout_read.into())?,
        stderr: pipe::Receiver::from_owned_fd(stderr_read.into())?,
    };
    Ok(Running { leader, output })
}
