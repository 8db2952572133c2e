//! A server's process and folder: started, stopped, frozen and started again; gone when dropped, or when the
//! test's own process ends in whatever way.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// A folder with the process that works in it. While the process is away, the folder stays.
#[derive(Debug)]
pub(crate) struct Process {
    folder: PathBuf,
    child: Mutex<Option<Child>>,
    ender: Child,
}

const PID: &str = "server.pid";

/// A small process that outlives ours: when its input ends, because we dropped it or were killed, it ends the
/// server, which may be frozen, and removes the folder.
const END: &str = r#"cat >/dev/null
pid=$(cat "$2/server.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -"$1" "$pid" 2>/dev/null
    kill -CONT "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -KILL "$pid" 2>/dev/null
fi
umount -l "$2/disk" 2>/dev/null
rm -rf "$2""#;

/// Where a file system may be mounted in the folder; it goes with the rest.
pub(crate) const DISK: &str = "disk";

impl Process {
    /// Keeps a folder for a process that is still to be started; `end` is the signal that ends it in the end.
    pub fn new(folder: TempDir, end: Signal) -> io::Result<Self> {
        let folder = folder.keep();
        let end = end.as_str().trim_start_matches("SIG");
        let mut command = Command::new("sh");
        command.args(["-c", END, "sh", end]).arg(&folder);
        let ender = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { folder, child: Mutex::new(None), ender })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it wrote on its standard output and error, all starts together.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process. One that runs already is left alone.
    pub fn start(&self, command: &mut Command) -> io::Result<()> {
        let mut child = self.child();
        if child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return Ok(());
        }
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let started = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        fs::write(self.folder.join(PID), started.id().to_string())?;
        *child = Some(started);
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&self) -> bool {
        self.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sends the process a signal; nothing if it has ended.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, signal);
        }
    }

    /// Sends a signal to the process and to those it started.
    pub fn signal_all(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let _ = kill(pid, signal);
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            let _ = kill(Pid::from_raw(child), signal);
        }
    }

    /// Its id while it runs.
    pub fn pid(&self) -> Option<Pid> {
        let mut child = self.child();
        let child = child.as_mut()?;
        let runs = matches!(child.try_wait(), Ok(None));
        i32::try_from(child.id()).ok().filter(|_| runs).map(Pid::from_raw)
    }

    /// Ends the process with a signal and waits until it has ended.
    pub fn end(&self, signal: Signal) {
        self.signal(signal);
        let mut child = self.child();
        if let Some(child) = child.as_mut() {
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.folder.join(PID));
        *child = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.ender.stdin.take());
        // Until it is waited for, a server that ended still looks alive to the ender.
        if let Some(mut child) = self.child().take() {
            let _ = child.wait();
        }
        let _ = self.ender.wait();
    }
}
