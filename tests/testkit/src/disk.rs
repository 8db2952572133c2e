//! A disk that can be full: a small file system in memory.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{DISK, Process};

/// A small disk. Its contents go with it when it is dropped, or when the test's process ends in whatever way.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Process,
}

impl SmallDisk {
    /// Mounts one of so many mebibytes; none where this user may not, with a line that says so: whoever runs tests as root
    /// sees what the others do not.
    pub fn mount(mebibytes: u32) -> io::Result<Option<Self>> {
        let folder = TempDir::with_prefix("tidemill-disk-")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let place = folder.path().join(DISK);
        fs::create_dir(&place)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0777"), "tmpfs"]).arg(&place);
        if !mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("skipped: a full disk; only root may mount one");
            return Ok(None);
        }
        Ok(Some(Self { holder: Process::new(folder, Signal::SIGKILL)? }))
    }

    /// Its folder.
    pub fn path(&self) -> PathBuf {
        self.holder.folder().join(DISK)
    }

    /// Fills it to its last byte.
    ///
    /// # Panics
    /// If it cannot be written to for another reason than that.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        // Ever smaller pieces: the last ones fill what is left of the last page.
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        let Some(disk) = SmallDisk::mount(2).expect("a machine") else { return };
        let file = disk.path().join("file");
        disk.fill();
        assert!(fs::write(&file, "more").is_err());
        disk.free();
        fs::write(&file, "more").expect("there is room");
        let folder = disk.path();
        drop(disk);
        assert!(!folder.exists(), "the disk is still there");
    }
}
