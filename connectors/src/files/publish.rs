//! Making a load visible: all of it, once, or nothing.
//!
//! A table's folder holds part files, `_manifest.json` (what is visible), `_loads-….json` (loads of long ago), `_manifest.lock` (held by whoever
//! changes anything; the system lets go of it when its holder dies), `_staging/` (parts being written, each
//! attempt in its own folder beside a lock of its own) and `_old/` (parts of the version before, kept for readers
//! that are at it until the next replacement).
//!
//! Blocking throughout.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tidemill_dag::spec::LoadMode;

use super::manifest::{Done, MANIFEST, Manifest, Part, is_ledger};
use crate::{ConnectorError, LoadId, LoadRequest, Receipt};

const LOCK: &str = "_manifest.lock";
const STAGING: &str = "_staging";
const OLD: &str = "_old";
const PART: &str = "part";

/// Where a table is, or will be.
#[derive(Debug, Clone)]
pub struct Target {
    /// The table's name.
    pub table: String,
    /// Its folder.
    pub folder: PathBuf,
    /// How people know the folder.
    pub shown: String,
}

/// The right to change a table, until it is dropped.
#[derive(Debug)]
pub struct TableLock {
    _file: File,
}

/// A folder for the parts of one attempt. Removed when it is dropped.
#[derive(Debug)]
pub struct Staging {
    /// Where parts are written.
    pub folder: PathBuf,
    mark: PathBuf,
    _lock: File,
}

/// Everything is in place but for the last step. Undone when it is dropped before that.
#[derive(Debug)]
pub struct Prepared {
    target: Target,
    before: Manifest,
    after: Manifest,
    aside: PathBuf,
    placed: Vec<PathBuf>,
    published: bool,
    _staging: Staging,
    _lock: TableLock,
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> ConnectorError {
    let path = path.to_owned();
    move |source| ConnectorError::Unwritable { path, source }
}

/// A load's id as part of file names.
fn key(load: &LoadId) -> String {
    blake3::hash(load.0.as_bytes()).to_hex()[..16].to_owned()
}

/// Where a part is: in its place, or among the old ones if it was replaced a moment ago.
pub fn open_part(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => File::open(folder.join(OLD).join(name)).map_err(|_| error),
            _ => Err(error),
        },
        opened => opened,
    }
}

