//! Blobs as files of a folder: written aside, flushed, then renamed into place.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tidemill_dag::time::Timestamp;
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use super::{BlobError, BlobInfo, BlobWriter, Blobs, check_name};

/// Unfinished files live here, beside the blobs, so that the rename stays within one file system.
const ASIDE: &str = ".unfinished";

/// A folder on a local disk.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// Names unfinished files; other processes that share the folder are met by `create_new`.
static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// Uses a folder, which is made if it is not there.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        fs::create_dir_all(root.join(ASIDE)).await.map_err(failed("open the folder of", ""))?;
        Ok(Self { root })
    }

    fn path(&self, name: &str) -> Result<PathBuf, BlobError> {
        check_name(name)?;
        if name.split('/').next() == Some(ASIDE) {
            return Err(BlobError::Name(name.to_owned()));
        }
        Ok(self.root.join(name))
    }

    async fn begin(&self, name: &str) -> Result<Unfinished, BlobError> {
        let place = self.path(name)?;
        let (aside, file) = loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let aside = self.root.join(ASIDE).join(format!("{}-{serial}", std::process::id()));
            match fs::File::create_new(&aside).await {
                Ok(file) => break (aside, file),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(other) => return Err(failed("write", name)(other)),
            }
        };
        Ok(Unfinished { file: Some(file), aside, place, root: self.root.clone(), name: name.to_owned(), size: 0 })
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> BlobError {
    let name = name.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(name),
        _ => BlobError::Io { action, name, source },
    }
}

struct Unfinished {
    file: Option<fs::File>,
    aside: PathBuf,
    place: PathBuf,
    root: PathBuf,
    name: String,
    size: u64,
}

impl Unfinished {
    async fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).await.map_err(failed("write", &self.name))?;
            self.size += bytes.len() as u64;
        }
        Ok(())
    }

    /// Durable, and with a folder to go to.
    async fn ready(&mut self) -> io::Result<PathBuf> {
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
            file.sync_all().await?;
        }
        let parent = self.place.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&parent).await?;
        Ok(parent)
    }

    async fn publish(&mut self) -> io::Result<()> {
        let parent = self.ready().await?;
        fs::rename(&self.aside, &self.place).await?;
        sync_up(&parent, &self.root).await
    }

    /// A second name for the file, unlike a new one, is refused where the name is taken.
    async fn publish_new(&mut self) -> io::Result<bool> {
        let parent = self.ready().await?;
        match fs::hard_link(&self.aside, &self.place).await {
            Ok(()) => sync_up(&parent, &self.root).await.map(|()| true),
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// A rename is durable only once the folders that name it are.
async fn sync_up(from: &Path, root: &Path) -> io::Result<()> {
    for folder in from.ancestors() {
        fs::File::open(folder).await?.sync_all().await?;
        if folder == root {
            break;
        }
    }
    Ok(())
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already after a finish; what cannot be removed is only an unnamed leftover.
        let _ = std::fs::remove_file(&self.aside);
    }
}

#[async_trait]
impl BlobWriter for Unfinished {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.append(&bytes).await
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        self.publish().await.map_err(|source| BlobError::Io { action: "finish", name: self.name.clone(), source })?;
        Ok(self.size)
    }
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        let mut writer = Box::new(self.begin(name).await?);
        writer.append(&bytes).await?;
        writer.finish().await.map(drop)
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool, BlobError> {
        let mut writer = self.begin(name).await?;
        writer.append(&bytes).await?;
        writer.publish_new().await.map_err(failed("write", name))
    }

    fn exclusive(&self) -> bool {
        true
    }

    async fn writer(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(self.begin(name).await?))
    }

    async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let mut file = fs::File::open(self.path(name)?).await.map_err(failed("read", name))?;
        let size = file.metadata().await.map_err(failed("read", name))?.len();
        if range.start > range.end || range.end > size {
            return Err(BlobError::Range { name: name.to_owned(), range, size });
        }
        file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed("read", name))?;
        let mut bytes = Vec::new();
        file.take(range.end - range.start).read_to_end(&mut bytes).await.map_err(failed("read", name))?;
        Ok(bytes.into())
    }

    async fn size(&self, name: &str) -> Result<u64, BlobError> {
        let meta = fs::metadata(self.path(name)?).await.map_err(failed("read", name))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(BlobError::NotFound(name.to_owned())) }
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        let path = self.path(prefix.strip_suffix('/').unwrap_or(prefix))?;
        let removed = if prefix.ends_with('/') { fs::remove_dir_all(path).await } else { fs::remove_file(path).await };
        match removed.map_err(failed("delete", prefix)) {
            Err(BlobError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<BlobInfo, BlobError>> {
        let start = match prefix.strip_suffix('/') {
            Some(prefix) => self.path(prefix),
            None if prefix.is_empty() => Ok(self.root.clone()),
            None => Err(BlobError::Name(prefix.to_owned())),
        };
        match start {
            Ok(start) => {
                stream::try_unfold(Walk { folders: vec![start], files: Vec::new() }, |walk| self.step(walk)).boxed()
            }
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn drop_unfinished(&self, before: Timestamp) -> Result<u64, BlobError> {
        let mut dropped = 0;
        let mut entries = fs::read_dir(self.root.join(ASIDE)).await.map_err(failed("list", ASIDE))?;
        while let Some(entry) = entries.next_entry().await.map_err(failed("list", ASIDE))? {
            // Finished or removed since it was listed.
            let Ok(meta) = entry.metadata().await else { continue };
            let written = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let old = written.is_some_and(|at| i64::try_from(at.as_micros()).is_ok_and(|at| at < before.0));
            dropped += u64::from(old && fs::remove_file(entry.path()).await.is_ok());
        }
        Ok(dropped)
    }

    fn local_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).ok()
    }

    async fn presigned(&self, name: &str, _: Duration) -> Result<Option<String>, BlobError> {
        self.path(name).map(|_| None)
    }
}

/// What is left of a walk through folders.
struct Walk {
    folders: Vec<PathBuf>,
    files: Vec<BlobInfo>,
}

impl Folder {
    /// The next blob of a walk, with what is left after it.
    async fn step(&self, mut walk: Walk) -> Result<Option<(BlobInfo, Walk)>, BlobError> {
        loop {
            if let Some(file) = walk.files.pop() {
                return Ok(Some((file, walk)));
            }
            let Some(folder) = walk.folders.pop() else { return Ok(None) };
            match self.look(&folder, &mut walk).await.map_err(failed("list", &folder.display().to_string())) {
                // Removed since it was listed, or never there.
                Ok(()) | Err(BlobError::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }

    async fn look(&self, folder: &Path, walk: &mut Walk) -> io::Result<()> {
        let mut entries = fs::read_dir(folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
            if check_name(name).is_err() || name == ASIDE {
                continue;
            }
            match entry.metadata().await {
                Ok(meta) if meta.is_dir() => walk.folders.push(path),
                Ok(meta) => walk.files.push(BlobInfo { name: name.to_owned(), size: meta.len() }),
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}
