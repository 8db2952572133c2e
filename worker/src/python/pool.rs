//! Warm hosts that wait for work, by their limits.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tidemill_dag::spec::Limits;
use tokio::sync::OnceCell;

use super::{Host, host::socket_pair};
use crate::{
    error::{TaskError, files},
    process::{Program, Starter},
    sandbox::Confinement,
};

/// Serves calls; see its first lines for the protocol.
const HOST: &str = include_str!("host.py");

/// Reads the host's source from the last argument, so that its frames are named and can be left out
/// of tracebacks.
const BOOT: &str = "import sys; exec(compile(sys.argv.pop(), '<tidemill>', 'exec')); main()";

/// Names the folders of hosts; workers of one process share the folder above.
static HOSTS: AtomicU64 = AtomicU64::new(0);

/// The host processes of one worker.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    starter: Starter,
    python: PathBuf,
    interpreter: OnceCell<PathBuf>,
    scratch: PathBuf,
    most: usize,
    idle: Mutex<Vec<Host>>,
}

impl Pool {
    /// `python` is a path or a name on `PATH`; `most` hosts are kept idle.
    pub fn new(starter: Starter, python: PathBuf, scratch: PathBuf, most: usize) -> Self {
        Self(Arc::new(Inner { starter, python, interpreter: OnceCell::new(), scratch, most, idle: Mutex::default() }))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Host>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host with these limits: an idle one, or a new one.
    ///
    /// # Errors
    /// When there is no Python, or it does not start.
    pub async fn acquire(&self, limits: &Limits) -> Result<Host, TaskError> {
        let found = {
            let mut idle = self.idle();
            let at = idle.iter().rposition(|host| host.limits() == limits);
            at.map(|at| idle.remove(at))
        };
        match found {
            Some(host) => Ok(host),
            None => self.start(limits).await,
        }
    }

    /// Takes a host back, or ends it when it should serve no more; then another one is made ready.
    pub fn release(&self, host: Host) {
        if !host.reusable() {
            let limits = host.limits().clone();
            drop(host);
            self.warm(&limits);
            return;
        }
        let mut idle = self.idle();
        idle.push(host);
        // The one that waited longest goes: its limits are the least wanted.
        let surplus = (idle.len() > self.0.most).then(|| idle.remove(0));
        drop(idle);
        drop(surplus);
    }

    /// Makes a host ready in the background unless one is waiting already.
    pub fn warm(&self, limits: &Limits) {
        if self.idle().iter().any(|host| host.limits() == limits) {
            return;
        }
        let (pool, limits) = (self.clone(), limits.clone());
        tokio::spawn(async move {
            match pool.start(&limits).await {
                Ok(host) => pool.release(host),
                Err(error) => tracing::debug!(%error, "no host could be made ready"),
            }
        });
    }

    /// Ends every idle host.
    pub fn close(&self) {
        self.idle().clear();
    }

    async fn start(&self, limits: &Limits) -> Result<Host, TaskError> {
        let interpreter = self.0.interpreter.get_or_try_init(|| self.find()).await?;
        let serial = HOSTS.fetch_add(1, Ordering::Relaxed);
        let scratch = self.0.scratch.join(format!("host-{serial}"));
        let temp = scratch.join("tmp");
        std::fs::create_dir_all(&temp).map_err(files("make", &temp))?;
        let confinement = Confinement::prepare(limits, Some(std::slice::from_ref(&scratch)))
            .map_err(|source| self.cannot_start(source))?;
        let (link, theirs) = socket_pair().map_err(|source| self.cannot_start(source))?;
        let program = Program {
            words: [interpreter.as_os_str().to_owned(), "-c".into(), BOOT.into(), HOST.into()].into(),
            env: environment(&temp),
            folder: scratch.clone(),
            stdin: Some(theirs),
            confinement: Arc::new(confinement),
        };
        let running = self.0.starter.start(program).await.map_err(|source| self.cannot_start(source))?;
        Host::greet(running, link, scratch, limits.clone()).await
    }

    fn cannot_start(&self, source: std::io::Error) -> TaskError {
        TaskError::NoPython(format!("`{}` cannot be started: {source}", self.0.python.display()))
    }

    /// The interpreter itself: what is on `PATH` may be a slow wrapper around it.
    async fn find(&self) -> Result<PathBuf, TaskError> {
        const ASK: &str =
            "import sys; assert sys.version_info >= (3, 8), 'it is older than 3.8'; print(sys.executable)";
        let output = tokio::process::Command::new(&self.0.python)
            .args(["-c", ASK])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| self.cannot_start(source))?;
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || path.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it said nothing").to_owned();
            return Err(TaskError::NoPython(format!("`{}` does not work: {last}", self.0.python.display())));
        }
        Ok(PathBuf::from(path))
    }
}

fn environment(temp: &Path) -> Vec<(OsString, OsString)> {
    [
        ("TMPDIR", temp.as_os_str()),
        ("PYTHONDONTWRITEBYTECODE", "1".as_ref()),
        ("PYTHONUTF8", "1".as_ref()),
        // Arrow's other allocators reserve a gigabyte of addresses at once, which counts against the limit.
        ("ARROW_DEFAULT_MEMORY_POOL", "system".as_ref()),
        ("MALLOC_ARENA_MAX", "2".as_ref()),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.to_owned()))
    .collect()
}
