//! Who is alive on this machine. Every process that holds leases keeps a lock on a file of its own; the
//! operating system lets go of it the moment the process ends, however it ends. A free lock therefore
//! proves a death, and the leases of the dead need not be waited for.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tidemill_dag::id::WorkerId;

use crate::SchedulerError;

const SUFFIX: &str = ".lock";

/// The sign of life of this process, and the way to find out about others.
#[derive(Debug)]
pub struct Presence {
    folder: PathBuf,
    me: WorkerId,
    /// Held, never read: its lock is what others look at.
    _lock: File,
}

/// A process that is known to be dead. Its file goes once its leases are dealt with.
#[derive(Debug)]
pub struct Dead {
    /// How it named itself.
    pub worker: WorkerId,
    path: PathBuf,
    /// Held, so that only one of the living deals with it.
    _lock: File,
}

impl Presence {
    /// Announces this process.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn announce(folder: &Path, me: WorkerId) -> Result<Self, SchedulerError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| SchedulerError::Presence { path, source }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        // Locked under another name first: a file under its final name is never free while its process lives.
        let aside = folder.join(format!("{me}.new"));
        let path = folder.join(format!("{me}{SUFFIX}"));
        let file = File::create(&aside).map_err(at(&aside))?;
        file.lock().map_err(at(&aside))?;
        fs::rename(&aside, &path).map_err(at(&path))?;
        Ok(Self { folder: folder.to_owned(), me, _lock: file })
    }

    /// The name of this process.
    pub fn me(&self) -> &WorkerId {
        &self.me
    }

    /// Processes that died without saying goodbye. Unreadable entries are left for a later look.
    pub fn dead(&self) -> Vec<Dead> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        entries.filter_map(|entry| self.look_at(&entry.ok()?.path())).collect()
    }

    fn look_at(&self, path: &Path) -> Option<Dead> {
        let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        if name == self.me.0 {
            return None;
        }
        let file = File::open(path).ok()?;
        match file.try_lock() {
            Ok(()) => Some(Dead { worker: WorkerId(name.to_owned()), path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        }
    }

    /// How many processes are alive, this one too.
    pub fn living(folder: &Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        let held = |path: PathBuf| {
            path.to_str().is_some_and(|p| p.ends_with(SUFFIX))
                && File::open(&path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
        };
        entries.filter_map(Result::ok).filter(|entry| held(entry.path())).count()
    }
}

impl Dead {
    /// Its leases are dealt with: its file may go.
    pub fn bury(self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(format!("{}{SUFFIX}", self.me)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        WorkerId(name.to_owned())
    }

    #[test]
    fn the_living_are_not_dead() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = Presence::announce(folder.path(), worker("one")).expect("announced");
        let two = Presence::announce(folder.path(), worker("two")).expect("announced");
        assert!(one.dead().is_empty());
        assert!(two.dead().is_empty());
        assert_eq!(Presence::living(folder.path()), 2);
    }

    #[test]
    fn a_free_lock_is_a_death_and_is_found_until_buried() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = Presence::announce(folder.path(), worker("one")).expect("announced");
        // What a killed process leaves: its file, and no lock on it.
        fs::write(folder.path().join("gone.lock"), "").expect("written");
        let dead = one.dead();
        assert_eq!(dead.iter().map(|d| d.worker.0.as_str()).collect::<Vec<_>>(), ["gone"]);
        assert!(one.dead().is_empty(), "somebody is dealing with it");
        drop(dead);
        for dead in one.dead() {
            dead.bury();
        }
        assert!(one.dead().is_empty());
        assert_eq!(Presence::living(folder.path()), 1);
    }

    #[test]
    fn a_process_that_leaves_takes_its_file_along() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Presence::announce(folder.path(), worker("one")).expect("announced"));
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}
