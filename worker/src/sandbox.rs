//! What keeps a user's process in its place: address space, open files, where it may write, and
//! whether it meets the network.
//!
//! Everything is prepared before the fork, because between fork and exec only plain system calls are
//! allowed. What the running kernel cannot do is not pretended: [`probe`] says it, `plan` prints it,
//! and the task's log repeats it.

use std::{
    fmt, io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use serde::Serialize;
use tidemill_dag::spec::Limits;

/// The address space of a user's process where the definition says nothing.
pub const DEFAULT_MEMORY_MB: u64 = 1024;

/// Open files of a user's process.
const MAX_FILES: u64 = 4096;

/// Devices that anybody may write to.
const WRITABLE_DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/shm"];

/// Whether one limit holds here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "holds", content = "how")]
pub enum Holds {
    /// It does, by this means.
    Yes(&'static str),
    /// Only in part; the text says what is missing.
    Partly(&'static str),
    /// Not at all; the text says why.
    No(&'static str),
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes(how) => write!(f, "holds ({how})"),
            Self::Partly(how) => write!(f, "holds in part ({how})"),
            Self::No(why) => write!(f, "does not hold ({why})"),
        }
    }
}

/// Limits that hold on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitsThatHold {
    /// `limits.memory_mb`: the address space of the process.
    pub memory: Holds,
    /// Python writes files only in the scratch folder of its attempt.
    pub files: Holds,
    /// No network unless `limits.network` is true.
    pub network: Holds,
    /// The process dies with the worker.
    pub orphans: Holds,
    #[serde(skip)]
    wall: Wall,
}

/// The means against the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wall {
    /// The worker's network namespace without interfaces, which all such processes enter.
    Namespace(RawFd),
    /// One for each process, from inside a user namespace.
    UserNamespace,
    /// TCP refused by Landlock.
    Landlock,
    /// Nothing.
    None,
}

/// Finds out, once, what the running kernel allows.
pub fn probe() -> &'static LimitsThatHold {
    static FOUND: OnceLock<LimitsThatHold> = OnceLock::new();
    FOUND.get_or_init(look)
}

fn look() -> LimitsThatHold {
    let abi = landlock_abi();
    let wall = find_wall(abi);
    let files = match abi {
        3.. => Holds::Yes("Landlock"),
        1..=2 => Holds::Partly("this kernel's Landlock lets a file be shortened"),
        _ => Holds::No("the kernel has no Landlock"),
    };
    let network = match wall {
        Wall::Namespace(_) | Wall::UserNamespace => Holds::Yes("a network namespace without interfaces"),
        Wall::Landlock => Holds::Partly("Landlock refuses TCP; UDP stays open"),
        Wall::None => Holds::No("neither network namespaces nor Landlock's network rules are allowed here"),
    };
    LimitsThatHold {
        memory: Holds::Yes("RLIMIT_AS, for each process"),
        files,
        network,
        orphans: Holds::Yes("parent death signal and process groups"),
        wall,
    }
}

/// The version of Landlock's interface; zero or less where there is none.
fn landlock_abi() -> i64 {
    const VERSION_FLAG: libc::c_uint = 1;
    // SAFETY: asks for the version only; no memory is passed.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION_FLAG) }
}

fn find_wall(landlock: i64) -> Wall {
    if let Some(namespace) = empty_network() {
        Wall::Namespace(namespace.as_raw_fd())
    } else if works_in_child(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) {
        Wall::UserNamespace
    } else if landlock >= 4 {
        Wall::Landlock
    } else {
        Wall::None
    }
}

/// A network namespace in which there is nothing. Made once: each new one costs the kernel milliseconds.
fn empty_network() -> Option<&'static OwnedFd> {
    static EMPTY: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let make = || {
        // Only the thread moves, and it ends right away; the descriptor keeps the namespace alive.
        let thread = std::thread::spawn(|| {
            check(unshare(libc::CLONE_NEWNET))?;
            std::fs::File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
        });
        thread.join().ok()?.ok()
    };
    EMPTY.get_or_init(make).as_ref()
}