impl Target {
    /// Takes the table's lock if it is free.
    pub fn try_lock(&self) -> Result<Option<TableLock>, ConnectorError> {
        fs::create_dir_all(&self.folder).map_err(unwritable(&self.folder))?;
        let path = self.folder.join(LOCK);
        let file =
            OpenOptions::new().create(true).write(true).truncate(false).open(&path).map_err(unwritable(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(TableLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unwritable(&path)(error)),
        }
    }

    /// The receipt of a load that is done.
    pub fn find(&self, load: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        let Some(manifest) = Manifest::read(&self.folder)? else { return Ok(None) };
        Ok(manifest.receipt(&self.folder, load)?.map(|receipt| self.with_places(receipt)))
    }

    fn with_places(&self, receipt: Receipt) -> Receipt {
        let place = |file: &String| format!("{}/{file}", self.shown);
        Receipt { places: receipt.places.iter().map(place).collect(), ..receipt }
    }

    /// Start of the names of an attempt's parts.
    pub fn prefix(load: &LoadRequest, staging: &Staging) -> String {
        let turn = staging.folder.extension().map(|turn| turn.to_string_lossy().into_owned()).unwrap_or_default();
        format!("{PART}-{}-{}-{turn}", key(&load.load_id), load.fence.0)
    }

    /// Makes a folder for an attempt's parts and removes those of attempts that died. The lock keeps others from
    /// doing the same meanwhile.
    pub fn stage(&self, load: &LoadRequest, _lock: &TableLock) -> Result<Staging, ConnectorError> {
        let all = self.folder.join(STAGING);
        fs::create_dir_all(&all).map_err(unwritable(&all))?;
        self.refuse_overtaken(load)?;
        self.remove_dead(&all, &key(&load.load_id))?;
        // The same attempt may be at it twice; each time is a turn of its own.
        for turn in 0.. {
            let name = format!("{}.{}.{turn}", key(&load.load_id), load.fence.0);
            let (mark, folder) = (all.join(format!("{name}.lock")), all.join(name));
            match OpenOptions::new().create_new(true).write(true).open(&mark) {
                Ok(lock) => {
                    lock.lock().map_err(unwritable(&mark))?;
                    fs::create_dir(&folder).map_err(unwritable(&folder))?;
                    return Ok(Staging { folder, mark, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritable(&mark)(error)),
            }
        }
        Err(ConnectorError::CutShort { doing: "finding a place for parts".into() })
    }

    /// A later attempt of the same load that has been here, alive or dead, overtakes this one.
    fn refuse_overtaken(&self, load: &LoadRequest) -> Result<(), ConnectorError> {
        let key = key(&load.load_id);
        let fences = marks(&self.folder.join(STAGING))?;
        let newest = fences.iter().filter(|mark| mark.key == key).map(|mark| mark.fence).max();
        match newest.filter(|newest| *newest > load.fence.0) {
            None => Ok(()),
            Some(newer) => Err(ConnectorError::Fenced {
                table: self.table.clone(),
                load: load.load_id.to_string(),
                fence: load.fence.0,
                newer,
            }),
        }
    }

    /// Removes what attempts left behind that nobody holds any more.
    fn remove_dead(&self, all: &Path, own: &str) -> Result<(), ConnectorError> {
        for mark in marks(all)? {
            let Ok(lock) = OpenOptions::new().write(true).open(&mark.path) else { continue };
            if lock.try_lock().is_ok() {
                let folder = mark.path.with_extension("");
                tracing::info!(table = %self.table, left_over = %folder.display(), own = mark.key == own, "removing what a dead load left");
                remove_folder(&folder)?;
                fs::remove_file(&mark.path).map_err(unwritable(&mark.path))?;
            }
        }
        Ok(())
    }

    /// Puts parts in place and the next manifest aside. `already` comes back if the load turns out to be done.
    pub fn prepare(
        self,
        load: &LoadRequest,
        parts: Vec<Part>,
        staging: Staging,
        lock: TableLock,
    ) -> Result<Result<Prepared, Receipt>, ConnectorError> {
        let before = Manifest::read(&self.folder)?.unwrap_or_default();
        if let Some(receipt) = before.receipt(&self.folder, &load.load_id)? {
            return Ok(Err(self.with_places(receipt)));
        }
        self.refuse_overtaken(load)?;
        self.remove_unnamed(&before)?;
        let existing = if before.version == 0 { None } else { Some(before.schema()?) };
        let settled =
            super::contract::settle(&self.table, existing.as_deref(), &load.schema, load.mode, load.contract)?;
        let done = Done {
            load: load.load_id.clone(),
            fence: load.fence.0,
            mode: load.mode,
            version: before.version + 1,
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            files: parts.iter().map(|part| part.file.clone()).collect(),
        };
        let names = done.files.clone();
        let after = before.after(settled.table, parts, done);
        let aside = self.folder.join(format!("{MANIFEST}.tmp"));
        let mut prepared = Prepared {
            target: self,
            before,
            after,
            aside,
            placed: Vec::new(),
            published: false,
            _staging: staging,
            _lock: lock,
        };
        prepared.place(&names)?;
        Ok(Ok(prepared))
    }

    /// Removes parts and ledgers that a writer put in place just before it died. Only whoever holds the lock puts them in
    /// place, so one that no manifest names belongs to nobody.
    fn remove_unnamed(&self, manifest: &Manifest) -> Result<(), ConnectorError> {
        for entry in fs::read_dir(&self.folder).map_err(unwritable(&self.folder))? {
            let entry = entry.map_err(unwritable(&self.folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let nobodys = match (is_part(&name), is_ledger(&name)) {
                (true, _) => !manifest.parts.iter().any(|part| part.file == name),
                (_, true) => !manifest.earlier.iter().any(|ledger| ledger.file == name),
                (false, false) => false,
            };
            if nobodys {
                fs::remove_file(entry.path()).map_err(unwritable(&entry.path()))?;
            }
        }
        Ok(())
    }
}

/// Whether a name is one that this connector gives to parts: `part-<16 hex digits>-…`.
pub fn is_part(name: &str) -> bool {
    let rest = name.strip_prefix(PART).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(|rest| rest.split_once('-'))
        .is_some_and(|(key, _)| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

struct Mark {
    path: PathBuf,
    key: String,
    fence: u32,
}

/// The attempts that have a place for parts.
fn marks(all: &Path) -> Result<Vec<Mark>, ConnectorError> {
    let entries = match fs::read_dir(all) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unwritable(all)(error)),
    };
    let mut marks = Vec::new();
    for entry in entries {
        let path = entry.map_err(unwritable(all))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((key, rest)) = name.strip_suffix(".lock").and_then(|name| name.split_once('.')) else { continue };
        let Some(fence) = rest.split_once('.').and_then(|(fence, _)| fence.parse().ok()) else { continue };
        marks.push(Mark { key: key.to_owned(), fence, path });
    }
    Ok(marks)
}

fn remove_folder(folder: &Path) -> Result<(), ConnectorError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(folder)(error)),
        _ => Ok(()),
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next load: the lock ends with this process at the latest.
        // The mark stays as long as there is something to remove, for that is what the next load looks for.
        if remove_folder(&self.folder).is_ok() {
            let _ = fs::remove_file(&self.mark);
        }
    }
}

impl Prepared {
    fn place(&mut self, names: &[String]) -> Result<(), ConnectorError> {
        for name in names {
            let place = self.target.folder.join(name);
            fs::rename(self._staging.folder.join(name), &place).map_err(unwritable(&place))?;
            self.placed.push(place);
        }
        if let Some(ledger) = self.after.new_ledger(&self.before) {
            let place = self.target.folder.join(&ledger.file);
            self.placed.push(place.clone());
            write_json(&place, &self.before.loads)?;
        }
        write_json(&self.aside, &self.after)?;
        sync_folder(&self.target.folder)
    }

    /// The one step that makes the load visible.
    pub fn publish(mut self) -> Result<Receipt, ConnectorError> {
        let manifest = self.target.folder.join(MANIFEST);
        fs::rename(&self.aside, &manifest).map_err(unwritable(&manifest))?;
        self.published = true;
        sync_folder(&self.target.folder)?;
        if let Err(error) = self.retire() {
            // The load is visible and durable; old files only take up room.
            tracing::warn!(table = %self.target.table, error = %error.chain(), "cannot move replaced files away");
        }
        let done = self.after.loads.last();
        let receipt =
            done.map(|done| Receipt { rows: done.rows, bytes: done.bytes, places: done.files.clone(), already: false });
        receipt
            .map(|receipt| self.target.with_places(receipt))
            .ok_or_else(|| ConnectorError::CutShort { doing: "recording the load".into() })
    }

    /// Moves parts of the replaced version away; those of the version before that are deleted, and so are ledgers whose time is over.
    fn retire(&self) -> Result<(), ConnectorError> {
        for ledger in self.before.earlier.iter().filter(|ledger| !self.after.earlier.contains(ledger)) {
            let path = self.target.folder.join(&ledger.file);
            fs::remove_file(&path).map_err(unwritable(&path))?;
        }
        let gone = |part: &&Part| !self.after.parts.iter().any(|kept| kept.file == part.file);
        let gone: Vec<_> = self.before.parts.iter().filter(gone).collect();
        if self.after.loads.last().is_none_or(|done| done.mode != LoadMode::Replace) {
            return Ok(());
        }
        let old = self.target.folder.join(OLD);
        remove_folder(&old)?;
        if gone.is_empty() {
            return Ok(());
        }
        fs::create_dir(&old).map_err(unwritable(&old))?;
        for part in gone {
            let place = self.target.folder.join(&part.file);
            fs::rename(&place, old.join(&part.file)).map_err(unwritable(&place))?;
        }
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.aside);
            for place in &self.placed {
                let _ = fs::remove_file(place);
            }
        }
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ConnectorError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| unwritable(path)(io::Error::other(error)))?;
    let mut file = File::create(path).map_err(unwritable(path))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(unwritable(path))
}

fn sync_folder(folder: &Path) -> Result<(), ConnectorError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable(folder))
}
