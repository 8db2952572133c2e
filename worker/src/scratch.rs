//! Folders for the time of an attempt, and what a killed worker left of them.
//!
//! All folders of one process lie in one that is named after it: its id and when it started, so that
//! the next process with the same id is not taken for it.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process,
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::error::{TaskError, files};

/// A folder that goes with its guard.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, empty.
    pub fn new(path: PathBuf) -> Result<Self, TaskError> {
        fs::create_dir_all(&path).map_err(files("make", &path))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is a leftover in a scratch folder, no more.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This process' own folder below `root`, made if it is not there. Before that, folders of dead
/// processes are removed and whatever they had started and left running is ended.
///
/// # Errors
/// When the folder cannot be made.
pub(crate) fn own_folder(root: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(root)?;
    let dead: Vec<PathBuf> =
        fs::read_dir(root)?.flatten().map(|entry| entry.path()).filter(|path| is_dead(path)).collect();
    if !dead.is_empty() {
        end_orphans(&dead);
        for folder in &dead {
            let _ = fs::remove_dir_all(folder);
        }
    }
    let pid = process::id();
    let own = root.join(format!("{pid}-{}", started(pid).unwrap_or_default()));
    fs::create_dir_all(&own)?;
    Ok(own)
}

fn is_dead(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parts = name.split_once('-').and_then(|(pid, start)| Some((pid.parse().ok()?, start.parse::<u64>().ok()?)));
    parts.is_some_and(|(pid, start): (u32, u64)| started(pid) != Some(start))
}

/// When a process started, in ticks since the machine did; none if there is no such process.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start time is the 20th word behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends processes whose `TMPDIR` lies in one of these folders. Those of tasks all have one.
fn end_orphans(folders: &[PathBuf]) {
    let marks: Vec<Vec<u8>> =
        folders.iter().map(|folder| [b"TMPDIR=", folder.as_os_str().as_bytes(), b"/"].concat()).collect();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let ours = |variable: &[u8]| marks.iter().any(|mark| variable.starts_with(mark));
        if environment.split(|byte| *byte == 0).any(ours) {
            tracing::info!(pid, "ending a process that a dead worker left behind");
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{alive, eventually};

    #[tokio::test]
    async fn what_a_dead_worker_left_is_ended_and_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let mut ended = process::Command::new("true").spawn().expect("a process");
        let pid = ended.id();
        let start = started(pid).expect("its start");
        ended.wait().expect("an end");
        let dead = root.path().join(format!("{pid}-{start}"));
        fs::create_dir_all(dead.join("task/tmp")).expect("a folder");
        let orphan =
            process::Command::new("sleep").arg("1000").env("TMPDIR", dead.join("task/tmp")).spawn().expect("an orphan");
        let stranger = process::Command::new("sleep").arg("1000").spawn().expect("a stranger");
        let own = own_folder(root.path()).expect("a folder");
        assert!(own.is_dir() && !dead.exists());
        let id = |child: &process::Child| i32::try_from(child.id()).expect("an id");
        eventually("the orphan dies", || !alive(id(&orphan))).await;
        assert!(alive(id(&stranger)), "others are left alone");
        assert_eq!(own_folder(root.path()).expect("the same"), own, "a living process keeps its folder");
        for mut child in [orphan, stranger] {
            let _ = child.kill();
            child.wait().expect("an end");
        }
    }
}