/// Tries `unshare` in a child that does nothing else.
fn works_in_child(flags: libc::c_int) -> bool {
    // SAFETY: the child makes system calls only, and leaves by `_exit`.
    unsafe {
        match libc::fork() {
            -1 => false,
            0 => {
                let answer = libc::unshare(flags);
                libc::_exit(i32::from(answer != 0));
            }
            child => {
                let mut status = 0;
                while libc::waitpid(child, &raw mut status, 0) == -1 {
                    if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                        return false;
                    }
                }
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

/// Limits made ready for one kind of process; applied between fork and exec.
#[derive(Debug)]
pub struct Confinement {
    memory_bytes: u64,
    wall: Option<Wall>,
    rules: Option<OwnedFd>,
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
    parent: libc::pid_t,
}

impl Confinement {
    /// Prepares the limits. `write_only_in`: the folders it may write to; none means anywhere.
    ///
    /// # Errors
    /// When Landlock is there but refuses the rules, as for a folder that does not exist.
    pub fn prepare(limits: &Limits, write_only_in: Option<&[PathBuf]>) -> io::Result<Self> {
        let wall = (!limits.network).then_some(probe().wall);
        let rules = rules(write_only_in, wall == Some(Wall::Landlock))?;
        // SAFETY: these three calls cannot fail and touch no memory of ours.
        let (uid, gid, parent) = unsafe { (libc::getuid(), libc::getgid(), libc::getpid()) };
        Ok(Self {
            memory_bytes: limits.memory_mb.unwrap_or(DEFAULT_MEMORY_MB).saturating_mul(1 << 20),
            wall,
            rules,
            uid_map: format!("{uid} {uid} 1").into_bytes(),
            gid_map: format!("{gid} {gid} 1").into_bytes(),
            parent,
        })
    }

    /// Takes effect for the calling process and all it starts. Safe between fork and exec: system
    /// calls on prepared memory, nothing else.
    ///
    /// # Errors
    /// When a limit that was found to hold is refused after all: better no process than a free one.
    pub(crate) fn apply(&self) -> io::Result<()> {
        limit(libc::RLIMIT_CORE, 0)?;
        limit(libc::RLIMIT_NOFILE, MAX_FILES)?;
        limit(libc::RLIMIT_AS, self.memory_bytes)?;
        match self.wall {
            Some(Wall::Namespace(namespace)) => enter(namespace)?,
            Some(Wall::UserNamespace) => {
                check(unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET))?;
                // Without maps the process would meet its own files as nobody's.
                write_file(c"/proc/self/setgroups", b"deny")?;
                write_file(c"/proc/self/gid_map", &self.gid_map)?;
                write_file(c"/proc/self/uid_map", &self.uid_map)?;
            }
            Some(Wall::Landlock | Wall::None) | None => {}
        }
        self.rules.as_ref().map_or(Ok(()), enforce)?;
        // Last: a change of credentials, as in a new user namespace, would take it away again.
        die_with_parent(self.parent)
    }
}

fn rules(write_only_in: Option<&[PathBuf]>, no_tcp: bool) -> io::Result<Option<OwnedFd>> {
    if write_only_in.is_none() && !no_tcp {
        return Ok(None);
    }
    let build = || {
        let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        if write_only_in.is_some() {
            ruleset = ruleset.handle_access(AccessFs::from_write(ABI::V3))?.scope(Scope::from_all(ABI::V6))?;
        }
        if no_tcp {
            ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V4))?;
        }
        let mut created = ruleset.create()?;
        let folders = write_only_in.unwrap_or_default().iter().map(PathBuf::as_path);
        let devices = WRITABLE_DEVICES.iter().map(Path::new).filter(|device| device.exists());
        if write_only_in.is_some() {
            for path in folders.chain(devices) {
                let access = if path.is_dir() {
                    AccessFs::from_write(ABI::V3)
                } else {
                    AccessFs::from_write(ABI::V3) & AccessFs::from_file(ABI::V3)
                };
                let place = PathFd::new(path).map_err(landlock_path)?;
                created = created.add_rule(PathBeneath::new(place, access))?;
            }
        }
        Ok::<_, RulesError>(Option::<OwnedFd>::from(created))
    };
    build().map_err(|e| io::Error::other(e.to_string()))
}

#[derive(Debug, thiserror::Error)]
enum RulesError {
    #[error("Landlock refused the rules: {0}")]
    Ruleset(#[from] landlock::RulesetError),
    #[error("a folder to write in cannot be opened: {0}")]
    Path(landlock::PathFdError),
}

fn landlock_path(error: landlock::PathFdError) -> RulesError {
    RulesError::Path(error)
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn unshare(flags: libc::c_int) -> libc::c_int {
    // SAFETY: no memory is passed.
    unsafe { libc::unshare(flags) }
}

fn enter(namespace: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor stays open for the life of the program; no memory is passed.
    check(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) })
}

/// The kernel kills this process when the thread that started it is gone; that thread lives as long as
/// the worker does.
fn die_with_parent(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: no memory is passed.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0))?;
        if libc::getppid() != parent {
            // The worker died between the fork and the line above.
            libc::_exit(1);
        }
    }
    Ok(())
}

/// Lowers a limit, never above what is allowed already.
fn limit(resource: libc::__rlimit_resource_t, wanted: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` lives on this stack.
    unsafe {
        check(libc::getrlimit(resource, &raw mut now))?;
        let value = wanted.min(now.rlim_max);
        check(libc::setrlimit(resource, &libc::rlimit { rlim_cur: value, rlim_max: value }))
    }
}

fn write_file(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: both buffers outlive the calls.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(fd)?;
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        let error = io::Error::last_os_error();
        libc::close(fd);
        if written == -1 { Err(error) } else { Ok(()) }
    }
}

fn enforce(rules: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open; no memory is passed.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let answer = libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0);
        if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
