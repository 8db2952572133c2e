//! Starting, watching and really ending a user's processes.
//!
//! Every process leads a group of its own, so that whatever it starts ends with it. All are started by
//! one thread that lives as long as this handle: the parent death signal is tied to the thread.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, mpsc},
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::Pid};
use tokio::{
    net::unix::pipe,
    process::{Child, Command},
    sync::oneshot,
};

use crate::sandbox::Confinement;

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

/// A process that runs, with both ends of its output.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: Group,
    /// What it prints.
    pub stdout: pipe::Receiver,
    /// What it complains about.
    pub stderr: pipe::Receiver,
}

/// A process group; ends when it is dropped.
#[derive(Debug)]
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // An error means that nobody is left to get it.
        let _ = nix::sys::signal::killpg(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Running {
    /// Waits for the leader's end.
    pub async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait().await
    }

    /// Asks the group to stop, and makes it stop when it does not within `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        if !grace.is_zero() {
            self.group.signal(Signal::SIGTERM);
            let _ = tokio::time::timeout(grace, self.child.wait()).await;
        }
        self.group.signal(Signal::SIGKILL);
        let _ = self.child.wait().await;
    }
}

struct Job {
    program: Program,
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
                let _ = job.answer.send(start(job.program));
            }
        })?;
        Ok(Self(jobs))
    }

    /// Starts one process.
    pub async fn start(&self, program: Program) -> io::Result<Running> {
        let (answer, started) = oneshot::channel();
        let job = Job { program, runtime: tokio::runtime::Handle::current(), answer };
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.0.send(job).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

fn start(program: Program) -> io::Result<Running> {
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
    Ok(Running {
        group: Group(Pid::from_raw(id)),
        child,
        stdout: pipe::Receiver::from_owned_fd(stdout_read.into())?,
        stderr: pipe::Receiver::from_owned_fd(stderr_read.into())?,
    })
}
